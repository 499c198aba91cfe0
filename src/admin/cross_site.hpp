#pragma once
/// Whether a request may be the doing of a page of another site, in the browser of somebody who is allowed here. Pure.
#include <span>
#include <string>
#include <string_view>

#include "api.hpp"

namespace nsboot_lb::admin {

/// By what a browser says of it (Origin, Sec-Fetch-Site). Other clients say nothing.
bool is_cross_site(const ApiRequest& request);

/// Whether a Host field names an address, localhost, or one of `names` (lower case). A page whose own name was made to
/// stand for this address (DNS rebinding) is of this site to the browser, and gives itself away by that name alone.
bool is_own_host(std::string_view host, std::span<const std::string> names);

}  // namespace nsboot_lb::admin
