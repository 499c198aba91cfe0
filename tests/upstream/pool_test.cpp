#include <atomic>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

config::Server named_server(std::string name, std::string host) {
    config::Server server;
    server.name = std::move(name);
    server.host = std::move(host);
    server.port = 8080;
    return server;
}

TEST(Pool, HasAnEndpointForEachAddressOfAName) {
    config::Pool config = pool_config({{3, 7, true}});
    config.servers.push_back(named_server("nsboot", "nsboot.test"));
    config::Server local;
    local.name = "local";
    local.unix_path = "/run/nsboot.sock";
    config.servers.push_back(local);
    config.servers.push_back(named_server("unknown", "unknown.test"));
    TestPool pool(config);
    pool.rebuild(config, {{"nsboot.test", {client(1), *base::IpAddress::parse("2001:db8::1")}}});

    std::vector<std::string> texts;
    for (const auto& endpoint : pool.pool()->endpoints()) {
        EXPECT_EQ(endpoint.index, texts.size());
        EXPECT_EQ(endpoint.pool, "pool");
        texts.push_back(endpoint.server + " " + endpoint.text + " " + endpoint.host);
    }
    EXPECT_THAT(texts,
                ElementsAre("a 10.0.0.1:80 10.0.0.1:80", "nsboot 10.1.0.1:8080 nsboot.test:8080",
                            "nsboot [2001:db8::1]:8080 nsboot.test:8080", "local unix:/run/nsboot.sock localhost"));
    const auto& first = pool.pool()->endpoint(0);
    EXPECT_EQ(first.configured_weight, 3);
    EXPECT_EQ(first.max_connections, 7);
    EXPECT_TRUE(first.backup);
    EXPECT_EQ(pool.pool()->endpoint(1).counters, pool.pool()->endpoint(2).counters) << "counted by server";
}

TEST(Pool, AReloadKeepsWhatIsKnownOfServersThatStay) {
    TestPool pool({{1}, {1}, {1}});
    const auto id = pool.pool()->endpoint(1).id();
    const auto slot = InFlight::try_begin(pool.pool()->endpoint(1));
    pool.state(1).set_admin_state(AdminState::drain, pool.now);
    pool.state(1).override_weight(5, pool.now);
    auto config = pool_config({{1}, {1}, {1}});
    config.servers.erase(config.servers.begin());
    pool.rebuild(config);
    const auto& stayed = pool.pool()->endpoint(0);
    EXPECT_EQ(stayed.server, "b");
    EXPECT_EQ(stayed.id(), id);
    EXPECT_EQ(stayed.state->in_flight(), 1);
    EXPECT_EQ(stayed.state->admin_state(), AdminState::drain);
    EXPECT_EQ(stayed.weight(), 5);
}

TEST(Pool, AReloadThatChangesAServersKeysEndsWhatTheOperatorSet) {
    TestPool pool({{1}, {1}});
    for (std::size_t i = 0; i < 2; ++i) {
        pool.state(i).set_admin_state(AdminState::drain, pool.now);
        pool.state(i).override_weight(5, pool.now);
    }
    pool.rebuild(pool_config({{1}, {2}}));
    EXPECT_EQ(pool.state(0).admin_state(), AdminState::drain);
    EXPECT_EQ(pool.pool()->endpoint(0).weight(), 5);
    EXPECT_EQ(pool.state(1).admin_state(), AdminState::up);
    EXPECT_EQ(pool.pool()->endpoint(1).weight(), 2);
}

TEST(Pool, APoolThatNeverGoesLiveLeavesNoTrace) {
    TestPool pool({{1}, {1}});
    pool.state(0).set_admin_state(AdminState::drain, pool.now);
    pool.state(1).set_active_health(false, "status 503", pool.now);
    const auto generation = pool.pool()->state().generation();
    observe::Statistics statistics{1};
    auto config = pool_config({{7}, {1}, {1}});
    config.passive_health.max_fails = 1;
    auto basis = std::make_shared<PoolBasis>(*pool.pool()->basis());
    basis->counts = counts_of(config, statistics);
    basis->config = std::make_shared<const config::Pool>(std::move(config));
    const Pool abandoned(std::move(basis), {});
    EXPECT_EQ(pool.state(0).admin_state(), AdminState::drain);
    EXPECT_FALSE(pool.state(1).active_up());
    EXPECT_EQ(pool.pool()->state().generation(), generation);
    pool.state(0).report_failure(Failure::reset, pool.now);
    EXPECT_FALSE(pool.state(0).ejected_until());
}

TEST(Pool, OnlyServersThatAreNewBesideOthersStartSlowly) {
    auto config = pool_config({{1}, {1}});
    config.slow_start = 10s;
    TestPool pool(config);
    EXPECT_FALSE(pool.state(0).slow_start_begin()) << "not at the daemon's own start";
    auto more = pool_config({{1}, {1}, {1}});
    more.slow_start = 10s;
    pool.now += 5s;
    pool.rebuild(more);
    EXPECT_FALSE(pool.state(0).slow_start_begin());
    EXPECT_EQ(pool.state(2).slow_start_begin(), pool.now);
}

TEST(Pool, AChangedAnswerAddsAndRemovesEndpoints) {
    config::Pool config = pool_config({});
    config.servers.push_back(named_server("nsboot", "nsboot.test"));
    TestPool pool(config);
    EXPECT_TRUE(pool.pool()->endpoints().empty());
    EXPECT_FALSE(pool.pool()->available(pool.now));
    pool.rebuild(config, {{"nsboot.test", {client(1), client(2)}}});
    const auto second = pool.pool()->endpoint(1).id();
    pool.rebuild(config, {{"nsboot.test", {client(2), client(3)}}});
    ASSERT_EQ(pool.pool()->endpoints().size(), 2);
    EXPECT_EQ(pool.pool()->endpoint(0).id(), second);
    EXPECT_NE(pool.pool()->endpoint(1).id(), second);
}

TEST(Pool, AChangedAnswerReplacesAddressesAndNothingElse) {
    config::Pool config = pool_config({{1}});
    config.servers.push_back(named_server("nsboot", "nsboot.test"));
    TestPool pool(config);
    const Addresses first{{"nsboot.test", {client(1), client(2)}}};
    pool.change_addresses(first);
    EXPECT_TRUE(pool.pool()->has(first));
    const auto before = pool.pool();
    pool.state(0).set_admin_state(AdminState::drain, pool.now);
    const auto id = before->endpoint(0).id();
    for (const Addresses& other : {Addresses{{"nsboot.test", {client(1)}}}, Addresses{{"nsboot.test", {client(2)}}},
                                   Addresses{{"nsboot.test", {client(1), client(2), client(3)}}}, Addresses{}}) {
        EXPECT_FALSE(before->has(other));
        pool.change_addresses(other);
        EXPECT_TRUE(pool.pool()->has(other));
        EXPECT_EQ(pool.pool()->basis(), before->basis());
        EXPECT_EQ(pool.pool()->endpoint(0).id(), id);
        EXPECT_EQ(pool.state(0).admin_state(), AdminState::drain);
    }
}

TEST(Pool, AnAddressThatComesBackWhileItIsInUseIsTheSameEndpoint) {
    config::Pool config = pool_config({{1}});
    config.slow_start = 10s;
    config.servers.push_back(named_server("nsboot", "nsboot.test"));
    TestPool pool(config);
    const Addresses there{{"nsboot.test", {client(1)}}};
    pool.change_addresses(there);
    const auto tunnels_pool = pool.pool();
    const auto slot = InFlight::try_begin(tunnels_pool->endpoint(1));
    pool.change_addresses({});
    pool.now += 1min;
    pool.change_addresses(there);
    EXPECT_EQ(pool.state(1).in_flight(), 1) << "max_connections counts it";
    EXPECT_EQ(pool.state(1).slow_start_begin(), pool.now) << "but it joins those that stayed";
    EXPECT_FALSE(pool.state(0).slow_start_begin());
}

TEST(Pool, IsAvailableWhileAnyServerTakesRequests) {
    const TestPool pool({{1, 1, false}, {1, 0, true}});
    const auto slot = InFlight::try_begin(pool.pool()->endpoint(0));
    EXPECT_TRUE(pool.pool()->available(pool.now)) << "a full one, too: requests wait for it";
    pool.state(1).set_active_health(false, "", pool.now);
    pool.eject(0);
    EXPECT_TRUE(pool.pool()->available(pool.now)) << "an ejected one, too, if it is the last";
    pool.state(0).set_admin_state(AdminState::drain, pool.now);
    EXPECT_FALSE(pool.pool()->available(pool.now));
}

TEST(Pool, TurningActiveChecksOffBringsServersBack) {
    auto config = pool_config({{1}});
    config.health_check.emplace();
    TestPool pool(config);
    pool.state(0).set_active_health(false, "timeout after 1s", pool.now);
    pool.rebuild(config);
    EXPECT_FALSE(pool.state(0).active_up());
    config.health_check.reset();
    pool.rebuild(config);
    EXPECT_TRUE(pool.state(0).active_up());
}

TEST(EndpointState, EachChangeIsToldOnceWithItsReason) {
    const TestPool pool({{1}});
    auto& state = pool.state(0);
    state.set_active_health(true, "nothing new", pool.now);
    state.set_active_health(false, "connection refused", pool.now);
    state.set_active_health(false, "connection refused", pool.now);
    state.set_active_health(true, "2 checks passed", pool.now);
    state.set_admin_state(AdminState::drain, pool.now);
    state.set_admin_state(AdminState::drain, pool.now);
    state.override_weight(7, pool.now);
    state.override_weight(std::nullopt, pool.now);
    EXPECT_THAT(pool.transitions,
                ElementsAre("a down: connection refused", "a up: 2 checks passed", "a drain: operator",
                            "a weight: 7, by the operator", "a weight: as configured"));
}

TEST(EndpointState, ActiveChecksThatPassAgainEndAnEjection) {
    const TestPool pool({{1}, {1}});
    pool.eject(0);
    pool.state(0).set_active_health(false, "status 503", pool.now);
    pool.state(0).set_active_health(true, "2 checks passed", pool.now);
    EXPECT_EQ(pool.pool()->endpoint(0).standing(pool.now), Standing::available);
}

struct StandingCase {
    Standing expected;
    const char* reason;
    void (*change)(TestPool& pool);
};
class Standings : public ::testing::TestWithParam<StandingCase> {};

TEST_P(Standings, SayWhatAnEndpointMayBeGivenAndWhy) {
    TestPool pool({{1}});
    GetParam().change(pool);
    const auto standing = pool.pool()->endpoint(0).standing(pool.now);
    EXPECT_EQ(to_string(standing), to_string(GetParam().expected));
    EXPECT_EQ(pool.pool()->endpoint(0).reason(standing), GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    All, Standings,
    ::testing::Values(
        StandingCase{Standing::available, "", [](TestPool&) {}},
        StandingCase{Standing::ejected, "3 failures, last: connection reset", [](TestPool& pool) { pool.eject(0); }},
        StandingCase{Standing::probe_due, "3 failures, last: connection reset",
                     [](TestPool& pool) {
                         pool.eject(0);
                         pool.now += 30s;
                     }},
        StandingCase{Standing::available, "",
                     [](TestPool& pool) {
                         pool.eject(0);
                         pool.now += 30s;
                         pool.state(0).claim_probe(pool.now);
                         pool.state(0).report_success(pool.now);
                     }},
        StandingCase{Standing::draining, "operator",
                     [](TestPool& pool) { pool.state(0).set_admin_state(AdminState::drain, pool.now); }},
        StandingCase{Standing::draining, "weight 0",
                     [](TestPool& pool) { pool.state(0).override_weight(0, pool.now); }},
        StandingCase{Standing::draining, "weight 0", [](TestPool& pool) { pool.rebuild(pool_config({{0}})); }},
        StandingCase{Standing::unhealthy, "status 503",
                     [](TestPool& pool) {
                         pool.eject(0);
                         pool.state(0).set_active_health(false, "status 503", pool.now);
                     }},
        StandingCase{Standing::available, "",
                     [](TestPool& pool) {
                         pool.eject(0);
                         pool.state(0).set_active_health(false, "status 503", pool.now);
                         pool.state(0).set_active_health(true, "2 checks passed", pool.now);
                     }},
        StandingCase{Standing::down, "operator",
                     [](TestPool& pool) { pool.state(0).set_admin_state(AdminState::down, pool.now); }},
        StandingCase{Standing::unhealthy, "timeout after 1s", [](TestPool& pool) {
                         pool.state(0).set_active_health(false, "timeout after 1s", pool.now);
                         pool.state(0).set_admin_state(AdminState::drain, pool.now);
                     }}));

TEST(EndpointState, WhatWasEjectedAndCameBackHasNoReasonLeft) {
    const TestPool pool({{1}, {1}});
    pool.eject(0);
    EXPECT_EQ(pool.state(0).ejection_reason(), "3 failures, last: connection reset");
    pool.state(0).set_active_health(false, "status 503", pool.now);
    pool.state(0).set_active_health(false, "connection refused", pool.now);
    EXPECT_EQ(pool.state(0).unhealthy_reason(), "status 503") << "the one that was logged";
    pool.state(0).set_active_health(true, "2 checks passed", pool.now);
    EXPECT_EQ(pool.state(0).ejection_reason(), "");
    EXPECT_EQ(pool.state(0).unhealthy_reason(), "");
}

// Workers eject and readmit while the control thread asks.
TEST(EndpointState, TellsItsReasonWhileWorkersReport) {
    auto config = pool_config({{1}, {1}});
    config.passive_health = {.max_fails = 1, .fail_timeout = 0ms};
    observe::Statistics statistics{2};
    const Pool pool(
        std::make_shared<PoolBasis>(std::make_shared<const config::Pool>(config), "",
                                    std::make_shared<PoolState>("pool", nullptr), counts_of(config, statistics)),
        {});
    const auto& endpoint = pool.endpoint(0);
    constexpr int rounds = 2000;
    std::atomic<int> working{2};
    std::vector<std::jthread> workers;
    for (const auto failure : {Failure::reset, Failure::timeout}) {
        workers.emplace_back([&, failure] {
            for (int i = 0; i < rounds; ++i) {
                endpoint.state->report_failure(failure, start);
                if (endpoint.state->claim_probe(start)) endpoint.state->report_success(start);
            }
            --working;
        });
    }
    std::set<std::string> seen;
    do {
        seen.insert(endpoint.reason(endpoint.standing(start)));
    } while (working != 0);
    for (const auto& reason : seen) EXPECT_THAT(reason, AnyOf("", "1 failure: connection reset", "1 failure: timeout"));
}

TEST(InFlight, IsGivenBackExactlyOnce) {
    const TestPool pool({{1, 1, false}});
    const auto& endpoint = pool.pool()->endpoint(0);
    auto slot = InFlight::try_begin(endpoint);
    EXPECT_TRUE(slot);
    EXPECT_FALSE(InFlight::try_begin(endpoint)) << "the limit";
    InFlight moved = std::move(slot);
    EXPECT_EQ(pool.state(0).in_flight(), 1);
    moved = InFlight{};
    EXPECT_EQ(pool.state(0).in_flight(), 0);
    moved.release();
    EXPECT_EQ(pool.state(0).in_flight(), 0);
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
