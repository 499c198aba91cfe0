#include "nsboot_lb/base/token_bucket.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace nsboot_lb::base {
namespace {

using namespace std::chrono_literals;
using TimePoint = BucketRule::TimePoint;

constexpr TimePoint start{1'000s};

/// Both kinds have to decide alike.
template <class Bucket>
class TokenBuckets : public testing::Test {};

using Kinds = testing::Types<TokenBucket, SharedTokenBucket>;
TYPED_TEST_SUITE(TokenBuckets, Kinds);

struct Step {
    std::chrono::nanoseconds at;
    std::uint64_t wanted;
    std::uint64_t granted;
};

TYPED_TEST(TokenBuckets, GrantTheBurstAndThenTheRate) {
    TypeParam bucket(1'000'000, 50'000);  // grants of 10,000 bytes or more, unless less is wanted
    constexpr Step steps[] = {
        {0ms, 30'000, 30'000},      // of the burst
        {0ms, 30'000, 20'000},      // its rest
        {0ms, 30'000, 0},           // nothing is left
        {9ms, 30'000, 0},           // less than a hundredth of a second's worth
        {9ms, 9'000, 9'000},        // but it is all that was wanted
        {25ms, 30'000, 16'000},     // a part
        {25ms, 0, 0},               // nothing wanted
        {1'000ms, 90'000, 50'000},  // never more than the burst, however long it was idle
        {1'000ms, 90'000, 0},
    };
    for (const auto& [at, wanted, granted] : steps) EXPECT_EQ(bucket.take(wanted, start + at), granted) << at.count();
}

TYPED_TEST(TokenBuckets, SayWhenMoreMayGo) {
    TypeParam bucket(1'000'000, 50'000);
    EXPECT_LE(bucket.ready_at(1), start);
    ASSERT_EQ(bucket.take(50'000, start), 50'000U);
    for (const auto& [wanted, wait, granted] : {std::tuple{1U, 1'000ns, 1U}, std::tuple{5'000U, 5'000'000ns, 5'000U},
                                                std::tuple{90'000U, 10'000'000ns, 10'000U}}) {
        EXPECT_EQ(bucket.ready_at(wanted), start + wait) << wanted;
        EXPECT_EQ(bucket.take(wanted, start + wait - 1ns), 0U) << wanted;
        EXPECT_EQ(bucket.take(wanted, start + wait), granted) << wanted;
        bucket.give_back(granted);
    }
}

TYPED_TEST(TokenBuckets, TakeBackWhatDidNotGo) {
    TypeParam bucket(1'000, 1'000);
    ASSERT_EQ(bucket.take(1'000, start), 1'000U);
    bucket.give_back(400);
    EXPECT_EQ(bucket.take(1'000, start), 400U);
}

TYPED_TEST(TokenBuckets, GrantNothingExtraWhenTheTimeOfACallerLagsBehind) {
    TypeParam bucket(1'000, 1'000);
    ASSERT_EQ(bucket.take(1'000, start), 1'000U);
    EXPECT_EQ(bucket.take(1'000, start - 1h), 0U);
    EXPECT_EQ(bucket.ready_at(1), start + 1ms);
}

TYPED_TEST(TokenBuckets, KeepTheRateAtAnyRate) {
    for (const std::uint64_t rate : {1ULL, 7ULL, 1'000ULL, 1'048'576ULL, 1'073'741'824ULL, 10'000'000'000ULL}) {
        const auto burst = usual_burst_bytes(rate);
        TypeParam bucket(rate, burst);
        std::uint64_t granted = bucket.take(burst, start);
        const auto end = start + 3s;
        for (auto now = bucket.ready_at(65'536); now <= end; now = bucket.ready_at(65'536)) {
            const auto bytes = bucket.take(65'536, now);
            ASSERT_GT(bytes, 0U) << rate;
            granted += bytes;
        }
        EXPECT_LE(granted, burst + 3 * rate) << rate;
        EXPECT_GE(static_cast<double>(granted) + 65'536, static_cast<double>(burst) + 2.99 * static_cast<double>(rate))
            << rate;
    }
}

TYPED_TEST(TokenBuckets, StandTheLargestNumbers) {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    TypeParam wide(most, most);
    EXPECT_GT(wide.take(most, start), most / 2);
    TypeParam slow(1, most);
    EXPECT_GT(slow.take(most, start), 1'000'000'000U);
    EXPECT_EQ(slow.take(most, start), 0U);
    TypeParam none(0, 0);
    EXPECT_EQ(none.take(most, start), 1U);
    EXPECT_EQ(none.ready_at(most), start + 1s);
}

TEST(TokenBucket, NeverExceedsTheLimitInAnyWindow) {
    constexpr std::uint64_t rate = 123'457;
    constexpr std::uint64_t burst = 10'007;
    std::mt19937 random(1);
    TokenBucket bucket(rate, burst);
    std::vector<std::pair<TimePoint, std::uint64_t>> grants;
    auto now = start;
    for (int i = 0; i < 1'000; ++i) {
        now += std::chrono::microseconds(random() % 20'000);
        grants.emplace_back(now, bucket.take(random() % 20'000, now));
    }
    for (std::size_t first = 0; first < grants.size(); ++first) {
        std::uint64_t sum = 0;
        for (std::size_t last = first; last < std::min(first + 50, grants.size()); ++last) {
            sum += grants[last].second;
            const std::chrono::duration<double> window = grants[last].first - grants[first].first;
            ASSERT_LE(static_cast<double>(sum), burst + rate * window.count() + 1);
        }
    }
}

TEST(SharedTokenBucket, KeepsItsFillInProportionWhenTheLimitChanges) {
    SharedTokenBucket bucket(1'000'000, 100'000);
    ASSERT_EQ(bucket.take(75'000, start), 75'000U);
    bucket.change(4'000'000, 200'000, start);
    EXPECT_EQ(bucket.take(200'000, start), 50'000U) << "a quarter was left";
    bucket.change(1'000'000, 100'000, start);
    EXPECT_EQ(bucket.take(100'000, start), 0U) << "what is empty stays so";
    EXPECT_EQ(bucket.take(100'000, start + 50ms), 50'000U) << "and fills up as the new limit says";
}

TEST(SharedTokenBucket, ThatIsFullStaysFullWhateverItsLimit) {
    SharedTokenBucket bucket(1'000'000, 100'000);
    bucket.change(2'000'000, 300'000, start);
    EXPECT_EQ(bucket.take(500'000, start), 300'000U);
}

TEST(SharedTokenBucket, ThreadsTogetherGetTheBurstAndNotAByteMore) {
    constexpr std::uint64_t burst = 1'000'000;
    SharedTokenBucket bucket(1'000'000, burst);
    std::vector<std::uint64_t> taken(4);
    {
        std::vector<std::jthread> threads;
        for (auto& sum : taken) {
            threads.emplace_back([&bucket, &sum] {
                for (int i = 0; i < 1'000; ++i) sum += bucket.take(1'000, start);
            });
        }
    }
    EXPECT_EQ(std::accumulate(taken.begin(), taken.end(), std::uint64_t{0}), burst);
}

}  // namespace
}  // namespace nsboot_lb::base
