/// How long a reload of a large configuration takes, from the signal to the first answer under it, and what requests
/// notice of it: reload_latency [CLIENTS]. The daemon, its clients and its servers share the machine.
#include <algorithm>
#include <iostream>
#include <signal.h>
#include <string>
#include <thread>
#include <vector>

#include "client.hpp"
#include "daemon.hpp"
#include "traffic.hpp"

namespace {

using namespace nsboot_lb::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Durations = std::vector<std::chrono::microseconds>;

constexpr std::size_t pools = 50;
constexpr std::size_t servers_each = 20;
constexpr std::size_t routes = 1000;
constexpr std::size_t hosts = 37;
constexpr std::size_t reloads = 30;
constexpr std::size_t default_clients = 8;
constexpr auto quiet_time = 3s;
constexpr auto between_reloads = 100ms;
/// A reload's last traces, such as the old configuration's end.
constexpr auto aftermath = 20ms;

/// Every address moves to another server from one turn to the next.
std::string config_of(const std::vector<std::string>& addresses, std::size_t turn) {
    std::string text = "workers: 2\nlisteners: [{name: main, address: \"127.0.0.1:0\"}]\npools:\n";
    for (std::size_t pool = 0; pool < pools; ++pool) {
        text += "  pool-" + std::to_string(pool) + ":\n    servers:\n";
        for (std::size_t server = 0; server < servers_each; ++server) {
            text += "      - {address: \"" + addresses[(server + turn) % addresses.size()] + "\", name: s" +
                    std::to_string(server) + "}\n";
        }
    }
    text += "routes:\n  - {match: {path: /turn}, respond: {body: \"" + std::to_string(turn) + "\"}}\n";
    for (std::size_t route = 2; route < routes; ++route) {
        text += "  - {match: {host: h" + std::to_string(route % hosts) + ".example.com, path_prefix: /some/path/" +
                std::to_string(route) + "}, pool: pool-" + std::to_string(route % pools) + "}\n";
    }
    return text + "  - {pool: pool-0}\n";
}

void print(std::string_view when, Durations durations) {
    std::ranges::sort(durations);
    const auto quantile = [&](double of) {
        const auto index = static_cast<std::size_t>(of * static_cast<double>(durations.size()));
        return durations.at(std::min(index, durations.size() - 1)).count();
    };
    std::cout << when << ": " << durations.size() << " requests, us: p50 " << quantile(0.5) << ", p99 "
              << quantile(0.99) << ", p99.9 " << quantile(0.999) << ", longest " << quantile(1) << '\n';
}

}  // namespace

int main(int count, char** arguments) {
    Traffic traffic{6};
    Daemon daemon{config_of(traffic.servers(), 0)};
    Client asking = daemon.connect();
    traffic.add_clients(Door{daemon.port("main"), ""}, count > 1 ? std::stoul(arguments[1]) : default_clients);
    traffic.start();
    std::this_thread::sleep_for(quiet_time);
    print("without", traffic.take_durations());

    Durations live;
    Durations during;
    for (std::size_t turn = 1; turn <= reloads; ++turn) {
        daemon.rewrite_config(config_of(traffic.servers(), turn));
        (void)traffic.take_durations();
        const auto began = Clock::now();
        daemon.signal(SIGHUP);
        while (asking.exchange(get("/turn")).body != std::to_string(turn)) std::this_thread::sleep_for(1ms);
        live.push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
        std::this_thread::sleep_for(aftermath);
        const auto meanwhile = traffic.take_durations();
        during.insert(during.end(), meanwhile.begin(), meanwhile.end());
        std::this_thread::sleep_for(between_reloads);
    }
    print("meanwhile", std::move(during));
    print("signal to live", std::move(live));
    for (const auto& failure : traffic.finish()) std::cout << failure << '\n';
    return 0;
}
