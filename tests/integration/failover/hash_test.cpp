/// ip-hash over 120 addresses of clients while a server is killed and comes back.
#include <map>

#include <gmock/gmock.h>

#include "client.hpp"
#include "cluster.hpp"
#include "server_status.hpp"

namespace nsboot_lb::test {
namespace {

/// 127.0.5.1 to 127.0.5.60 and 127.0.6.1 to 127.0.6.60: two networks of neighbours.
std::vector<std::string> sources() {
    std::vector<std::string> all;
    for (const std::string network : {"127.0.5.", "127.0.6."})
        for (int host = 1; host <= 60; ++host) all.push_back(network + std::to_string(host));
    return all;
}

using Placement = std::map<std::string, std::string>;

/// Who serves each source. Asks twice, on connections of their own, which must agree.
Placement placement(const Daemon& daemon) {
    Placement servers;
    for (const auto& source : sources()) {
        const auto first = daemon.connect(source).exchange(get("/boot/menu.ipxe"));
        const auto second = daemon.connect(source).exchange(get("/api/system/info"));
        EXPECT_EQ(first.status(), 200);
        EXPECT_EQ(second.status(), 200);
        servers[source] = first.field("X-Served-By");
        EXPECT_EQ(second.field("X-Served-By"), servers[source]) << source;
    }
    return servers;
}

std::map<std::string, int> counts(const Placement& placed) {
    std::map<std::string, int> clients;
    for (const auto& [source, server] : placed) ++clients[server];
    return clients;
}

TEST(IpHash, AKilledServersClientsAloneMoveAndTheyReturnWithIt) {
    auto servers = three_servers();
    const Daemon daemon{R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0"}
pools:
  nsboot:
    balance: ip-hash
    servers: [{address: "$1", name: nsboot-1}, {address: "$2", name: nsboot-2}, {address: "$3", name: nsboot-3}]
    health_check: {path: /health, interval: 100ms}
routes:
  - pool: nsboot
admin: {address: "127.0.0.1:0"}
)",
                        addresses_of(servers)};
    const auto before = placement(daemon);
    // Where a client goes depends on its address and on the servers' names, not on today's ports.
    for (const auto& [server, clients] : counts(before)) EXPECT_NEAR(clients, 40, 13) << server;

    servers[1]->kill();
    await_standing(daemon, "nsboot-2", "unhealthy");
    const auto without = placement(daemon);
    for (const auto& [source, server] : before) {
        if (server == "nsboot-2")
            EXPECT_NE(without.at(source), "nsboot-2");
        else
            EXPECT_EQ(without.at(source), server) << source;
    }
    const auto lost = counts(before)["nsboot-2"];
    for (const auto* heir : {"nsboot-1", "nsboot-3"})
        EXPECT_GT(counts(without)[heir] - counts(before)[heir], lost / 5) << "both inherit: " << heir;

    servers[1]->start();
    await_standing(daemon, "nsboot-2", "available");
    EXPECT_EQ(placement(daemon), before);
}

}  // namespace
}  // namespace nsboot_lb::test
