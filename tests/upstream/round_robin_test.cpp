#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using config::Policy;

struct Turns {
    const char* what;
    std::vector<ServerSpec> servers;
    std::string expected;
};

class RoundRobinTurns : public ::testing::TestWithParam<Turns> {};

TEST_P(RoundRobinTurns, AreAsExpected) {
    const TestPool pool(GetParam().servers);
    const auto balancer = pool.balancer(Policy::weighted);
    EXPECT_EQ(picks(*balancer, pool.context(), GetParam().expected.size()), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Weights, RoundRobinTurns,
                         ::testing::Values(Turns{"one", {{1}}, "aaaa"}, Turns{"equal", {{1}, {1}, {1}}, "abcabcabc"},
                                           Turns{"three_two_one", {{3}, {2}, {1}}, "abacbaabacba"},
                                           Turns{"as_nginx_documents", {{5}, {1}, {1}}, "aabacaaaabacaa"},
                                           Turns{"zero_gets_nothing", {{1}, {0}, {1}}, "acac"},
                                           Turns{"only_zero", {{0}, {0}}, "--"}, Turns{"no_servers", {}, "--"}),
                         [](const auto& info) { return std::string{info.param.what}; });

TEST(RoundRobin, SharesAreExactOverEveryPeriodWhateverTheWorkersSeed) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
        const TestPool pool({{3}, {2}, {1}});
        const auto balancer = pool.balancer(Policy::round_robin, seed);
        for (int period = 0; period < 100; ++period)
            EXPECT_THAT(counts(*balancer, pool.context(), 6),
                        ::testing::ElementsAre(::testing::Pair(0, 3), ::testing::Pair(1, 2), ::testing::Pair(2, 1)));
    }
}

TEST(RoundRobin, SharesAreExactInAPoolOfHundredsOfDifferentWeights) {
    std::vector<ServerSpec> servers(300);
    int total = 0;
    for (std::size_t i = 0; i < servers.size(); ++i) total += static_cast<int>(servers[i].weight = i % 7 + 1);
    const TestPool pool(servers);
    const auto balancer = pool.balancer(Policy::weighted);
    const auto picked = counts(*balancer, pool.context(), total);
    for (std::size_t i = 0; i < servers.size(); ++i) EXPECT_EQ(picked.at(i), servers[i].weight) << i;
}

TEST(RoundRobin, WorkersBeginAtDifferentServers) {
    const TestPool pool({{1}, {1}, {1}});
    std::string first;
    for (std::uint64_t worker = 0; worker < 3; ++worker)
        first += picks(*pool.balancer(Policy::round_robin, worker), pool.context(), 1);
    EXPECT_EQ(first, "abc");
}

TEST(RoundRobin, InALargePoolAFullGroupPassesItsTurnOn) {
    std::vector<ServerSpec> servers(40, {.weight = 1, .max_connections = 1, .backup = false});
    const TestPool pool(servers);
    const auto balancer = pool.balancer(Policy::round_robin);
    std::vector<InFlight> slots;
    for (std::size_t i = 0; i < 39; ++i) slots.push_back(InFlight::try_begin(pool.pool()->endpoint(i)));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(balancer->pick(pool.context()), 39);
}

TEST(RoundRobin, SharesAreExactFromTheMomentASlowStartEnds) {
    auto config = pool_config({{1}, {1}});
    config.slow_start = 100s;
    TestPool pool(config);
    const auto balancer = pool.balancer(Policy::round_robin);
    pool.state(1).set_active_health(false, "status 503", pool.now);
    pool.state(1).set_active_health(true, "2 checks passed", pool.now);
    pool.now += 99s + 10ms;
    picks(*balancer, pool.context(), 1000);
    pool.now += 990ms;
    EXPECT_THAT(counts(*balancer, pool.context(), 1000),
                ::testing::ElementsAre(::testing::Pair(0, 500), ::testing::Pair(1, 500)));
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
