#pragma once
/// User and password of an `Authorization: Basic` field (RFC 7617). A pure function, for any thread.
#include <optional>
#include <string>
#include <string_view>

namespace nsboot_lb::base {

struct BasicCredentials {
    std::string user;  ///< without ":"
    std::string password;
};

/// Nothing for another scheme, for base64 that is not exactly as an encoder writes it (RFC 4648 3.5, 4), for text
/// without
/// ":" and for control characters, which neither part may have (RFC 7617 2).
std::optional<BasicCredentials> parse_basic_credentials(std::string_view authorization);

}  // namespace nsboot_lb::base
