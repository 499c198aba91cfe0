/// What a scrape of a large configuration costs: 50 pools of 20 servers, 100 routes. The budget is
/// 50 ms.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "nsboot_lb/observe/collector.hpp"

namespace {

using namespace std::chrono_literals;
using namespace nsboot_lb::observe;

/// Counters that have all counted something, as after a while of service.
struct LargeSite {
    explicit LargeSite(unsigned workers) : statistics(workers) {
        for (int p = 0; p < 50; ++p) {
            const std::string pool = "pool-" + std::to_string(p);
            pools.push_back(statistics.pool(pool));
            for (int s = 0; s < 20; ++s) add_server(pool, "nsboot-" + std::to_string(s) + ".example.com:80");
        }
        for (int r = 0; r < 100; ++r) {
            const auto route = routes.emplace_back(statistics.route("route-" + std::to_string(r)));
            for (const auto method : {Method::get, Method::head, Method::post}) {
                for (const int status : {200, 404, 502}) route->at(0).finished(method, status, 3ms);
            }
        }
    }
    void add_server(const std::string& pool, const std::string& name) {
        const auto server = servers.emplace_back(statistics.server(pool, name));
        for (unsigned worker = 0; worker < server->workers(); ++worker) {
            ServerCounters& counters = server->at(worker);
            counters.requests[CodeClass::success].add(123'456);
            counters.duration.observe(1234567ns);
            counters.connect_duration.observe(234567ns);
            counters.failures[Reason::connect_refused].add(3);
            counters.failures[Reason::upstream_timeout].add(2);
        }
        health_checks.push_back(statistics.health_checks(pool, name));
    }

    Statistics statistics;
    std::vector<std::shared_ptr<PerWorker<PoolCounters>>> pools;
    std::vector<std::shared_ptr<PerWorker<ServerCounters>>> servers;
    std::vector<std::shared_ptr<PerWorker<RouteCounters>>> routes;
    std::vector<std::shared_ptr<HealthCheckCounters>> health_checks;
};

void scrape(benchmark::State& state) {
    LargeSite site(static_cast<unsigned>(state.range(0)));
    std::size_t bytes = 0;
    for (auto _ : state) {
        MetricFamilies families;
        collect_statistics(site.statistics.view(std::chrono::steady_clock::now()), families);
        collect_process(families);
        bytes = to_text(families).size();
    }
    state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(scrape)->Arg(2)->Arg(16)->Unit(benchmark::kMillisecond);

void collect_only(benchmark::State& state) {
    LargeSite site(static_cast<unsigned>(state.range(0)));
    for (auto _ : state) {
        MetricFamilies families;
        collect_statistics(site.statistics.view(std::chrono::steady_clock::now()), families);
        benchmark::DoNotOptimize(families);
    }
}
BENCHMARK(collect_only)->Arg(2)->Arg(16)->Unit(benchmark::kMillisecond);

void observe_duration(benchmark::State& state) {
    Histogram histogram;
    std::chrono::nanoseconds duration = 1us;
    for (auto _ : state) {
        histogram.observe(duration);
        duration = (duration * 3 + 7us) % 60s;
    }
    benchmark::DoNotOptimize(histogram.count());
}
BENCHMARK(observe_duration);

}  // namespace
