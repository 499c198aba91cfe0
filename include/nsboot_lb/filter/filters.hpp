#pragma once
/// The filters of a route, made from its configuration. make_filters() runs on the control thread while a snapshot is
/// built (it reads files); the filters belong to the snapshot's RouteEntry, and every worker calls them.
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/forward/filter.hpp"

namespace nsboot_lb::filter {

using Filters = std::vector<std::unique_ptr<const forward::Filter>>;

struct RouteFilters {
    Filters request;   ///< in the order in which they are asked
    Filters response;  ///< the same
};

/// The filters that the route asks for, none for what it does not. What can go wrong with a checked configuration is
/// the password file; the error then names it and the line.
std::expected<RouteFilters, std::string> make_filters(const config::Route& route);

}  // namespace nsboot_lb::filter
