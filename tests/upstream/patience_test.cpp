#include "patience.hpp"

#include <gtest/gtest.h>

namespace nsboot_lb::upstream {
namespace {

using namespace std::chrono_literals;
using Verdict = Patience::Verdict;

constexpr TimePoint noon = TimePoint{} + 12h;

/// Slices of which each timer comes `late`, until there is a verdict; gives when.
struct Waited {
    Verdict verdict = Verdict::wait;
    TimePoint now = noon;
};
Waited wait(Patience& patience, std::chrono::nanoseconds late, int most_slices = 1000) {
    Waited waited;
    for (int i = 0; i < most_slices && waited.verdict == Verdict::wait; ++i) {
        waited.now = patience.begin_slice(waited.now) + late;
        waited.verdict = patience.end_slice(waited.now);
    }
    return waited;
}

TEST(Patience, is_over_after_the_timeout_of_a_loop_that_turns) {
    Patience patience(1s);
    const auto waited = wait(patience, 1ms);
    EXPECT_EQ(waited.verdict, Verdict::over);
    EXPECT_GE(waited.now - noon, 1s);
    EXPECT_LE(waited.now - noon, 1010ms);
    EXPECT_FALSE(patience.stood_still(waited.now));
}

TEST(Patience, does_not_count_a_time_in_which_the_loop_stood_still) {
    Patience patience(1s);
    const auto begun = wait(patience, 0ms, 7);
    const auto awake = patience.begin_slice(begun.now) + 1h;
    EXPECT_TRUE(patience.stood_still(awake)) << "known before its timer has come";
    EXPECT_EQ(patience.end_slice(awake), Verdict::wait) << "in the last slice too: there may be an answer to read";
    const auto last = patience.begin_slice(awake);
    EXPECT_EQ(patience.end_slice(last), Verdict::over);
    EXPECT_TRUE(patience.stood_still(last));
}

TEST(Patience, has_no_verdict_on_anybody_when_the_loop_stands_still_for_ever) {
    Patience patience(1s);
    EXPECT_EQ(wait(patience, 1s).verdict, Verdict::no_verdict);
}

TEST(Patience, a_busy_machine_does_not_stand_still) {
    Patience patience(8ms);
    const auto waited = wait(patience, 5ms);
    EXPECT_EQ(waited.verdict, Verdict::over);
    EXPECT_FALSE(patience.stood_still(waited.now));
}

}  // namespace
}  // namespace nsboot_lb::upstream
