#pragma once
/// The filters of a route, made from its configuration. make_filters() runs while a snapshot is built; the filters
/// belong to the snapshot's RouteEntry, and every worker calls them.
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nsboot_lb/base/htpasswd.hpp"
#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/forward/filter.hpp"

namespace nsboot_lb::filter {

using Filters = std::vector<std::unique_ptr<const forward::Filter>>;

struct RouteFilters {
    Filters request;   ///< in the order in which they are asked
    Filters response;  ///< the same
};

class PasswordChecks;

/// What filters have in common, beyond their route.
struct Surroundings {
    /// The users of a file, read once for all routes of a configuration; an error names the file and the line.
    std::function<std::expected<std::shared_ptr<const base::Htpasswd>, std::string>(const std::string& file)> passwords;
    PasswordChecks& checks;  ///< outlives the filters
};

/// The filters that the route asks for, none for what it does not. What can go wrong with a checked configuration is
/// the password file.
std::expected<RouteFilters, std::string> make_filters(const config::Route& route, const Surroundings& surroundings);

}  // namespace nsboot_lb::filter
