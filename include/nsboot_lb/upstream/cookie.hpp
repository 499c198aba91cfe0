#pragma once
/// The cookie of cookie-sticky: reading it out of a request, its value, its Set-Cookie field. Pure functions; any
/// thread may call them.
#include <optional>
#include <string>
#include <string_view>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::upstream {

/// The value of the first cookie of that name in the value of a Cookie field (RFC 6265 4.2.1), without its quotes if it
/// has any; nothing if there is none. A view into `cookie_field`, which is left with what stands behind that cookie: a
/// client may send several of one name, of different paths and domains.
std::optional<std::string_view> take_cookie(std::string_view& cookie_field, std::string_view name);

/// What names a server to its clients without telling who it is: 128 bits of HMAC-SHA256 in hexadecimal, of the pool's
/// and the server's names (and of the address, where a server's name stands for several), keyed by `key` or, if that is
/// empty, by those names. The same on every load balancer with the same configuration and key.
std::string sticky_value(std::string_view key, std::string_view pool, std::string_view server,
                         std::string_view address);

/// The value of a Set-Cookie field (RFC 6265 4.1).
std::string set_cookie_field(const config::Cookie& cookie, std::string_view value);

}  // namespace nsboot_lb::upstream
