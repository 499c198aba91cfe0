// How many connections there may be, and who is told when there is room or none.
#include "connection_limits.hpp"

#include <gtest/gtest.h>

#include "nsboot_lb/net/descriptors.hpp"

namespace nsboot_lb::server {
namespace {

using namespace std::chrono_literals;

base::IpAddress address(std::string_view text) {
    return base::IpAddress::parse(text).value();
}

TEST(ConnectionLimits, CountWithoutALimit) {
    ConnectionLimits limits{1};
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limits.try_begin());
    EXPECT_EQ(limits.count(), 1000U);
    limits.end(false);
    EXPECT_EQ(limits.count(), 999U);
}

TEST(ConnectionLimits, DoNotCountWhatHasNoRoom) {
    ConnectionLimits limits{1};
    limits.set(2, 0, 0);
    EXPECT_TRUE(limits.try_begin());
    EXPECT_TRUE(limits.try_begin());
    EXPECT_FALSE(limits.try_begin());
    EXPECT_EQ(limits.count(), 2U);
    limits.end(false);
    EXPECT_TRUE(limits.try_begin());
    limits.set(1, 0, 0);
    EXPECT_EQ(limits.count(), 2U) << "connections there are stay";
    limits.end(false);
    EXPECT_FALSE(limits.try_begin());
}

TEST(ConnectionLimits, ThatAreOfDescriptorsCountThoseOfServersToo) {
    ConnectionLimits limits{1};
    const auto in_use = net::descriptors_in_use();
    limits.set(0, 0, in_use + 10);
    net::opened_descriptors(10);
    EXPECT_TRUE(limits.try_begin());
    net::opened_descriptors(1);
    EXPECT_FALSE(limits.try_begin());
    net::closed_descriptors(11);
    EXPECT_TRUE(limits.try_begin());
}

TEST(ConnectionLimits, OfAnAddressAreItsOwn) {
    ConnectionLimits limits{1};
    EXPECT_FALSE(limits.counts_clients());
    limits.set(0, 2, 0);
    EXPECT_TRUE(limits.counts_clients());
    const auto client = address("192.0.2.1");
    EXPECT_TRUE(limits.begin_client(client));
    EXPECT_TRUE(limits.begin_client(client));
    EXPECT_FALSE(limits.begin_client(client));
    EXPECT_TRUE(limits.begin_client(address("192.0.2.2")));
    limits.end_client(client);
    EXPECT_TRUE(limits.begin_client(client));
    limits.end_client(address("192.0.2.3"));
}

TEST(ConnectionLimits, TellWhoWaitsThatThereMayBeRoom) {
    ConnectionLimits limits{2};
    int first = 0;
    int second = 0;
    limits.join(0, {.admit = [&] { ++first; }, .evict = [] {}});
    limits.join(1, {.admit = [&] { ++second; }, .evict = [] {}});
    ASSERT_TRUE(limits.try_begin() && limits.try_begin() && limits.try_begin());
    limits.end(false);
    EXPECT_EQ(first + second, 0) << "nobody waits";
    limits.begin_waiting(1);
    limits.end(false);
    EXPECT_EQ(first, 0);
    EXPECT_EQ(second, 1);
    EXPECT_TRUE(limits.try_admit(1));
    limits.end(false);
    EXPECT_EQ(second, 1);
}

TEST(ConnectionLimits, WantRoomForNoMoreThanWait) {
    ConnectionLimits limits{1};
    limits.join(0, {.admit = [] {}, .evict = [] {}});
    limits.set(2, 0, 0);
    ASSERT_TRUE(limits.try_begin() && limits.try_begin());
    EXPECT_FALSE(limits.wants_room()) << "nobody waits";
    limits.begin_waiting(0);
    EXPECT_TRUE(limits.wants_room());
    limits.evict(0);
    EXPECT_FALSE(limits.wants_room()) << "somebody goes";
    limits.begin_waiting(0);
    EXPECT_TRUE(limits.wants_room());
    limits.end(true);
    EXPECT_TRUE(limits.wants_room()) << "there is room for one of two";
    EXPECT_TRUE(limits.try_admit(0));
    EXPECT_FALSE(limits.try_admit(0));
    EXPECT_TRUE(limits.wants_room());
    limits.evict(0);
    limits.evicted_nobody();
    EXPECT_TRUE(limits.wants_room());
    limits.end(false);
    EXPECT_FALSE(limits.wants_room()) << "there is room";
    limits.end_waiting(0);
    EXPECT_FALSE(limits.wants_room());
    EXPECT_EQ(limits.count(), 1U);
}

TEST(ConnectionLimits, KnowWhoseConnectionHasBeenOfNoUseForLongest) {
    ConnectionLimits limits{3};
    int evicted = 0;
    limits.join(2, {.admit = [] {}, .evict = [&] { ++evicted; }});
    EXPECT_EQ(limits.find_oldest(), std::nullopt);
    const net::TimePoint now{1h};
    limits.show_oldest(0, now);
    limits.show_oldest(2, now - 1s);
    EXPECT_EQ(limits.find_oldest(), 2U);
    limits.evict(2);
    EXPECT_EQ(evicted, 1);
    limits.show_oldest(2, std::nullopt);
    EXPECT_EQ(limits.find_oldest(), 0U);
}

}  // namespace
}  // namespace nsboot_lb::server
