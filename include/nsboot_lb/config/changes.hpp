#pragma once
/// What differs between two configurations, key by key: what a reload tells of itself. Pure; any thread may ask. Keys
/// and values come from the table that print() uses, so whatever can be configured can be seen to change.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::config {

/// Longer values are cut; they are told apart in full.
inline constexpr std::size_t max_change_value_bytes = 120;

enum class ChangeKind : std::uint8_t { added, removed, changed };
std::string_view to_string(ChangeKind kind);

struct Change {
    ChangeKind kind = ChangeKind::changed;
    /// Where it stands, members of lists by their names: "pools.nsboot.servers.nsboot-2.weight", "routes.login".
    std::string key;
    /// The values, on one line as the file would spell them, without quotes; empty where there is none, and for whole
    /// sections. "(hidden)" for header conditions and for header fields that carry credentials.
    std::string from;
    std::string to;
    bool operator==(const Change&) const = default;
};

/// In the order of the table. A list whose members stay but change places is a change of the list, from the old order
/// of their names to the new one.
std::vector<Change> changes(const Config& before, const Config& after);

}  // namespace nsboot_lb::config
