#pragma once
/// The normal form of a path: what routing, and anything else that must not be fooled by spelling, looks at. Servers
/// get the path as it was received. Pure functions, for any thread.
#include <string>
#include <string_view>

namespace nsboot_lb::route {

/// `path` (without query) with every percent-encoded octet decoded once, `\` turned into `/`, runs of `/` merged and
/// dot segments removed (RFC 3986 6.2.2, 5.2.4). Encoded slashes and dots count as slashes and dots, since some servers
/// take them so. A `%` without two hex digits stands for itself; an empty path is "/" (RFC 9110 4.2.3); what does not
/// begin with `/` (the target of OPTIONS *) is returned as it is. Returns `path` itself if it is normal already, else a
/// view into `scratch`. Never longer than max(path.size(), 1).
std::string_view normal_path(std::string_view path, std::string& scratch);

}  // namespace nsboot_lb::route
