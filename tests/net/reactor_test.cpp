// What reaches a thread that waits in the reactor's own set rather than in Asio: which it does after the first event.
#include "nsboot_lb/net/reactor.hpp"

#include <array>
#include <future>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "loop.hpp"
#include "nsboot_lb/net/pause.hpp"

namespace nsboot_lb::net {
namespace {

using testing::Peer;
using namespace std::chrono_literals;

class ReactorTest : public ::testing::Test {
  public:  // for the coroutines, which are not members
    ReactorTest() : ReactorTest(testing::connected_pair()) {}
    explicit ReactorTest(std::array<int, 2> ends) : peer(ends[1]) { EXPECT_TRUE(stream.open(ends[0], false, true)); }

    /// Returns from within the reactor's turn.
    Task<void> one_event() {
        peer.send("x");
        const auto ready = co_await stream.readable();
        EXPECT_EQ(ready, Ready::ok);
        std::array<char, 16> bytes{};
        EXPECT_EQ(stream.read_some(bytes).status, IoStatus::ok);
    }

    testing::Loop loop;
    Stream stream{loop.reactor};
    Peer peer;
};

TEST_F(ReactorTest, runs_what_another_thread_posts_while_it_waits) {
    loop.run([](ReactorTest& test) -> Task<void> {
        for (int i = 0; i < 1000; ++i) {
            auto event = test.one_event();
            co_await std::move(event);
            std::thread other{[&test] { test.loop.reactor.post([&test] { test.peer.send("y"); }); }};
            const auto ready = co_await test.stream.readable();
            other.join();
            EXPECT_EQ(ready, Ready::ok);
            std::array<char, 16> bytes{};
            EXPECT_EQ(test.stream.read_some(bytes).status, IoStatus::ok);
        }
    }(*this));
}

TEST_F(ReactorTest, runs_what_its_own_thread_posts) {
    loop.run([](ReactorTest& test) -> Task<void> {
        auto event = test.one_event();
        co_await std::move(event);
        test.loop.reactor.post([&test] { test.peer.send("y"); });
        const auto ready = co_await test.stream.readable();
        EXPECT_EQ(ready, Ready::ok);
    }(*this));
}

TEST_F(ReactorTest, notices_deadlines_while_it_waits_also_earlier_ones_that_come_later) {
    loop.run([](ReactorTest& test) -> Task<void> {
        Deadline late{[](void*) { ADD_FAILURE() << "an hour is not over"; }, nullptr};
        late.arm(test.loop.deadlines.list(1h));
        for (const auto limit : {20ms, 5ms, 1ms}) {
            auto event = test.one_event();
            co_await std::move(event);
            const auto began = Clock::now();
            test.stream.read_deadline().arm(test.loop.deadlines.list(limit));
            const auto ready = co_await test.stream.readable();
            EXPECT_EQ(ready, Ready::timed_out);
            EXPECT_GE(Clock::now() - began, limit);
        }
        late.disarm();
    }(*this));
}

TEST_F(ReactorTest, notices_deadlines_while_sockets_are_never_quiet) {
    loop.run([](ReactorTest& test) -> Task<void> {
        bool over = false;
        Deadline deadline{[](void* flag) { *static_cast<bool*>(flag) = true; }, &over};
        deadline.arm(test.loop.deadlines.list(20ms));
        while (!over) {
            auto event = test.one_event();
            co_await std::move(event);
        }
    }(*this));
}

TEST_F(ReactorTest, notices_deadlines_while_somebody_always_yields) {
    loop.run([](ReactorTest& test) -> Task<void> {
        auto event = test.one_event();
        co_await std::move(event);
        bool over = false;
        Deadline deadline{[](void* flag) { *static_cast<bool*>(flag) = true; }, &over};
        deadline.arm(test.loop.deadlines.list(5ms));
        while (!over) {
            Yield others{test.loop.reactor};
            co_await others;
        }
    }(*this));
}

}  // namespace
}  // namespace nsboot_lb::net
