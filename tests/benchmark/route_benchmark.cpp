// What finding the route of a request costs, with 1, 10 and 1,000 routes of the usual mix: exact paths, prefixes, hosts
// with prefixes, and at last everything else. A request of the middle and one that only the last route takes.
#include <string>

#include <benchmark/benchmark.h>

#include "nsboot_lb/route/route_table.hpp"

namespace nsboot_lb::route {
namespace {

using config::PathMatch;

std::vector<config::Route> usual_mix(std::size_t count) {
    std::vector<config::Route> routes(count);
    for (std::size_t i = 0; i + 1 < count; ++i) {
        auto& match = routes[i].match;
        const auto kind = i % 4 == 0 ? PathMatch::exact : PathMatch::prefix;
        match.path.push_back(
            {.kind = kind, .text = "/section" + std::to_string(i % 7) + "/item" + std::to_string(i), .position = {}});
        if (i % 4 == 2) match.host = {"host" + std::to_string(i % 50) + ".example.com"};
        if (i % 4 == 3) match.host = {"*.site" + std::to_string(i % 50) + ".example.com"};
        if (i % 10 == 0) match.method = {"GET", "HEAD"};
    }
    return routes;
}

void run(benchmark::State& state, const std::vector<config::Route>& routes, std::string_view host,
         std::string_view path) {
    const RouteTable table(routes);
    const RouteRequest request{
        .host = host, .path = path, .method = "GET", .head = nullptr, .websocket = false, .client = {}};
    for (auto _ : state) benchmark::DoNotOptimize(table.match(request));
}

void route_of_the_middle(benchmark::State& state) {
    const auto routes = usual_mix(static_cast<std::size_t>(state.range(0)));
    const auto& match = routes[routes.size() / 2].match;
    const auto path = match.path.empty() ? std::string("/x") : match.path.front().text;
    run(state, routes, match.host.empty() ? "boot.site3.example.com" : match.host.front(), path);
}

void route_of_everything_else(benchmark::State& state) {
    run(state, usual_mix(static_cast<std::size_t>(state.range(0))), "boot.site3.example.com",
        "/section3/images/debian-12/installer/amd64/linux");
}

void route_by_encoded_path(benchmark::State& state) {
    run(state, usual_mix(static_cast<std::size_t>(state.range(0))), "Boot.Site3.example.com:8080",
        "/section3//images/%64ebian-12/../debian-12/installer/amd64/linux");
}

BENCHMARK(route_of_the_middle)->Arg(1)->Arg(10)->Arg(1000);
BENCHMARK(route_of_everything_else)->Arg(1)->Arg(10)->Arg(1000);
BENCHMARK(route_by_encoded_path)->Arg(1)->Arg(10)->Arg(1000);

/// One route that looks at no request at all.
void route_without_match(benchmark::State& state) {
    run(state, std::vector<config::Route>(1), "host", "/path");
}
BENCHMARK(route_without_match);

/// A thousand expressions, which no index helps with, for comparison.
void route_by_regex(benchmark::State& state) {
    std::vector<config::Route> routes(static_cast<std::size_t>(state.range(0)));
    for (std::size_t i = 0; i < routes.size(); ++i) {
        routes[i].match.path.push_back(
            {.kind = PathMatch::regex, .text = "/v" + std::to_string(i) + "/[a-z]+", .position = {}});
    }
    run(state, routes, "host", "/v/boot/linux");
}
BENCHMARK(route_by_regex)->Arg(1)->Arg(10)->Arg(1000);

}  // namespace
}  // namespace nsboot_lb::route
