#pragma once
/// The answers that need no server and no filter: methods that end at a proxy, redirects, fixed responses. Pure.
#include <optional>

#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/forward/filter.hpp"

namespace nsboot_lb::forward {

/// CONNECT and TRACE are refused, OPTIONS that is meant for this proxy is answered (RFC 9110 7.6.2, 9.3.6 to 9.3.8).
std::optional<Answer> answer_method(Exchange& exchange);

/// Of a route that redirects or responds.
std::optional<Answer> answer_route(Exchange& exchange);

}  // namespace nsboot_lb::forward
