#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using config::Policy;

struct Situation {
    const char* what;
    std::vector<std::uint32_t> weights;
    std::vector<int> in_flight;
    std::string expected;  ///< who is picked, again and again with these counts
};

class LeastConnPicks : public ::testing::TestWithParam<Situation> {};

TEST_P(LeastConnPicks, TheLeastLoadedForItsWeight) {
    std::vector<ServerSpec> servers;
    for (const auto weight : GetParam().weights)
        servers.push_back({.weight = weight, .max_connections = 0, .backup = false});
    const TestPool pool(servers);
    std::vector<InFlight> slots;
    for (std::size_t i = 0; i < servers.size(); ++i)
        for (int n = 0; n < GetParam().in_flight[i]; ++n)
            slots.push_back(InFlight::try_begin(pool.pool()->endpoint(i)));
    const auto balancer = pool.balancer(Policy::least_conn);
    EXPECT_EQ(picks(*balancer, pool.context(), GetParam().expected.size()), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Counts, LeastConnPicks,
                         ::testing::Values(Situation{"idle_takes_turns", {1, 1, 1}, {0, 0, 0}, "abcabc"},
                                           Situation{"idle_takes_weighted_turns", {3, 2, 1}, {0, 0, 0}, "abacba"},
                                           Situation{"least", {1, 1, 1}, {2, 1, 3}, "bbb"},
                                           Situation{"ties_among_some", {1, 1, 1}, {1, 0, 0}, "bcbcbc"},
                                           Situation{"weighted_less_for_its_weight", {3, 1}, {2, 1}, "aaa"},
                                           Situation{"weighted_tie", {2, 1}, {2, 1}, "abaaba"},
                                           Situation{"weighted_more", {3, 1}, {3, 0}, "bbb"}),
                         [](const auto& info) { return std::string{info.param.what}; });

TEST(LeastConn, KeepsCountsLevelAsExchangesBeginAndEnd) {
    const TestPool pool({{1}, {1}, {1}});
    const auto one = pool.balancer(Policy::least_conn, 0);
    const auto other = pool.balancer(Policy::least_conn, 1);
    std::vector<InFlight> slots;
    for (int i = 0; i < 30; ++i) {
        auto admitted = admit(i % 2 == 0 ? *one : *other, *pool.pool(), pool.context());
        ASSERT_TRUE(admitted);
        slots.push_back(std::move(admitted->slot));
    }
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(pool.state(i).in_flight(), 10) << "counts are shared by the workers";
}

TEST(LeastConn, InAPoolOfHundredsNoServerGetsMuchMoreThanItsShare) {
    std::vector<ServerSpec> servers(300);
    servers[7].weight = 10;
    const TestPool pool(servers);
    const auto balancer = pool.balancer(Policy::least_conn);
    std::vector<InFlight> slots;
    for (int i = 0; i < 3090; ++i) slots.push_back(std::move(admit(*balancer, *pool.pool(), pool.context())->slot));
    for (std::size_t i = 0; i < 300; ++i) {
        const double share = 10.0 * servers[i].weight;
        EXPECT_NEAR(pool.state(i).in_flight(), share, std::max(2.0, share * 0.15)) << i;
    }
}

TEST(RandomTwo, SpreadsByWeightAndPrefersTheLessLoaded) {
    const TestPool pool({{1}, {1}, {2}});
    const auto balancer = pool.balancer(Policy::random_two, 3);
    std::vector<InFlight> slots;
    for (int i = 0; i < 400; ++i) slots.push_back(std::move(admit(*balancer, *pool.pool(), pool.context())->slot));
    EXPECT_NEAR(pool.state(0).in_flight(), 100, 10);
    EXPECT_NEAR(pool.state(1).in_flight(), 100, 10);
    EXPECT_NEAR(pool.state(2).in_flight(), 200, 10);
}

TEST(RandomTwo, OfTwoServersAlwaysTakesTheLessLoaded) {
    const TestPool pool({{1}, {1}});
    const auto busy = InFlight::try_begin(pool.pool()->endpoint(0));
    const auto balancer = pool.balancer(Policy::random_two);
    const auto picked = counts(*balancer, pool.context(), 1000);
    // Four draws find both servers but once in sixteen times.
    EXPECT_GT(picked.at(1), 800);
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
