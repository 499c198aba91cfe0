#include "nsboot_lb/server/build_snapshot.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "nsboot_lb/filter/filters.hpp"
#include "nsboot_lb/upstream/balancer.hpp"

namespace nsboot_lb::server {

namespace {

using Errors = std::vector<std::string>;
using PoolIndex = std::map<std::string, std::size_t, std::less<>>;

const upstream::Pool* find_pool(const forward::Snapshot* snapshot, std::string_view name) {
    if (snapshot == nullptr) return nullptr;
    const auto found = std::ranges::find_if(snapshot->pools, [&](const auto& pool) { return pool->name() == name; });
    return found == snapshot->pools.end() ? nullptr : found->get();
}

std::string read_key(const config::Pool& pool, Errors& errors) {
    if (pool.cookie.key_file.empty()) return {};
    std::ifstream file{pool.cookie.key_file, std::ios::binary};
    std::string key{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
    while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
    if (key.empty()) errors.push_back("pool " + pool.name + ": cannot read a key from " + pool.cookie.key_file);
    return key;
}

config::PoolTimeouts merged(const config::PoolTimeouts& pool, const config::RouteTimeouts& route) {
    config::PoolTimeouts merged;
    merged.connect = route.connect.value_or(pool.connect);
    merged.response = route.response.value_or(pool.response);
    merged.idle = route.idle.value_or(pool.idle);
    merged.tunnel_idle = route.tunnel_idle.value_or(pool.tunnel_idle);
    merged.queue = route.queue.value_or(pool.queue);
    return merged;
}

http::Template template_of(const std::string& text, Errors& errors) {
    auto parsed = http::Template::parse(text);
    if (parsed) return std::move(*parsed);
    errors.push_back("\"" + text + "\": " + parsed.error());
    return {};
}

forward::RouteEntry build_route(const config::Route& route, const config::Config& config, const PoolIndex& pools,
                                observe::Statistics& statistics, Errors& errors) {
    forward::RouteEntry entry;
    entry.name = route.name;
    entry.counters = statistics.route(route.name);
    if (route.redirect) {
        entry.action = forward::RouteEntry::Action::redirect;
        entry.status = route.redirect->status;
        entry.redirect_to = template_of(route.redirect->to, errors);
    } else if (route.respond) {
        entry.action = forward::RouteEntry::Action::respond;
        entry.status = route.respond->status;
        entry.respond = *route.respond;
    } else {
        entry.pool = pools.at(route.pool);
        const auto& pool = config.pools[entry.pool];
        entry.policy = route.balance.value_or(pool.balance);
        entry.timeouts = merged(pool.timeouts, route.timeouts);
    }
    entry.max_body = route.max_body.value_or(UINT64_MAX);
    if (route.bandwidth.per_client != 0 || route.bandwidth.total != 0)
        entry.bandwidth = std::make_shared<forward::Bandwidth>(route.bandwidth);
    auto filters = filter::make_filters(route);
    if (!filters) {
        errors.push_back("route " + route.name + ": " + filters.error());
        return entry;
    }
    entry.request_filters = std::move(filters->request);
    entry.response_filters = std::move(filters->response);
    return entry;
}

/// Some policies make a table for the whole pool on first use: here, not on a worker.
void warm_up(const forward::RouteEntry& route, const forward::Snapshot& snapshot) {
    if (route.action == forward::RouteEntry::Action::forward)
        (void)upstream::make_balancer(route.policy, snapshot.pools[route.pool], 0);
}

}  // namespace

std::expected<std::shared_ptr<const forward::Snapshot>, std::vector<std::string>> build_snapshot(
    const SnapshotSources& sources) {
    Errors errors;
    const auto& config = *sources.config;
    PoolIndex index;
    std::vector<std::shared_ptr<const upstream::Pool>> pools;
    for (const auto& pool : config.pools) {
        index.emplace(pool.name, pools.size());
        const upstream::PoolSurroundings surroundings{sources.statistics, sources.on_transition,
                                                      read_key(pool, errors)};
        pools.push_back(std::make_shared<upstream::Pool>(pool, sources.addresses,
                                                         find_pool(sources.previous, pool.name), surroundings));
    }
    auto snapshot = std::make_shared<forward::Snapshot>(config.routes);
    snapshot->config = sources.config;
    snapshot->pools = std::move(pools);
    for (const auto& route : config.routes) {
        snapshot->routes.push_back(build_route(route, config, index, sources.statistics, errors));
        warm_up(snapshot->routes.back(), *snapshot);
    }
    snapshot->no_route.name = "none";
    snapshot->no_route.counters = sources.statistics.route("none");
    snapshot->request_limits = {config.limits.header_size, config.limits.uri_size, config.limits.header_count};
    // Servers may say more than clients, but not without end.
    snapshot->response_limits = {std::max<std::size_t>(config.limits.header_size, 64 * 1024), SIZE_MAX,
                                 std::max<std::size_t>(config.limits.header_count, 256)};
    if (!errors.empty()) return std::unexpected{std::move(errors)};
    return snapshot;
}

}  // namespace nsboot_lb::server
