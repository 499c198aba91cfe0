/// What holds for every policy alike: weight 0, drain, down, health, ejection, probes, backups, limits, slow start.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using config::Policy;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class EveryPolicy : public ::testing::TestWithParam<Policy> {
  protected:
    std::unique_ptr<Balancer> balancer(const TestPool& pool) { return pool.balancer(GetParam()); }

    /// Where the requests of many clients for many paths go.
    static std::set<std::size_t> used(Balancer& balancer, PickContext context) {
        std::set<std::size_t> servers;
        for (std::uint32_t i = 0; i < 200; ++i) {
            const auto path = "/images/" + std::to_string(i);
            context.client = client(i);
            context.path = path;
            if (const auto picked = balancer.pick(context)) servers.insert(*picked);
        }
        return servers;
    }
};

TEST_P(EveryPolicy, UsesAllThatAreAvailable) {
    const TestPool pool({{1}, {1}, {1}});
    EXPECT_THAT(used(*balancer(pool), pool.context()), UnorderedElementsAre(0, 1, 2));
}

TEST_P(EveryPolicy, GivesNothingToWeightZero) {
    const TestPool pool({{1}, {0}, {1}});
    EXPECT_THAT(used(*balancer(pool), pool.context()), UnorderedElementsAre(0, 2));
}

TEST_P(EveryPolicy, FollowsTheOperatorAtOnce) {
    const TestPool pool({{1}, {1}, {1}});
    const auto balancer = this->balancer(pool);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(0, 1, 2));
    pool.state(0).set_admin_state(AdminState::drain, pool.now);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(1, 2));
    pool.state(1).set_admin_state(AdminState::down, pool.now);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(2));
    pool.state(2).override_weight(0, pool.now);
    EXPECT_TRUE(used(*balancer, pool.context()).empty());
    EXPECT_EQ(balancer->refusal(pool.context()), Refusal::no_server);
    pool.state(0).set_admin_state(AdminState::up, pool.now);
    pool.state(1).set_admin_state(AdminState::up, pool.now);
    pool.state(2).override_weight(std::nullopt, pool.now);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(0, 1, 2));
}

TEST_P(EveryPolicy, GivesNothingWhenActiveChecksSayThatAllAreDown) {
    const TestPool pool({{1}, {1}});
    const auto balancer = this->balancer(pool);
    pool.state(0).set_active_health(false, "status 503", pool.now);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(1));
    pool.state(1).set_active_health(false, "status 503", pool.now);
    EXPECT_TRUE(used(*balancer, pool.context()).empty());
    EXPECT_EQ(balancer->refusal(pool.context()), Refusal::no_server);
}

TEST_P(EveryPolicy, ServesAnywayWhenAllAreEjectedByLiveTraffic) {
    const TestPool pool({{1}, {1}, {1}});
    const auto balancer = this->balancer(pool);
    pool.eject(0);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(1, 2));
    pool.eject(1);
    pool.eject(2);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(0, 1, 2));
}

TEST_P(EveryPolicy, ServesByTheEjectedWhenTheOthersAreDown) {
    const TestPool pool({{1}, {1}});
    const auto balancer = this->balancer(pool);
    pool.eject(0);
    pool.state(1).set_active_health(false, "status 503", pool.now);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(0));
}

TEST_P(EveryPolicy, UsesBackupsOnlyWhenNoOtherIsAvailable) {
    const TestPool pool({{1}, {1}, {1, 0, true}});
    const auto balancer = this->balancer(pool);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(0, 1));
    pool.eject(0);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(1));
    pool.state(1).set_active_health(false, "timeout after 1s", pool.now);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(2));
    pool.eject(2);
    EXPECT_THAT(used(*balancer, pool.context()), UnorderedElementsAre(0)) << "the last resort";
}

TEST_P(EveryPolicy, ARetryGoesToAnotherServerThenToTheBackupThenNowhere) {
    const TestPool pool({{1}, {1}, {1, 0, true}});
    const auto balancer = this->balancer(pool);
    const std::uint16_t order[] = {0, 1, 2};
    auto context = pool.context();
    context.tried = std::span(order).first(1);
    EXPECT_THAT(used(*balancer, context), UnorderedElementsAre(1));
    context.tried = std::span(order).first(2);
    EXPECT_THAT(used(*balancer, context), UnorderedElementsAre(2));
    context.tried = order;
    EXPECT_TRUE(used(*balancer, context).empty());
    EXPECT_EQ(balancer->refusal(context), Refusal::all_tried);
}

TEST_P(EveryPolicy, NeverExceedsMaxConnectionsAndThenWaitsRatherThanUseTheBackup) {
    const TestPool pool({{1, 2, false}, {1, 1, false}, {1, 0, true}});
    const auto balancer = this->balancer(pool);
    std::vector<InFlight> slots;
    for (int i = 0; i < 3; ++i) {
        auto admitted = admit(*balancer, *pool.pool(), pool.context());
        ASSERT_TRUE(admitted);
        slots.push_back(std::move(admitted->slot));
    }
    EXPECT_EQ(pool.state(0).in_flight(), 2);
    EXPECT_EQ(pool.state(1).in_flight(), 1);
    const auto refused = admit(*balancer, *pool.pool(), pool.context());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), Refusal::full);
    slots.clear();
    EXPECT_EQ(pool.state(0).in_flight(), 0);
    EXPECT_TRUE(admit(*balancer, *pool.pool(), pool.context()));
}

TEST_P(EveryPolicy, AfterAnEjectionExactlyOneRequestOfAllWorkersProbes) {
    TestPool pool({{1}, {1}, {1}});
    const auto one = pool.balancer(GetParam(), 0);
    const auto other = pool.balancer(GetParam(), 1);
    pool.eject(1);
    pool.now += 29s;
    EXPECT_THAT(used(*one, pool.context()), UnorderedElementsAre(0, 2));
    pool.now += 1s;
    int probes = 0;
    for (std::uint32_t i = 0; i < 200; ++i) {
        auto context = pool.context();
        const auto path = "/images/" + std::to_string(i);
        context.client = client(i);
        context.path = path;
        probes += (i % 2 == 0 ? *one : *other).pick(context) == 1;
    }
    EXPECT_EQ(probes, 1);
    pool.state(1).report_failure(Failure::timeout, pool.now);
    pool.now += 29s;
    EXPECT_THAT(used(*other, pool.context()), UnorderedElementsAre(0, 2)) << "its probe failed: out for as long again";
    pool.now += 1s;
    EXPECT_THAT(used(*one, pool.context()), UnorderedElementsAre(0, 1, 2));
    pool.state(1).report_success(pool.now);
    EXPECT_THAT(used(*other, pool.context()), UnorderedElementsAre(0, 1, 2));
    EXPECT_THAT(pool.transitions, ElementsAre("b ejected: 3 failures, last: connection reset",
                                              "b readmitted: the probing request succeeded"));
}

TEST_P(EveryPolicy, SlowStartRampsUpLinearly) {
    auto config = pool_config({{1}, {1}});
    config.slow_start = 100s;
    TestPool pool(config);
    const auto balancer = this->balancer(pool);
    pool.state(1).set_active_health(false, "status 503", pool.now);
    pool.state(1).set_active_health(true, "2 checks passed", pool.now);
    for (const int percent : {1, 25, 50, 75, 100, 200}) {
        pool.now = start + percent * 1s;
        double of_b = 0;
        for (std::uint32_t i = 0; i < 4000; ++i) {
            auto context = pool.context();
            const auto path = "/images/" + std::to_string(i);
            context.client = client(i);
            context.path = path;
            of_b += balancer->pick(context) == 1;
        }
        const double ramp = std::min(percent, 100) / 100.0;
        EXPECT_NEAR(of_b / 4000, ramp / (1 + ramp), 0.04) << percent << " %";
    }
}

// The control thread's clock is read a moment after that of a worker that is in the midst of something.
TEST_P(EveryPolicy, WithoutSlowStartAServerThatComesBackHasItsShareAtOnceWhoeversClockIsAhead) {
    const TestPool pool({{1}, {1}});
    const auto balancer = this->balancer(pool);
    pool.state(1).set_active_health(false, "status 503", pool.now);
    pool.state(1).set_active_health(true, "2 checks passed", pool.now + 1ms);
    double of_b = 0;
    for (std::uint32_t i = 0; i < 4000; ++i) {
        auto context = pool.context();
        const auto path = "/images/" + std::to_string(i);
        context.client = client(i);
        context.path = path;
        of_b += balancer->pick(context) == 1;
    }
    EXPECT_NEAR(of_b / 4000, 0.5, 0.04);
}

TEST_P(EveryPolicy, ThereIsNoSlowStartAtTheDaemonsOwnStart) {
    auto config = pool_config({{1}, {1}});
    config.slow_start = 100s;
    const TestPool pool(config);
    EXPECT_FALSE(pool.state(0).slow_start_begin());
    EXPECT_EQ(used(*balancer(pool), pool.context()).size(), 2);
}

TEST_P(EveryPolicy, APoolWithoutServersGivesNothing) {
    const TestPool pool(std::vector<ServerSpec>{});
    const auto balancer = this->balancer(pool);
    EXPECT_FALSE(balancer->pick(pool.context()));
    EXPECT_EQ(balancer->refusal(pool.context()), Refusal::no_server);
}

INSTANTIATE_TEST_SUITE_P(Policies, EveryPolicy, ::testing::ValuesIn(every_policy), [](const auto& info) {
    std::string name{config::to_string(info.param)};
    std::ranges::replace(name, '-', '_');
    return name;
});

/// One by one from balancers that are made anew each time, as with a reload for each request.
std::string picks_over_reloads(TestPool& pool, config::Policy policy, std::size_t count) {
    auto before = pool.balancer(policy);
    auto letters = picks(*before, pool.context(), 1);
    while (letters.size() < count) {
        pool.rebuild(pool.pool()->config());
        auto next = pool.balancer(policy);
        next->go_on_from(*before);
        letters += picks(*next, pool.context(), 1);
        before = std::move(next);
    }
    return letters;
}

TEST(Turns, GoOnOverReloads) {
    for (const auto policy : {config::Policy::round_robin, config::Policy::least_conn, config::Policy::cookie_sticky}) {
        TestPool pool({{3}, {2}, {1}});
        EXPECT_EQ(picks_over_reloads(pool, policy, 12), "abacbaabacba") << to_string(policy);
    }
    for (const auto policy : {config::Policy::random_two, config::Policy::uri_hash}) {
        TestPool pool({{1}, {1}, {1}});
        const auto at_once = picks(*pool.balancer(policy), pool.context(), 30);
        EXPECT_EQ(picks_over_reloads(pool, policy, 30), at_once) << to_string(policy);
    }
}

TEST(Turns, AreTheServersAndNotThePlaces) {
    TestPool pool({{1}, {1}, {1}});
    const auto before = pool.balancer(config::Policy::round_robin);
    EXPECT_EQ(picks(*before, pool.context(), 2), "ab");
    auto config = pool.pool()->config();
    std::ranges::rotate(config.servers, config.servers.begin() + 1);  // b, c, a
    pool.rebuild(config);
    const auto next = pool.balancer(config::Policy::round_robin);
    next->go_on_from(*before);
    std::string names;
    for (int i = 0; i < 4; ++i) names += pool.pool()->endpoint(*next->pick(pool.context())).server;
    EXPECT_EQ(names, "cbca") << "c was next, and none of a and b is served once more before it";
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
