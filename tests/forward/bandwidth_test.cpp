#include "nsboot_lb/forward/bandwidth.hpp"

#include <gtest/gtest.h>

namespace nsboot_lb::forward {
namespace {

using namespace std::chrono_literals;

constexpr Bandwidth::TimePoint start{1'000s};
constexpr std::uint64_t plenty = 1U << 30;
const auto client = base::IpAddress::from_v4(0x0a000001);
const auto other_client = base::IpAddress::from_v4(0x0a000002);

std::shared_ptr<Bandwidth> limited(std::uint64_t per_client, std::uint64_t total) {
    auto bandwidth = std::make_shared<Bandwidth>();
    bandwidth->limit({.per_client = per_client, .total = total}, start);
    return bandwidth;
}

TEST(Bandwidth, GrantsNoMoreThanEitherLimitHasLeft) {
    const auto bandwidth = limited(1'000'000, 1'250'000);
    auto one = bandwidth->share_of(client);
    auto two = bandwidth->share_of(client);
    auto three = bandwidth->share_of(other_client);
    EXPECT_EQ(one.take(plenty, start), 100'000U);
    EXPECT_EQ(two.take(plenty, start), 0U) << "of the same client";
    EXPECT_EQ(three.take(plenty, start), 25'000U) << "what all together have left";
    three.give_back(25'000);
    EXPECT_EQ(three.take(plenty, start), 25'000U);
}

TEST(Bandwidth, IsSharedWithThoseWhoWait) {
    const auto bandwidth = limited(0, 1'000'000);
    auto one = bandwidth->share_of(client);
    auto two = bandwidth->share_of(other_client);
    EXPECT_EQ(one.take(plenty, start), 100'000U) << "nobody else is there";
    EXPECT_EQ(two.take(plenty, start), 0U);
    two.begin_wait();
    EXPECT_EQ(one.take(plenty, start + 50ms), 25'000U) << "half of what there is";
    EXPECT_EQ(one.take(plenty, start + 50ms), 0U) << "once";
    one.begin_wait();
    two.end_wait();
    EXPECT_EQ(two.take(10'000, start + 70ms), 10'000U);
    EXPECT_EQ(two.take(plenty, start + 70ms), 12'500U) << "what is left of a half of 45000";
    two.begin_wait();
    one.end_wait();
    EXPECT_EQ(one.take(plenty, start + 70ms), 16'384U) << "half of what is left would be too little to send";
}

TEST(Bandwidth, WhatDoesNotGoIsStillPartOfTheShare) {
    const auto bandwidth = limited(0, 1'000'000);
    auto one = bandwidth->share_of(client);
    auto two = bandwidth->share_of(other_client);
    EXPECT_EQ(one.take(plenty, start), 100'000U);
    one.give_back(60'000);  // nobody else was there: that makes no part of it
    two.begin_wait();
    EXPECT_EQ(one.take(plenty, start), 30'000U);
    one.give_back(25'000);
    EXPECT_EQ(one.take(20'000, start), 20'000U);
    EXPECT_EQ(one.take(plenty, start), 5'000U);
    EXPECT_EQ(one.take(plenty, start), 0U);
}

TEST(Bandwidth, IsTheSameForWhoCameBeforeAndBehindAReload) {
    const auto bandwidth = limited(0, 1'000'000);
    auto before = bandwidth->share_of(client);
    EXPECT_EQ(before.take(plenty, start), 100'000U);
    bandwidth->limit({.per_client = 0, .total = 1'000'000}, start);
    auto behind = bandwidth->share_of(other_client);
    EXPECT_EQ(behind.take(plenty, start), 0U);
    EXPECT_EQ(behind.take(plenty, start + 50ms), 50'000U);
    EXPECT_EQ(before.take(plenty, start + 50ms), 0U);
}

TEST(Bandwidth, AChangedLimitHoldsForThoseWhoAreThere) {
    const auto bandwidth = limited(1'000'000, 0);
    auto share = bandwidth->share_of(client);
    EXPECT_EQ(share.take(50'000, start), 50'000U);
    bandwidth->limit({.per_client = 4'000'000, .total = 0}, start);
    EXPECT_EQ(share.take(plenty, start), 200'000U) << "half full as before";
    bandwidth->limit({.per_client = 0, .total = 0}, start);
    EXPECT_EQ(share.take(plenty, start), plenty);
    bandwidth->limit({.per_client = 0, .total = 1'000'000}, start);
    EXPECT_EQ(share.take(plenty, start), 100'000U);
}

TEST(Bandwidth, OutlivesItsRouteInTheHandsOfThoseWhoUseIt) {
    auto bandwidth = limited(0, 1'000'000);
    const std::weak_ptr<Bandwidth> known{bandwidth};
    const auto share = bandwidth->share_of(client);
    bandwidth.reset();
    EXPECT_FALSE(known.expired()) << "a route that comes back finds it again";
}

}  // namespace
}  // namespace nsboot_lb::forward
