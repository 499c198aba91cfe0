#pragma once
/// One configuration, compiled: routes, pools, filters, limits. Immutable, shared by all workers; an exchange keeps the
/// one it began with. build_snapshot() of the server floor makes it; a changed DNS answer makes a copy of it, which
/// shares everything but the pools that it is about. What outlives a configuration is not in here, only pointed to.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nsboot_lb/base/htpasswd.hpp"
#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/forward/bandwidth.hpp"
#include "nsboot_lb/forward/filter.hpp"
#include "nsboot_lb/http/head.hpp"
#include "nsboot_lb/http/template.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/route/route_table.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::forward {

struct RouteEntry {
    enum class Action : std::uint8_t { forward, redirect, respond };

    std::string name;
    Action action = Action::forward;
    std::size_t pool = 0;  ///< of Snapshot::pools, for forward
    config::Policy policy = config::Policy::least_conn;
    config::PoolTimeouts timeouts;  ///< the pool's, with the route's own in their place
    std::uint64_t max_body = UINT64_MAX;
    std::shared_ptr<Bandwidth> bandwidth;  ///< null = no limit
    http::Template redirect_to;
    int status = 200;  ///< of redirect and respond
    config::Respond respond;
    std::vector<std::unique_ptr<const Filter>> request_filters;
    std::vector<std::unique_ptr<const Filter>> response_filters;
    std::shared_ptr<observe::PerWorker<observe::RouteCounters>> counters;
};

struct Routes {
    std::vector<RouteEntry> entries;  ///< as configured
    RouteEntry none;                  ///< whose counters count what no route took
};

struct Snapshot {
    explicit Snapshot(const std::vector<config::Route>& configured) : route_table(configured) {}

    std::shared_ptr<const config::Config> config;
    std::vector<std::shared_ptr<const upstream::Pool>> pools;  ///< as configured
    std::vector<std::uint64_t> endpoint_ids;                   ///< of all pools, sorted
    std::shared_ptr<const Routes> routes;
    route::RouteTable route_table;
    /// By file.
    std::map<std::string, std::shared_ptr<const base::Htpasswd>, std::less<>> passwords;
    http::HeadLimits request_limits;
    http::HeadLimits response_limits;
};

}  // namespace nsboot_lb::forward
