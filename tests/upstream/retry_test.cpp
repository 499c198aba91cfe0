#include "nsboot_lb/upstream/retry.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace nsboot_lb::upstream {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint start = TimePoint{} + 1h;

TEST(Methods, AreWhatRfc9110Says) {
    for (const auto method : {"GET", "HEAD", "OPTIONS", "TRACE"}) {
        EXPECT_TRUE(is_safe(method));
        EXPECT_TRUE(is_idempotent(method));
        EXPECT_TRUE(may_repeat(method));
    }
    EXPECT_FALSE(is_safe("PUT"));
    EXPECT_TRUE(is_idempotent("PUT"));
    EXPECT_TRUE(may_repeat("PUT"));
    EXPECT_FALSE(is_safe("DELETE"));
    EXPECT_TRUE(is_idempotent("DELETE"));
    EXPECT_FALSE(may_repeat("DELETE")) << "runs commands on the servers";
    for (const auto method : {"POST", "PATCH", "get", "Get", "", "PURGE"}) {
        EXPECT_FALSE(is_safe(method)) << method;
        EXPECT_FALSE(is_idempotent(method)) << method;
        EXPECT_FALSE(may_repeat(method)) << method;
    }
}

enum Method : bool { post = false, get = true };

Attempted attempted(Outcome outcome, Method method, bool request_sent) {
    return {.outcome = outcome,
            .status = 503,
            .request_sent = request_sent,
            .response_started = false,
            .body_replayable = true,
            .repeatable = method == get,
            .attempts_made = 1,
            .stale_retries = outcome == Outcome::stale_idle ? 1U : 0U};
}

struct Case {
    const char* what;
    Attempted attempted;
    Verdict expected;
};
class Decide : public ::testing::TestWithParam<Case> {};

TEST_P(Decide, ByWhatHappened) {
    EXPECT_EQ(decide(GetParam().attempted, {}), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Outcomes, Decide,
    ::testing::Values(
        Case{"get_not_connected", attempted(Outcome::not_connected, get, false), Verdict::another_server},
        Case{"post_not_connected", attempted(Outcome::not_connected, post, false), Verdict::another_server},
        Case{"get_stale_unsent", attempted(Outcome::stale_idle, get, false), Verdict::same_server},
        Case{"post_stale_unsent", attempted(Outcome::stale_idle, post, false), Verdict::same_server},
        Case{"get_stale_sent", attempted(Outcome::stale_idle, get, true), Verdict::same_server},
        Case{"post_stale_sent", attempted(Outcome::stale_idle, post, true), Verdict::give_up},
        Case{"get_reset", attempted(Outcome::reset, get, true), Verdict::another_server},
        Case{"post_reset", attempted(Outcome::reset, post, true), Verdict::give_up},
        Case{"post_reset_before_any_byte", attempted(Outcome::reset, post, false), Verdict::another_server},
        Case{"get_timeout", attempted(Outcome::timeout, get, true), Verdict::another_server},
        Case{"post_timeout", attempted(Outcome::timeout, post, true), Verdict::give_up},
        Case{"get_503", attempted(Outcome::status, get, true), Verdict::another_server},
        Case{"post_503", attempted(Outcome::status, post, true), Verdict::give_up}),
    [](const auto& info) { return std::string{info.param.what}; });

TEST(Decide, NeverAfterAByteWentToTheClient) {
    for (const auto outcome :
         {Outcome::not_connected, Outcome::stale_idle, Outcome::reset, Outcome::timeout, Outcome::status}) {
        auto attempt = attempted(outcome, get, true);
        attempt.response_started = true;
        EXPECT_EQ(decide(attempt, {}), Verdict::give_up);
    }
}

TEST(Decide, NotWithABodyThatIsGone) {
    auto attempt = attempted(Outcome::reset, get, true);
    attempt.body_replayable = false;
    EXPECT_EQ(decide(attempt, {}), Verdict::give_up);
}

TEST(Decide, OnlyForTheStatusesOfTheConfiguration) {
    auto attempt = attempted(Outcome::status, get, true);
    for (const int status : {200, 404, 500, 501, 505}) {
        attempt.status = status;
        EXPECT_EQ(decide(attempt, {}), Verdict::give_up) << status;
    }
    for (const int status : {502, 503, 504}) {
        attempt.status = status;
        EXPECT_EQ(decide(attempt, {}), Verdict::another_server) << status;
    }
}

TEST(Decide, OnlyForWhatTheConfigurationTurnsOn) {
    const config::Retries nothing{
        .attempts = 2, .on_connect_failure = false, .on_reset = false, .on_status = {}, .budget = 0.2};
    for (const auto outcome : {Outcome::not_connected, Outcome::reset, Outcome::timeout, Outcome::status})
        EXPECT_EQ(decide(attempted(outcome, get, true), nothing), Verdict::give_up);
    EXPECT_EQ(decide(attempted(Outcome::stale_idle, get, true), nothing), Verdict::same_server)
        << "which is this daemon's own doing and costs the client nothing";
}

TEST(Decide, MakesAtMostTheConfiguredFurtherTries) {
    auto attempt = attempted(Outcome::not_connected, get, false);
    const config::Retries twice{};
    for (attempt.attempts_made = 1; attempt.attempts_made <= 2; ++attempt.attempts_made)
        EXPECT_EQ(decide(attempt, twice), Verdict::another_server);
    EXPECT_EQ(decide(attempt, twice), Verdict::give_up);
}

TEST(Decide, AStaleConnectionIsForgivenOncePerExchange) {
    auto attempt = attempted(Outcome::stale_idle, get, true);
    attempt.attempts_made = 3;
    EXPECT_EQ(decide(attempt, {}), Verdict::same_server);
    attempt.stale_retries = 2;
    EXPECT_EQ(decide(attempt, {}), Verdict::give_up);
    attempt.attempts_made = 1;
    EXPECT_EQ(decide(attempt, {}), Verdict::another_server);
}

int taken(RetryBudget& budget, double share, TimePoint now) {
    int count = 0;
    while (count < 100'000 && budget.take(share, now)) ++count;
    return count;
}

TEST(RetryBudget, LetsASmallPoolFailOver) {
    RetryBudget budget;
    EXPECT_EQ(taken(budget, 0.2, start), 10);
    EXPECT_EQ(taken(budget, 0.2, start + 9s), 0);
    EXPECT_EQ(taken(budget, 0.2, start + 10s), 10);
}

TEST(RetryBudget, OfNothingIsNone) {
    RetryBudget budget;
    EXPECT_FALSE(budget.take(0, start));
}

TEST(RetryBudget, IsAShareOfTheRequestsInTheWindow) {
    RetryBudget budget;
    for (int i = 0; i < 10'000; ++i) budget.count_request(start + i * 1ms);
    EXPECT_EQ(budget.requests(start + 9s), 10'000);
    EXPECT_EQ(taken(budget, 0.2, start + 9s), 2'000);
    EXPECT_EQ(budget.requests(start + 14s), 5'000) << "the window slides";
    EXPECT_EQ(budget.requests(start + 1h), 0);
    EXPECT_EQ(taken(budget, 0.2, start + 1h), 10);
}

TEST(RetryBudget, IsSharedByThreads) {
    RetryBudget budget;
    std::atomic<int> taken{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) budget.count_request(start);
        });
    threads.clear();
    EXPECT_EQ(budget.requests(start), 4000);
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) taken += budget.take(0.2, start);
        });
    threads.clear();
    EXPECT_EQ(taken, 800);
}

}  // namespace
}  // namespace nsboot_lb::upstream
