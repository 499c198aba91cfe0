#pragma once
/// Pools for tests, without sockets or clocks: servers a, b, c … at 10.0.0.1:80, 10.0.0.2:80 …, and a time that stands
/// still until it is moved.
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nsboot_lb/upstream/admission.hpp"
#include "nsboot_lb/upstream/balancer.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::upstream::testing {

using namespace std::chrono_literals;

inline constexpr TimePoint start = TimePoint{} + 1h;

struct ServerSpec {
    std::uint32_t weight = 1;
    std::uint32_t max_connections = 0;
    bool backup = false;
};

/// "a" … "z", "aa", "ab" …
inline std::string server_name(std::size_t index) {
    std::string name(1, static_cast<char>('a' + index % 26));
    return index < 26 ? name : server_name(index / 26 - 1) + name;
}

inline config::Pool pool_config(const std::vector<ServerSpec>& servers) {
    config::Pool pool;
    pool.name = "pool";
    for (std::size_t i = 0; i < servers.size(); ++i) {
        config::Server server;
        server.name = server_name(i);
        server.host = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
        server.port = 80;
        server.weight = servers[i].weight;
        server.max_connections = servers[i].max_connections;
        server.backup = servers[i].backup;
        pool.servers.push_back(server);
    }
    return pool;
}

/// A pool, its time, and what its endpoints reported.
class TestPool {
  public:
    explicit TestPool(std::initializer_list<ServerSpec> servers) : TestPool(std::vector(servers)) {}
    explicit TestPool(const std::vector<ServerSpec>& servers) : TestPool(pool_config(servers)) {}
    explicit TestPool(config::Pool config) { rebuild(std::move(config)); }

    /// As a reload does.
    void rebuild(config::Pool config, const Addresses& addresses = {}) {
        auto counts = counts_of(config, statistics_);
        const auto basis = std::make_shared<PoolBasis>(std::make_shared<const config::Pool>(std::move(config)),
                                                       "secret", state_, std::move(counts));
        follow(std::make_shared<Pool>(basis, addresses));
    }
    /// As a changed DNS answer does.
    void change_addresses(const Addresses& addresses) { follow(std::make_shared<Pool>(pool_->basis(), addresses)); }

    std::unique_ptr<Balancer> balancer(config::Policy policy, std::uint64_t seed = 0) const {
        return make_balancer(policy, pool_, seed);
    }
    const std::shared_ptr<const Pool>& pool() const { return pool_; }
    EndpointState& state(std::size_t index) const { return *pool_->endpoint(index).state; }
    /// Makes a server be ejected by live traffic.
    void eject(std::size_t index) const {
        for (std::uint32_t i = 0; i < pool_->config().passive_health.max_fails; ++i)
            state(index).report_failure(Failure::reset, now);
    }

    PickContext context() const { return {.client = {}, .path = "/", .cookie_value = {}, .tried = {}, .now = now}; }

    TimePoint now = start;
    std::vector<std::string> transitions;  ///< "a ejected: 3 failures, last: connection reset"

  private:
    void follow(std::shared_ptr<const Pool> next) {
        next->activate(now);
        pool_ = std::move(next);
    }

    observe::Statistics statistics_{1};
    const std::shared_ptr<PoolState> state_ = std::make_shared<PoolState>("pool", [this](const Transition& transition) {
        transitions.push_back(std::string{transition.server} + " " + std::string{transition.what} + ": " +
                              std::string{transition.reason});
    });
    std::shared_ptr<const Pool> pool_;
};

/// So many picks as letters, "abcabc"; '-' where nothing was picked.
inline std::string picks(Balancer& balancer, const PickContext& context, std::size_t count) {
    std::string letters;
    for (std::size_t i = 0; i < count; ++i) {
        const auto picked = balancer.pick(context);
        letters += picked ? server_name(*picked) : "-";
    }
    return letters;
}

/// How often each endpoint is picked.
inline std::map<std::size_t, int> counts(Balancer& balancer, const PickContext& context, int count) {
    std::map<std::size_t, int> counts;
    for (int i = 0; i < count; ++i)
        if (const auto picked = balancer.pick(context)) ++counts[*picked];
    return counts;
}

inline base::IpAddress client(std::uint32_t number) {
    return base::IpAddress::from_v4(0x0a010000U + number);
}

/// Every policy, for what holds for all of them.
inline constexpr auto every_policy = config::policies;

}  // namespace nsboot_lb::upstream::testing
