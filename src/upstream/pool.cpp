#include "nsboot_lb/upstream/pool.hpp"

#include <algorithm>
#include <utility>

#include "balancer/slot_table.hpp"

namespace nsboot_lb::upstream {

namespace {

PassivePolicy passive_policy(const config::Pool& config) {
    return {.max_fails = config.passive_health.max_fails, .fail_timeout = config.passive_health.fail_timeout};
}

std::string address_text(const base::IpAddress& address, std::uint16_t port) {
    return (address.is_v4() ? address.text() : "[" + address.text() + "]") + ":" + std::to_string(port);
}

/// The addresses of a TCP server: itself if it is one, else what its name stands for.
std::vector<base::IpAddress> addresses_of(const config::Server& server, const Addresses& known) {
    if (const auto literal = base::IpAddress::parse(server.host)) return {*literal};
    const auto answer = known.find(server.host);
    return answer != known.end() ? answer->second : std::vector<base::IpAddress>{};
}

Endpoint unbound_endpoint(const config::Pool& pool, const config::Server& server) {
    Endpoint endpoint;
    endpoint.pool = pool.name;
    endpoint.server = server.name;
    endpoint.port = server.port;
    endpoint.host = server.unix_path.empty() ? server.address() : "localhost";
    endpoint.configured_weight = server.weight;
    endpoint.max_connections = server.max_connections;
    endpoint.backup = server.backup;
    return endpoint;
}

std::vector<Endpoint> expand(const PoolBasis& basis, const Addresses& addresses) {
    const auto& pool = *basis.config;
    std::vector<Endpoint> endpoints;
    endpoints.reserve(pool.servers.size());
    for (std::size_t i = 0; i < pool.servers.size(); ++i) {
        const auto& server = pool.servers[i];
        auto endpoint = unbound_endpoint(pool, server);
        endpoint.counters = basis.counts.servers[i];
        if (!server.unix_path.empty()) {
            endpoint.unix_path = server.unix_path;
            endpoint.text = server.address();
            endpoints.push_back(std::move(endpoint));
            continue;
        }
        for (const auto& address : addresses_of(server, addresses)) {
            endpoint.address = address;
            endpoint.text = address_text(address, server.port);
            endpoints.push_back(endpoint);
        }
    }
    // Indices are 16 bits wide; what does not fit is left out.
    if (endpoints.size() > UINT16_MAX) endpoints.resize(UINT16_MAX);
    for (std::size_t i = 0; i < endpoints.size(); ++i) endpoints[i].index = static_cast<std::uint16_t>(i);
    return endpoints;
}

std::vector<Endpoint> endpoints_of(const PoolBasis& basis, const Addresses& addresses) {
    auto endpoints = expand(basis, addresses);
    for (auto& endpoint : endpoints) {
        endpoint.state = basis.state->endpoints.get(endpoint.server + ' ' + endpoint.text, [&] {
            return std::shared_ptr<EndpointState>{
                new EndpointState(basis.state, endpoint.server, endpoint.text, passive_policy(*basis.config))};
        });
    }
    return endpoints;
}

bool contains(std::span<const std::uint16_t> tried, std::size_t index) {
    return std::ranges::find(tried, static_cast<std::uint16_t>(index)) != tried.end();
}

}  // namespace

PoolState::PoolState(std::string name, TransitionHandler on_transition)
    : name_(std::move(name)), on_transition_(std::move(on_transition)) {}

void PoolState::report(const Transition& transition) const {
    if (on_transition_) on_transition_(transition);
}

PoolCounts counts_of(const config::Pool& pool, observe::Statistics& statistics) {
    PoolCounts counts{.pool = statistics.pool(pool.name), .servers = {}};
    for (const auto& server : pool.servers) counts.servers.push_back(statistics.server(pool.name, server.name));
    return counts;
}

Pool::Pool(std::shared_ptr<const PoolBasis> basis, const Addresses& addresses)
    : basis_(std::move(basis)), endpoints_(endpoints_of(*basis_, addresses)) {}

Pool::~Pool() = default;

void Pool::activate(TimePoint now) const {
    const auto activation = ++state().activations;
    for (const auto& endpoint : endpoints_) {
        auto& joining = *endpoint.state;
        joining.set_passive_policy(passive_policy(config()), now);
        if (!config().health_check) joining.set_active_health(true, "no longer checked", now);
        joining.join(activation, {endpoint.configured_weight, endpoint.max_connections, endpoint.backup}, now);
    }
    state().queue.follow(*this);
    state().availability_changed(now);
}

bool Pool::has(const Addresses& addresses) const {
    auto next = endpoints_.begin();
    for (const auto& server : config().servers) {
        if (!server.unix_path.empty()) {
            ++next;
            continue;
        }
        for (const auto& address : addresses_of(server, addresses)) {
            if (next == endpoints_.end() || next->server != server.name || next->address != address) return false;
            ++next;
        }
    }
    return next == endpoints_.end();
}

bool Pool::available(TimePoint now) const {
    return std::ranges::any_of(endpoints_, [&](const Endpoint& endpoint) {
        return tier_of(endpoint, endpoint.standing(now)) != Tier::closed;
    });
}

std::optional<std::size_t> Pool::index_of(const EndpointState& state) const {
    const auto found = std::ranges::find(endpoints_, &state, [](const Endpoint& e) { return e.state.get(); });
    if (found == endpoints_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - endpoints_.begin());
}

bool Pool::admits(std::size_t index, std::span<const std::uint16_t> tried, TimePoint now) const {
    const auto tier = tier_of(endpoints_[index], endpoints_[index].standing(now));
    if (tier == Tier::closed || contains(tried, index)) return false;
    return tier == Tier::primary || std::ranges::none_of(endpoints_, [&](const Endpoint& other) {
               return tier_of(other, other.standing(now)) < tier && !contains(tried, other.index);
           });
}

const SlotTable& Pool::slot_table() const {
    std::call_once(slot_table_made_, [this] { slot_table_ = std::make_unique<const SlotTable>(endpoints_); });
    return *slot_table_;
}

Tier tier_of(const Endpoint& endpoint, Standing standing) {
    switch (standing) {
        case Standing::available:
        case Standing::probe_due: return endpoint.backup ? Tier::backup : Tier::primary;
        case Standing::ejected: return endpoint.backup ? Tier::last_backup : Tier::last_resort;
        case Standing::draining:
        case Standing::unhealthy:
        case Standing::down: break;
    }
    return Tier::closed;
}

}  // namespace nsboot_lb::upstream
