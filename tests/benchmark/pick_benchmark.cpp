// What choosing an endpoint costs, for each policy in pools of 3, 30 and 300 servers: pick() alone on a pool that is
// well, pick() with the slot taken and given back, and the rebuild after a server's standing changed.
#include <string>

#include <benchmark/benchmark.h>

#include "nsboot_lb/upstream/admission.hpp"
#include "nsboot_lb/upstream/balancer.hpp"

namespace nsboot_lb::upstream {
namespace {

using config::Policy;

std::shared_ptr<const Pool> pool_of(std::size_t size) {
    config::Pool config;
    config.name = "pool";
    for (std::size_t i = 0; i < size; ++i) {
        config::Server server;
        server.name = "server-" + std::to_string(i);
        server.host = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
        server.port = 80;
        server.weight = static_cast<std::uint32_t>(i % 3 + 1);
        config.servers.push_back(server);
    }
    static observe::Statistics statistics{1};
    auto counts = counts_of(config, statistics);
    const auto basis = std::make_shared<PoolBasis>(std::make_shared<const config::Pool>(std::move(config)), "",
                                                   std::make_shared<PoolState>("pool", nullptr), std::move(counts));
    return std::make_shared<const Pool>(basis, Addresses{});
}

/// A request of each of many clients, for one of many files.
class Requests {
  public:
    PickContext next() {
        number_ = number_ * 1664525 + 1013904223;
        path_[8] = static_cast<char>('a' + (number_ >> 28));
        path_[9] = static_cast<char>('a' + (number_ >> 24 & 15));
        return {.client = base::IpAddress::from_v4(number_),
                .path = path_,
                .cookie_value = {},
                .tried = {},
                .now = TimePoint{} + std::chrono::hours{1}};
    }

  private:
    std::uint32_t number_ = 1;
    std::string path_ = "/images/xx.img";
};

void pick(benchmark::State& state, Policy policy) {
    const auto pool = pool_of(static_cast<std::size_t>(state.range(0)));
    const auto balancer = make_balancer(policy, pool, 0);
    Requests requests;
    for (auto _ : state) benchmark::DoNotOptimize(balancer->pick(requests.next()));
}

void admit_and_end(benchmark::State& state, Policy policy) {
    const auto pool = pool_of(static_cast<std::size_t>(state.range(0)));
    const auto balancer = make_balancer(policy, pool, 0);
    Requests requests;
    for (auto _ : state) benchmark::DoNotOptimize(admit(*balancer, *pool, requests.next()));
}

void pick_after_change(benchmark::State& state, Policy policy) {
    const auto pool = pool_of(static_cast<std::size_t>(state.range(0)));
    const auto balancer = make_balancer(policy, pool, 0);
    Requests requests;
    for (auto _ : state) {
        pool->state().next_generation();
        benchmark::DoNotOptimize(balancer->pick(requests.next()));
    }
}

const bool registered = [] {
    for (const auto policy : {Policy::round_robin, Policy::least_conn, Policy::ip_hash, Policy::uri_hash,
                              Policy::random_two, Policy::cookie_sticky}) {
        const std::string name{config::to_string(policy)};
        benchmark::RegisterBenchmark(("pick/" + name).c_str(), pick, policy)->Arg(3)->Arg(30)->Arg(300);
        benchmark::RegisterBenchmark(("admit_and_end/" + name).c_str(), admit_and_end, policy)->Arg(3);
        benchmark::RegisterBenchmark(("pick_after_change/" + name).c_str(), pick_after_change, policy)
            ->Arg(3)
            ->Arg(300);
    }
    return true;
}();

}  // namespace
}  // namespace nsboot_lb::upstream
