#include "nsboot_lb/upstream/health.hpp"

#include <algorithm>
#include <random>
#include <string_view>

#include <gtest/gtest.h>

namespace nsboot_lb::upstream {
namespace {

using namespace std::chrono_literals;
using Change = PassiveHealth::Change;

constexpr TimePoint start = TimePoint{} + 1h;

struct Results {
    const char* what;
    std::uint32_t rise, fall;
    std::string_view results;   ///< '+' passed, '-' failed
    std::string_view expected;  ///< 'u' up, 'd' down after each
};
class ActiveHealthStates : public ::testing::TestWithParam<Results> {};

TEST_P(ActiveHealthStates, FollowConsecutiveResults) {
    ActiveHealth health(GetParam().rise, GetParam().fall);
    EXPECT_TRUE(health.up()) << "until the first result";
    std::string states;
    bool up = true;
    for (const char result : GetParam().results) {
        const bool turned = result == '+' ? health.success() : health.failure();
        EXPECT_EQ(turned, health.up() != up) << "a change is told exactly once";
        up = health.up();
        states += up ? 'u' : 'd';
    }
    EXPECT_EQ(states, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Sequences, ActiveHealthStates,
                         ::testing::Values(Results{"falls_at_the_third", 2, 3, "---", "uud"},
                                           Results{"a_success_between_starts_over", 2, 3, "--+--+---", "uuuuuuuud"},
                                           Results{"rises_at_the_second", 2, 3, "---++", "uuddu"},
                                           Results{"a_failure_between_starts_over", 2, 3, "---+-+-++",
                                                   "uudddddd"
                                                   "u"},
                                           Results{"at_once", 1, 1, "-+-+", "dudu"},
                                           Results{"stays_up", 2, 3, "++++", "uuuu"},
                                           Results{"zero_counts_as_one", 0, 0, "-+", "du"}),
                         [](const auto& info) { return std::string{info.param.what}; });

TEST(ActiveHealth, BeginsAsItWasBeforeAReload) {
    ActiveHealth health(2, 3, false);
    EXPECT_FALSE(health.up());
    EXPECT_FALSE(health.success());
    EXPECT_TRUE(health.success());
    EXPECT_TRUE(health.up());
}

TEST(ActiveHealth, AgreesWithLookingAtTheLastResults) {
    std::mt19937 random(1);
    for (std::uint32_t rise = 1; rise <= 4; ++rise)
        for (std::uint32_t fall = 1; fall <= 4; ++fall) {
            ActiveHealth health(rise, fall);
            std::string history;
            bool up = true;
            for (int i = 0; i < 500; ++i) {
                const bool passed = random() % 2 == 0;
                history += passed ? '+' : '-';
                (void)(passed ? health.success() : health.failure());
                if (up && history.ends_with(std::string(fall, '-')))
                    up = false;
                else if (!up && history.ends_with(std::string(rise, '+')))
                    up = true;
                ASSERT_EQ(health.up(), up) << history;
            }
        }
}

class Passive : public ::testing::Test {
  protected:
    PassiveHealth health{{.max_fails = 3, .fail_timeout = 30s}};
};

TEST_F(Passive, EjectsAtTheThirdFailureWithinTheWindow) {
    EXPECT_EQ(health.failure(start), Change::none);
    EXPECT_EQ(health.failure(start + 10s), Change::none);
    EXPECT_EQ(health.failure(start + 20s), Change::ejected);
    EXPECT_TRUE(health.out());
    EXPECT_EQ(health.probe_from(), start + 50s);
}

TEST_F(Passive, FailuresThatAreFarApartDoNotEject) {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(health.failure(start + i * 16s), Change::none) << i;
    EXPECT_FALSE(health.out());
}

TEST_F(Passive, TheWindowSlides) {
    EXPECT_EQ(health.failure(start), Change::none);
    EXPECT_EQ(health.failure(start + 29s), Change::none);
    EXPECT_EQ(health.failure(start + 31s), Change::none) << "the first is too old";
    EXPECT_EQ(health.failure(start + 32s), Change::ejected);
}

TEST_F(Passive, ASuccessBetweenDoesNotForgive) {
    health.failure(start);
    health.failure(start);
    EXPECT_EQ(health.success(), Change::none);
    EXPECT_EQ(health.failure(start), Change::ejected) << "a server that fails every other request is not well";
}

class PassiveEjected : public Passive {
  protected:
    PassiveEjected() {
        for (int i = 0; i < 3; ++i) health.failure(start);
    }
};

TEST_F(PassiveEjected, NobodyProbesBeforeItsTime) {
    EXPECT_FALSE(health.claim_probe(start + 29s));
    EXPECT_TRUE(health.claim_probe(start + 30s));
    EXPECT_FALSE(health.claim_probe(start + 31s)) << "only one";
}

TEST_F(PassiveEjected, AProbesSuccessReadmits) {
    ASSERT_TRUE(health.claim_probe(start + 30s));
    EXPECT_EQ(health.success(), Change::readmitted);
    EXPECT_FALSE(health.out());
    EXPECT_EQ(health.failure(start + 31s), Change::none) << "and counts from nothing";
}

TEST_F(PassiveEjected, AProbesFailureEjectsForAsLongAgain) {
    ASSERT_TRUE(health.claim_probe(start + 40s));
    EXPECT_EQ(health.failure(start + 41s), Change::none) << "it was out already";
    EXPECT_FALSE(health.claim_probe(start + 70s));
    EXPECT_TRUE(health.claim_probe(start + 71s));
}

TEST_F(PassiveEjected, AProbeThatNeverReportsIsGivenUp) {
    ASSERT_TRUE(health.claim_probe(start + 30s));
    EXPECT_FALSE(health.claim_probe(start + 59s));
    EXPECT_TRUE(health.claim_probe(start + 60s));
}

TEST_F(PassiveEjected, AProbeThatEndsWithoutAVerdictLetsTheNextOneProbeAtOnce) {
    ASSERT_TRUE(health.claim_probe(start + 30s));
    health.give_up_probe(start + 31s);
    EXPECT_TRUE(health.out());
    EXPECT_FALSE(health.probing());
    EXPECT_TRUE(health.claim_probe(start + 31s));
    EXPECT_FALSE(health.claim_probe(start + 32s)) << "only one";
}

TEST_F(PassiveEjected, NoProbeThatWasGivenUpMakesAnEarlierOne) {
    health.give_up_probe(start + 5s);
    EXPECT_EQ(health.probe_from(), start + 30s);
    EXPECT_FALSE(health.claim_probe(start + 29s));
}

TEST_F(PassiveEjected, ResultsOfOlderRequestsChangeNothing) {
    EXPECT_EQ(health.success(), Change::none);
    EXPECT_EQ(health.failure(start + 5s), Change::none);
    EXPECT_EQ(health.probe_from(), start + 30s);
}

TEST_F(PassiveEjected, ChecksThatBeganAfterItReadmit) {
    EXPECT_EQ(health.check_passed(start - 1s, {.rise = 2, .interval = 3s}, start + 1s), Change::none);
    EXPECT_EQ(health.check_passed(start, {.rise = 2, .interval = 3s}, start + 1s), Change::none) << "not after it";
    EXPECT_EQ(health.check_passed(start + 2s, {.rise = 2, .interval = 3s}, start + 2s), Change::none);
    EXPECT_EQ(health.check_passed(start + 5s, {.rise = 2, .interval = 3s}, start + 5s), Change::readmitted);
    EXPECT_FALSE(health.out());
    EXPECT_EQ(health.check_passed(start + 8s, {.rise = 1, .interval = 3s}, start + 8s), Change::none);
}

TEST_F(PassiveEjected, ChecksMustPassInARow) {
    EXPECT_EQ(health.check_passed(start + 1s, {.rise = 2, .interval = 3s}, start + 1s), Change::none);
    health.check_failed();
    EXPECT_EQ(health.check_passed(start + 4s, {.rise = 2, .interval = 3s}, start + 4s), Change::none);
    EXPECT_EQ(health.check_passed(start + 7s, {.rise = 2, .interval = 3s}, start + 7s), Change::readmitted);
}

TEST_F(PassiveEjected, WhatChecksReadmittedIsOnTrial) {
    ASSERT_EQ(health.check_passed(start + 1s, {.rise = 1, .interval = 3s}, start + 1s), Change::readmitted);
    EXPECT_EQ(health.failure(start + 31s), Change::ejected);
}

TEST_F(PassiveEjected, ATrialEnds) {
    ASSERT_EQ(health.check_passed(start + 1s, {.rise = 1, .interval = 3s}, start + 1s), Change::readmitted);
    EXPECT_EQ(health.failure(start + 32s), Change::none);
}

/// How many passed checks it takes.
int checks_until_back(PassiveHealth& health, TimePoint begin) {
    int checks = 1;
    while (health.check_passed(begin, {.rise = 2, .interval = 3s}, begin) == Change::none) ++checks;
    return checks;
}

TEST_F(PassiveEjected, EachFurtherEjectionNeedsTwiceAsManyChecksUpToItsTimesWorth) {
    auto now = start;
    for (const int needed : {2, 4, 8, 10, 10}) {
        now += 1s;
        EXPECT_EQ(checks_until_back(health, now), needed);
        ASSERT_EQ(health.failure(now), Change::ejected);
    }
}

TEST_F(PassiveEjected, AFailedProbeIsAFurtherEjection) {
    ASSERT_TRUE(health.claim_probe(start + 30s));
    health.failure(start + 30s);
    EXPECT_EQ(checks_until_back(health, start + 31s), 4);
}

TEST_F(PassiveEjected, AnEarlierEjectionIsForgottenAfterTenOfItsTimes) {
    ASSERT_EQ(checks_until_back(health, start + 1s), 2);
    for (int i = 0; i < 3; ++i) health.failure(start + 301s);
    EXPECT_EQ(checks_until_back(health, start + 302s), 2);
}

TEST_F(PassiveEjected, IsReadmittedByThoseWhoKnowBetter) {
    EXPECT_EQ(health.readmit(), Change::readmitted);
    EXPECT_EQ(health.readmit(), Change::none);
}

TEST_F(PassiveEjected, IsReadmittedWhenPassiveHealthIsTurnedOff) {
    EXPECT_EQ(health.set_policy({.max_fails = 5, .fail_timeout = 30s}), Change::none);
    EXPECT_TRUE(health.out());
    EXPECT_EQ(health.set_policy({.max_fails = 0, .fail_timeout = 30s}), Change::readmitted);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(health.failure(start), Change::none);
    EXPECT_FALSE(health.out());
}

TEST(PassiveHealthProperty, EjectsExactlyWhenSoManyFailuresFallWithinTheWindow) {
    std::mt19937 random(7);
    for (std::uint32_t max_fails = 1; max_fails <= 5; ++max_fails) {
        PassiveHealth health({.max_fails = max_fails, .fail_timeout = 10s});
        std::vector<TimePoint> failures;
        auto now = start;
        for (int i = 0; i < 2000; ++i) {
            now += std::chrono::milliseconds{random() % 8000};
            failures.push_back(now);
            const auto recent = std::ranges::count_if(failures, [&](TimePoint then) { return now - then <= 10s; });
            const bool ejects = recent >= max_fails;
            ASSERT_EQ(health.failure(now), ejects ? Change::ejected : Change::none) << max_fails << " at " << i;
            if (!ejects) continue;
            failures.clear();
            now += 10s;
            ASSERT_TRUE(health.claim_probe(now));
            ASSERT_EQ(health.success(), Change::readmitted);
        }
    }
}

}  // namespace
}  // namespace nsboot_lb::upstream
