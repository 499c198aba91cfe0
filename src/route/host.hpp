#pragma once
/// Names of hosts in the form in which routes compare them. Pure functions, private to this floor.
#include <string>
#include <string_view>

namespace nsboot_lb::route {

/// uri-host[:port] in lower case, without port, trailing dot and brackets; IPv6 addresses in their RFC 5952 form. A
/// view of `host` where nothing had to change, else of `scratch`.
std::string_view normal_host(std::string_view host, std::string& scratch);

/// The same for an entry of a configuration, where an IPv6 address may stand without brackets.
std::string configured_host(std::string_view host);

/// Whether `name` is what a wildcard "*.suffix" takes: the suffix behind at least one more label.
bool is_below(std::string_view name, std::string_view suffix);

}  // namespace nsboot_lb::route
