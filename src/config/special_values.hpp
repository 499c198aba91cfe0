#pragma once
/// Codecs of the values that more than one part of the table has, or that have more than one shape: policies, PROXY
/// protocol, causes of retries, path patterns, header conditions, header fields. Pure; any thread may use them.
#include <string>
#include <utility>
#include <vector>

#include "values.hpp"

namespace nsboot_lb::config {

/// The largest size that may be written, in bytes; no limit of ours, but sums of sizes stay numbers.
inline constexpr std::uint64_t max_size = 1ULL << 60;

/// By its name.
Codec<Policy> policy();

/// true, false, or the ranges of the peers that speak it.
Codec<ProxyProtocol> proxy_protocol();

/// What a request is tried again for: a broken connection or a status.
struct RetryCause {
    enum class Kind { connect_failure, reset, status };
    Kind kind = Kind::connect_failure;
    int status = 0;
};
Codec<RetryCause> retry_cause();

/// Patterns of one kind, each with its position.
Codec<std::vector<PathPattern>> path_patterns(PathMatch kind);

/// The map of one header condition that is not a plain value.
struct HeaderCondition {
    std::optional<std::string> regex;
    std::optional<bool> present;
};
/// A map from field names to exact values or HeaderConditions.
Codec<std::vector<HeaderMatch>> header_matches(const SectionOf<HeaderCondition>& condition);

/// A map from field names to values, in the file's order.
Codec<std::vector<std::pair<std::string, std::string>>> fields(Codec<std::string> value);

}  // namespace nsboot_lb::config
