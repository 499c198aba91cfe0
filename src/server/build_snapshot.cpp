#include "nsboot_lb/server/build_snapshot.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "nsboot_lb/base/read_file.hpp"
#include "nsboot_lb/config/identity.hpp"
#include "nsboot_lb/filter/filters.hpp"
#include "nsboot_lb/upstream/balancer.hpp"

namespace nsboot_lb::server {

namespace {

constexpr std::size_t max_key_bytes = 1UZ << 20;

using Errors = std::vector<std::string>;
using PoolIndex = std::map<std::string, std::size_t, std::less<>>;

std::string read_key(const config::Pool& pool, Errors& errors) {
    if (pool.cookie.key_file.empty()) return {};
    auto key = base::read_file(pool.cookie.key_file, max_key_bytes).value_or("");
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

/// Compiles routes one by one.
class RouteBuilder {
  public:
    RouteBuilder(const SnapshotSources& sources, const PoolIndex& pools, filter::Surroundings surroundings,
                 Errors& errors)
        : config_(*sources.config),
          state_(sources.state),
          pools_(pools),
          surroundings_(std::move(surroundings)),
          errors_(errors) {}

    forward::RouteEntry build(const config::Route& route) {
        forward::RouteEntry entry;
        entry.name = route.name;
        if (route.redirect) {
            entry.action = forward::RouteEntry::Action::redirect;
            entry.status = route.redirect->status;
            entry.redirect_to = template_of(route.redirect->to, errors_);
        } else if (route.respond) {
            entry.action = forward::RouteEntry::Action::respond;
            entry.status = route.respond->status;
            entry.respond = *route.respond;
        } else {
            entry.pool = pools_.at(route.pool);
            const auto& pool = config_.pools[entry.pool];
            entry.policy = route.balance.value_or(pool.balance);
            entry.timeouts = merged(pool.timeouts, route.timeouts);
        }
        entry.max_body = route.max_body.value_or(UINT64_MAX);
        if (route.bandwidth.per_client != 0 || route.bandwidth.total != 0)
            entry.bandwidth = state_.bandwidths.get(
                config::identity_of(route), [] { return std::shared_ptr<forward::Bandwidth>{new forward::Bandwidth}; });
        auto filters = filter::make_filters(route, surroundings_);
        if (!filters) {
            errors_.push_back("route " + route.name + ": " + filters.error());
            return entry;
        }
        entry.request_filters = std::move(filters->request);
        entry.response_filters = std::move(filters->response);
        return entry;
    }

  private:
    const config::Config& config_;
    RunTimeState& state_;
    const PoolIndex& pools_;
    const filter::Surroundings surroundings_;
    Errors& errors_;
};

/// Reads each password file once.
auto password_reader(const SnapshotSources& sources, forward::Snapshot& snapshot) {
    return [&sources,
            &snapshot](const std::string& file) -> std::expected<std::shared_ptr<const base::Htpasswd>, std::string> {
        auto& users = snapshot.passwords[file];
        if (users) return users;
        const base::Htpasswd* before = nullptr;
        if (sources.previous != nullptr) {
            const auto known = sources.previous->passwords.find(file);
            if (known != sources.previous->passwords.end()) before = known->second.get();
        }
        auto read = base::Htpasswd::load(file, before);
        if (!read) return std::unexpected(std::move(read.error()));
        users = std::make_shared<const base::Htpasswd>(std::move(*read));
        return users;
    };
}

std::shared_ptr<const upstream::Pool> build_pool(const SnapshotSources& sources, std::size_t index, Errors& errors) {
    const auto& config = sources.config->pools[index];
    auto basis = std::make_shared<upstream::PoolBasis>();
    basis->config =
        std::make_shared<const config::Pool>(config);  // a tunnel keeps the pool, not all of a configuration
    basis->cookie_key = read_key(config, errors);
    basis->state = sources.state.pools.get(config.name, [&] {
        // Not make_shared(): a name that is remembered would keep the memory of what went by it.
        return std::shared_ptr<upstream::PoolState>{new upstream::PoolState{config.name, sources.on_transition}};
    });
    basis->counts = sources.counts.pools[index];
    return std::make_shared<const upstream::Pool>(std::move(basis), sources.addresses);
}

/// What follows from the pools.
void finish_pools(forward::Snapshot& snapshot) {
    snapshot.endpoint_ids.clear();
    for (const auto& pool : snapshot.pools)
        for (const auto& endpoint : pool->endpoints()) snapshot.endpoint_ids.push_back(endpoint.id());
    std::ranges::sort(snapshot.endpoint_ids);
    // Some policies make a table for the whole pool on first use: here, not on a worker.
    std::set<std::pair<std::size_t, config::Policy>> used;
    for (const auto& route : snapshot.routes->entries)
        if (route.action == forward::RouteEntry::Action::forward && used.emplace(route.pool, route.policy).second)
            (void)upstream::make_balancer(route.policy, snapshot.pools[route.pool], 0);
}

}  // namespace

Counts counts_of(const config::Config& config, observe::Statistics& statistics) {
    Counts counts;
    for (const auto& route : config.routes) counts.routes.push_back(statistics.route(route.name));
    for (const auto& pool : config.pools) counts.pools.push_back(upstream::counts_of(pool, statistics));
    counts.no_route = statistics.route("none");
    return counts;
}

std::expected<std::shared_ptr<const forward::Snapshot>, std::vector<std::string>> build_snapshot(
    const SnapshotSources& sources) {
    Errors errors;
    const auto& config = *sources.config;
    const auto snapshot = std::make_shared<forward::Snapshot>(config.routes);
    snapshot->config = sources.config;
    PoolIndex index;
    for (std::size_t i = 0; i < config.pools.size(); ++i) {
        index.emplace(config.pools[i].name, i);
        snapshot->pools.push_back(build_pool(sources, i, errors));
    }
    RouteBuilder builder{sources, index, {password_reader(sources, *snapshot), sources.checks}, errors};
    const auto routes = std::make_shared<forward::Routes>();
    routes->entries.reserve(config.routes.size());
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        routes->entries.push_back(builder.build(config.routes[i]));
        routes->entries.back().counters = sources.counts.routes[i];
    }
    routes->none.name = "none";
    routes->none.counters = sources.counts.no_route;
    snapshot->routes = routes;
    finish_pools(*snapshot);
    snapshot->request_limits = {config.limits.header_size, config.limits.uri_size, config.limits.header_count};
    // Servers may say more than clients, but not without end.
    snapshot->response_limits = {std::max<std::size_t>(config.limits.header_size, 64 * 1024), SIZE_MAX,
                                 std::max<std::size_t>(config.limits.header_count, 256)};
    if (!errors.empty()) return std::unexpected{std::move(errors)};
    return snapshot;
}

std::shared_ptr<const forward::Snapshot> with_addresses(const forward::Snapshot& snapshot,
                                                        const upstream::Addresses& addresses) {
    std::shared_ptr<forward::Snapshot> next;
    for (std::size_t i = 0; i < snapshot.pools.size(); ++i) {
        const auto& pool = *snapshot.pools[i];
        if (pool.has(addresses)) continue;
        if (!next) next = std::make_shared<forward::Snapshot>(snapshot);
        next->pools[i] = std::make_shared<const upstream::Pool>(pool.basis(), addresses);
    }
    if (next) finish_pools(*next);
    return next;
}

void go_live(const forward::Snapshot& snapshot, const forward::Snapshot* before) {
    const auto now = std::chrono::steady_clock::now();
    const bool same_routes = before != nullptr && before->routes == snapshot.routes;
    for (std::size_t i = 0; i < snapshot.pools.size(); ++i)
        if (!same_routes || snapshot.pools[i] != before->pools[i]) snapshot.pools[i]->activate(now);
    if (same_routes) return;
    for (std::size_t i = 0; i < snapshot.routes->entries.size(); ++i)
        if (const auto& bandwidth = snapshot.routes->entries[i].bandwidth)
            bandwidth->limit(snapshot.config->routes[i].bandwidth, now);
}

}  // namespace nsboot_lb::server
