#include "upstream_metrics.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace nsboot_lb::admin {

namespace {

struct Server {
    bool up = false;
    bool draining = true;
    std::uint32_t weight = 0;
};

using ServerName = std::pair<std::string, std::string>;

std::map<ServerName, Server> by_name(const std::vector<PoolStatus>& pools) {
    std::map<ServerName, Server> servers;
    for (const PoolStatus& pool : pools) {
        for (const ServerStatus& endpoint : pool.servers) {
            Server& server = servers[{pool.name, endpoint.name}];
            server.up = server.up || endpoint.up;
            server.draining = server.draining && endpoint.draining;
            server.weight = std::max(server.weight, endpoint.weight);
        }
    }
    return servers;
}

void collect_pools(const std::vector<PoolStatus>& pools, observe::MetricFamilies& into) {
    using prometheus::MetricType;
    prometheus::MetricFamily available{"nsboot_lb_pool_available",
                                       "Whether a new request would be given to a server or could wait for one.",
                                       MetricType::Gauge,
                                       {}};
    prometheus::MetricFamily limit{
        "nsboot_lb_queue_limit", "Requests that may wait for a free slot at a server.", MetricType::Gauge, {}};
    for (const PoolStatus& pool : pools) {
        const auto add = [&pool](prometheus::MetricFamily& family, double value) {
            auto& metric = family.metric.emplace_back();
            metric.label = {{"pool", pool.name}};
            metric.gauge.value = value;
        };
        add(available, pool.available ? 1 : 0);
        add(limit, static_cast<double>(pool.queue_limit));
    }
    into.push_back(std::move(available));
    into.push_back(std::move(limit));
}

}  // namespace

void collect_upstream_state(const std::vector<PoolStatus>& pools, observe::MetricFamilies& into) {
    using prometheus::MetricType;
    collect_pools(pools, into);
    prometheus::MetricFamily up{"nsboot_lb_upstream_up", "Whether the server is in service.", MetricType::Gauge, {}};
    prometheus::MetricFamily draining{
        "nsboot_lb_upstream_draining", "Whether the server gets no new requests.", MetricType::Gauge, {}};
    prometheus::MetricFamily weight{"nsboot_lb_upstream_weight", "The server's weight.", MetricType::Gauge, {}};
    for (const auto& [name, server] : by_name(pools)) {
        const auto add = [&name](prometheus::MetricFamily& family, double value) {
            auto& metric = family.metric.emplace_back();
            metric.label = {{"pool", name.first}, {"server", name.second}};
            metric.gauge.value = value;
        };
        add(up, server.up ? 1 : 0);
        add(draining, server.draining ? 1 : 0);
        add(weight, server.weight);
    }
    into.push_back(std::move(up));
    into.push_back(std::move(draining));
    into.push_back(std::move(weight));
}

}  // namespace nsboot_lb::admin
