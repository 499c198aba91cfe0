#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using config::Policy;

constexpr std::uint32_t clients = 120;

/// Which server each of 120 neighbouring addresses goes to.
std::vector<std::size_t> placement(const TestPool& pool, Balancer& balancer) {
    std::vector<std::size_t> servers;
    for (std::uint32_t i = 0; i < clients; ++i) {
        auto context = pool.context();
        context.client = client(i + 1);
        servers.push_back(balancer.pick(context).value());
    }
    return servers;
}

std::vector<std::size_t> placement(const TestPool& pool) {
    return placement(pool, *pool.balancer(Policy::ip_hash));
}

long count_of(const std::vector<std::size_t>& servers, std::size_t server) {
    return std::ranges::count(servers, server);
}

TEST(IpHash, SpreadsANetworksClientsEvenlyWithinAThird) {
    const TestPool pool({{1}, {1}, {1}});
    const auto placed = placement(pool);
    for (std::size_t server = 0; server < 3; ++server)
        EXPECT_NEAR(static_cast<double>(count_of(placed, server)), 40, 13.3);
}

TEST(IpHash, IsTheSameForEveryWorkerAndEveryTime) {
    const TestPool pool({{1}, {1}, {1}});
    const auto balancer = pool.balancer(Policy::ip_hash, 7);
    const auto first = placement(pool, *balancer);
    EXPECT_EQ(placement(pool, *balancer), first);
    EXPECT_EQ(placement(pool, *pool.balancer(Policy::ip_hash, 1)), first);
    const TestPool elsewhere({{1}, {1}, {1}});
    EXPECT_EQ(placement(elsewhere), first) << "two load balancers with one configuration agree";
}

TEST(IpHash, HoldsWhileAllAreEjected) {
    const TestPool pool({{1}, {1}, {1}});
    const auto balancer = pool.balancer(Policy::ip_hash);
    const auto before = placement(pool, *balancer);
    for (std::size_t server = 0; server < 3; ++server) pool.eject(server);
    EXPECT_EQ(placement(pool, *balancer), before);
}

TEST(IpHash, OnlyTheLostServersClientsMoveAndTheyReturn) {
    const TestPool pool({{1}, {1}, {1}});
    const auto balancer = pool.balancer(Policy::ip_hash);
    const auto before = placement(pool, *balancer);
    pool.state(1).set_active_health(false, "test", pool.now);
    const auto without = placement(pool, *balancer);
    for (std::size_t i = 0; i < clients; ++i) {
        if (before[i] == 1)
            EXPECT_NE(without[i], 1);
        else
            EXPECT_EQ(without[i], before[i]) << "client " << i;
    }
    const auto moved_to_a = count_of(without, 0) - count_of(before, 0);
    EXPECT_NEAR(static_cast<double>(moved_to_a), static_cast<double>(count_of(before, 1)) / 2, 10);
    pool.state(1).set_active_health(true, "test", pool.now);
    EXPECT_EQ(placement(pool, *balancer), before);
}

TEST(IpHash, AServerTakenOutOfTheConfigurationMovesOnlyItsClients) {
    TestPool pool({{1}, {1}, {1}, {1}});
    const auto before = placement(pool);
    auto config = pool_config({{1}, {1}, {1}, {1}});
    config.servers.pop_back();
    pool.rebuild(config);
    const auto without = placement(pool);
    for (std::size_t i = 0; i < clients; ++i)
        if (before[i] != 3) EXPECT_EQ(without[i], before[i]) << "client " << i;
}

TEST(IpHash, AServerThatGetsAnotherAddressKeepsItsClients) {
    TestPool pool({{1}, {1}, {1}});
    const auto before = placement(pool);
    auto config = pool_config({{1}, {1}, {1}});
    config.servers[1].host = "10.0.9.9";
    config.servers[2].host.clear();
    config.servers[2].unix_path = "/run/nsboot.sock";
    pool.rebuild(config);
    EXPECT_EQ(placement(pool), before);
}

TEST(IpHash, EachAddressOfANameHasClientsOfItsOwnWhichStayWhenOthersComeAndGo) {
    auto config = pool_config({{1}});
    config.servers[0].host = "nsboot.test";
    TestPool pool(config);
    pool.rebuild(config, {{"nsboot.test", {client(1), client(2), client(3)}}});
    const auto before = placement(pool);
    for (std::size_t address = 0; address < 3; ++address) EXPECT_GT(count_of(before, address), 20);
    pool.rebuild(config, {{"nsboot.test", {client(1), client(2)}}});
    const auto without = placement(pool);
    for (std::size_t i = 0; i < clients; ++i)
        if (before[i] != 2) EXPECT_EQ(without[i], before[i]) << "client " << i;
}

TEST(IpHash, SharesFollowWeights) {
    const TestPool pool({{3}, {2}, {1}});
    const auto balancer = pool.balancer(Policy::ip_hash);
    std::array<int, 3> shares{};
    for (std::uint32_t i = 0; i < 60'000; ++i) {
        auto context = pool.context();
        context.client = client(i);
        ++shares[balancer->pick(context).value()];
    }
    EXPECT_NEAR(shares[0], 30'000, 1'000);
    EXPECT_NEAR(shares[1], 20'000, 1'000);
    EXPECT_NEAR(shares[2], 10'000, 1'000);
}

struct Override {
    std::uint32_t of_a;
    int expected_a;
};
class IpHashOverride : public ::testing::TestWithParam<Override> {};

TEST_P(IpHashOverride, SharesFollowTheOperator) {
    const TestPool pool({{1}, {1}, {1}});
    pool.state(0).override_weight(GetParam().of_a, pool.now);
    const auto balancer = pool.balancer(Policy::ip_hash);
    int of_a = 0;
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        auto context = pool.context();
        context.client = client(i);
        of_a += balancer->pick(context) == 0;
    }
    EXPECT_NEAR(of_a, GetParam().expected_a, 300);
}

INSTANTIATE_TEST_SUITE_P(Weights, IpHashOverride,
                         ::testing::Values(Override{0, 0}, Override{1, 3'333}, Override{2, 5'000}, Override{8, 8'000},
                                           Override{98, 9'800}));

TEST(IpHash, ASlowStartBringsClientsBackBitByBit) {
    auto config = pool_config({{1}, {1}, {1}});
    config.slow_start = 100s;
    TestPool pool(config);
    const auto balancer = pool.balancer(Policy::ip_hash);
    const auto before = placement(pool, *balancer);
    pool.state(1).set_active_health(false, "test", pool.now);
    placement(pool, *balancer);
    pool.state(1).set_active_health(true, "test", pool.now);
    long last = 0;
    for (int i = 0; i <= 10; ++i, pool.now += 10s) {
        const auto placed = placement(pool, *balancer);
        for (std::size_t c = 0; c < clients; ++c)
            if (before[c] != 1) EXPECT_EQ(placed[c], before[c]);
        EXPECT_GE(count_of(placed, 1), last);
        last = count_of(placed, 1);
    }
    EXPECT_EQ(placement(pool, *balancer), before);
}

TEST(IpHash, WithNearlyAllServersOutStillFindsTheLast) {
    const TestPool pool(std::vector<ServerSpec>(300));
    const auto balancer = pool.balancer(Policy::ip_hash);
    for (std::size_t i = 0; i < 300; ++i)
        if (i != 123) pool.state(i).set_active_health(false, "test", pool.now);
    for (const auto server : placement(pool, *balancer)) EXPECT_EQ(server, 123);
}

TEST(IpHash, UsesBackupServersWhenAllOthersAreOut) {
    const TestPool pool({{1}, {1, 0, true}, {1, 0, true}});
    const auto balancer = pool.balancer(Policy::ip_hash);
    pool.state(0).set_active_health(false, "test", pool.now);
    const auto placed = placement(pool, *balancer);
    EXPECT_GT(count_of(placed, 1), 30);
    EXPECT_GT(count_of(placed, 2), 30);
}

std::size_t server_of(const TestPool& pool, Balancer& balancer, std::string_view path) {
    auto context = pool.context();
    context.path = path;
    return balancer.pick(context).value();
}

TEST(UriHash, GoesByThePathWithoutItsQuery) {
    const TestPool pool({{1}, {1}, {1}});
    const auto balancer = pool.balancer(Policy::uri_hash);
    std::set<std::size_t> used;
    for (int i = 0; i < 50; ++i) {
        const auto path = "/images/" + std::to_string(i);
        used.insert(server_of(pool, *balancer, path));
        EXPECT_EQ(server_of(pool, *balancer, path + "?mac=1"), server_of(pool, *balancer, path));
    }
    EXPECT_EQ(used.size(), 3);
}

TEST(UriHash, OnlyTheLostServersPathsMoveAndTheyReturn) {
    const TestPool pool({{1}, {1}, {1}});
    const auto balancer = pool.balancer(Policy::uri_hash);
    const auto all = [&] {
        std::vector<std::size_t> servers;
        for (int i = 0; i < 300; ++i) servers.push_back(server_of(pool, *balancer, "/images/" + std::to_string(i)));
        return servers;
    };
    const auto before = all();
    pool.state(2).set_admin_state(AdminState::drain, pool.now);
    const auto without = all();
    for (std::size_t i = 0; i < before.size(); ++i)
        if (before[i] != 2) EXPECT_EQ(without[i], before[i]);
    EXPECT_EQ(count_of(without, 2), 0);
    pool.state(2).set_admin_state(AdminState::up, pool.now);
    EXPECT_EQ(all(), before);
}

TEST(UriHash, OneHotPathNeverPutsMoreThanOneAndAHalfSharesOnAServer) {
    const TestPool pool({{2}, {1}, {1}});
    const auto balancer = pool.balancer(Policy::uri_hash);
    std::vector<InFlight> slots;
    auto context = pool.context();
    context.path = "/images/hot";
    for (int total = 1; total <= 400; ++total) {
        slots.push_back(std::move(admit(*balancer, *pool.pool(), context)->slot));
        EXPECT_LE(pool.state(0).in_flight(), std::ceil(1.5 * total / 2));
        EXPECT_LE(pool.state(1).in_flight(), std::ceil(1.5 * total / 4));
        EXPECT_LE(pool.state(2).in_flight(), std::ceil(1.5 * total / 4));
    }
}

TEST(UriHash, TheBoundHoldsInAPoolOfHundredsToo) {
    const TestPool pool(std::vector<ServerSpec>(100));
    const auto balancer = pool.balancer(Policy::uri_hash);
    std::vector<InFlight> slots;
    auto context = pool.context();
    context.path = "/images/hot";
    for (int total = 1; total <= 2000; ++total)
        slots.push_back(std::move(admit(*balancer, *pool.pool(), context)->slot));
    for (std::size_t i = 0; i < 100; ++i) EXPECT_LE(pool.state(i).in_flight(), 30) << i;
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
