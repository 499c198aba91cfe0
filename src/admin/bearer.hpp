#pragma once
/// The token that changes need. Free functions; called on the control thread.
#include <expected>
#include <string>
#include <string_view>

namespace nsboot_lb::admin {

/// The file's first line without white space around it. The error says why there is none.
std::expected<std::string, std::string> read_token(const std::string& file);

/// Whether an Authorization field's value is "Bearer TOKEN" (RFC 6750 2.1) with just this token, which is not empty.
/// How long it takes depends on the length of what was sent alone.
bool is_bearer(std::string_view authorization, std::string_view token);

}  // namespace nsboot_lb::admin
