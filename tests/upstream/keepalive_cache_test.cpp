// What becomes of idle connections, and of the lists that they are in, when configurations change.
#include <array>
#include <memory>

#include <gtest/gtest.h>

#include "../net/loop.hpp"
#include "nsboot_lb/upstream/connection.hpp"

namespace nsboot_lb::upstream {
namespace {

using namespace std::chrono_literals;

class KeepaliveCacheTest : public ::testing::Test {
  protected:
    /// An idle connection that `peer` is the other end of.
    std::unique_ptr<Connection> connected(std::array<int, 2> ends) {
        auto connection = std::make_unique<Connection>(loop.reactor);
        EXPECT_TRUE(connection->stream.open(ends[0], false, true));
        return connection;
    }
    void give(const IdleListPtr& list, std::array<int, 2> ends) {
        list->give(connected(ends), 10, loop.deadlines.list(1h));
    }
    static bool is_closed(const net::testing::Peer& peer) {
        char byte = 0;
        return ::recv(peer.descriptor(), &byte, 1, MSG_DONTWAIT) == 0;
    }

    net::testing::Loop loop;
    KeepaliveCache cache;
    observe::ServerCounters counters;
};

TEST_F(KeepaliveCacheTest, AnEndpointThatStaysKeepsItsConnections) {
    const auto ends = net::testing::connected_pair();
    const net::testing::Peer peer{ends[1]};
    const auto list = cache.list(7);
    list->count_in(&counters);
    give(list, ends);
    cache.retain({1, 7, 9});
    EXPECT_EQ(cache.list(7), list);
    EXPECT_EQ(counters.connections_idle.value(), 1);
    EXPECT_FALSE(is_closed(peer));
    EXPECT_NE(list->take(loop.deadlines.now()), nullptr);
    EXPECT_EQ(counters.connections_idle.value(), 0);
}

TEST_F(KeepaliveCacheTest, AnEndpointThatGoesIsForgotten) {
    const auto ends = net::testing::connected_pair();
    const net::testing::Peer peer{ends[1]};
    const auto list = cache.list(7);
    list->count_in(&counters);
    give(list, ends);
    cache.list(8);
    cache.retain({8});
    EXPECT_EQ(cache.size(), 1U);
    EXPECT_EQ(list->size(), 0U);
    EXPECT_EQ(counters.connections_idle.value(), 0);
    EXPECT_TRUE(is_closed(peer));
}

// An exchange that began before may still have it, and brings its connection back when the configuration is long gone.
TEST_F(KeepaliveCacheTest, WhatComesBackToAnEndpointThatIsGoneIsClosed) {
    const auto ends = net::testing::connected_pair();
    const net::testing::Peer peer{ends[1]};
    const auto list = cache.list(7);
    list->count_in(&counters);
    cache.retain({});
    EXPECT_EQ(cache.size(), 0U);
    give(list, ends);
    EXPECT_EQ(list->size(), 0U);
    EXPECT_EQ(list->take(loop.deadlines.now()), nullptr);
    EXPECT_EQ(counters.connections_idle.value(), 0);
    EXPECT_TRUE(is_closed(peer));
}

TEST_F(KeepaliveCacheTest, NothingGrowsWithEndpointsThatComeAndGo) {
    for (std::uint64_t id = 1; id <= 1000; ++id) {
        cache.list(id);
        cache.retain({id});
    }
    EXPECT_EQ(cache.size(), 1U);
}

TEST_F(KeepaliveCacheTest, AConnectionThatHasLivedLongEnoughIsNotTaken) {
    const auto ends = net::testing::connected_pair();
    const net::testing::Peer peer{ends[1]};
    const auto list = cache.list(7);
    const auto now = loop.deadlines.now();
    auto connection = connected(ends);
    connection->dies_at = now + 10s;
    list->give(std::move(connection), 10, loop.deadlines.list(1h));
    auto young = list->take(now + 9s);
    ASSERT_NE(young, nullptr);
    list->give(std::move(young), 10, loop.deadlines.list(1h));
    EXPECT_EQ(list->take(now + 10s), nullptr);
    EXPECT_EQ(list->size(), 0U);
    EXPECT_TRUE(is_closed(peer));
}

TEST_F(KeepaliveCacheTest, TheOneThatHasBeenIdleLongestMakesRoom) {
    const auto first = net::testing::connected_pair();
    const auto second = net::testing::connected_pair();
    const net::testing::Peer longest{first[1]};
    const net::testing::Peer latest{second[1]};
    const auto list = cache.list(7);
    list->count_in(&counters);
    cache.list(8);
    give(list, first);
    give(list, second);
    EXPECT_TRUE(cache.close_one());
    EXPECT_TRUE(is_closed(longest));
    EXPECT_FALSE(is_closed(latest));
    EXPECT_EQ(counters.connections_idle.value(), 1);
    EXPECT_TRUE(cache.close_one());
    EXPECT_TRUE(is_closed(latest));
    EXPECT_FALSE(cache.close_one()) << "there is none";
    EXPECT_EQ(counters.connections_idle.value(), 0);
}

TEST_F(KeepaliveCacheTest, OneThatTheServerClosesLeavesAtOnce) {
    const auto ends = net::testing::connected_pair();
    net::testing::Peer peer{ends[1]};
    const auto list = cache.list(7);
    give(list, ends);
    peer.close();
    loop.turn();
    EXPECT_EQ(list->size(), 0U);
}

}  // namespace
}  // namespace nsboot_lb::upstream
