// What reaches a thread that waits in the reactor's own set rather than in Asio: which it does after the first event.
// And in which order coroutines have their turns.
#include "nsboot_lb/net/reactor.hpp"

#include <array>
#include <memory>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "loop.hpp"
#include "nsboot_lb/net/wait.hpp"

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
        const auto ready = co_await stream.readable().wait(scope);
        EXPECT_EQ(ready, Ready::ok);
        std::array<char, 16> bytes{};
        EXPECT_EQ(stream.try_read(bytes).status, IoStatus::ok);
    }

    testing::Loop loop;
    Scope scope;
    Stream stream{loop.reactor};
    Peer peer;
};

TEST_F(ReactorTest, runs_what_another_thread_posts_while_it_waits) {
    loop.run([](ReactorTest& test) -> Task<void> {
        for (int i = 0; i < 1000; ++i) {
            auto event = test.one_event();
            co_await std::move(event);
            std::thread other{[&test] { test.loop.reactor.post([&test] { test.peer.send("y"); }); }};
            const auto ready = co_await test.stream.readable().wait(test.scope);
            other.join();
            EXPECT_EQ(ready, Ready::ok);
            std::array<char, 16> bytes{};
            EXPECT_EQ(test.stream.try_read(bytes).status, IoStatus::ok);
        }
    }(*this));
}

TEST_F(ReactorTest, runs_what_its_own_thread_posts) {
    loop.run([](ReactorTest& test) -> Task<void> {
        auto event = test.one_event();
        co_await std::move(event);
        test.loop.reactor.post([&test] { test.peer.send("y"); });
        const auto ready = co_await test.stream.readable().wait(test.scope);
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
            test.stream.readable().deadline().arm(test.loop.deadlines.list(limit));
            const auto ready = co_await test.stream.readable().wait(test.scope);
            EXPECT_EQ(ready, Ready::timed_out);
            EXPECT_GE(Clock::now() - began, limit);
            test.stream.readable().deadline().disarm();
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
            Yield others{test.loop.reactor, test.scope};
            const auto ready = co_await others;
            EXPECT_EQ(ready, Ready::ok);
        }
    }(*this));
}

// ---- Batches and turns

/// Another connection beside the test's own.
struct Connection {
    explicit Connection(Reactor& reactor) : Connection(reactor, testing::connected_pair()) {}
    Connection(Reactor& reactor, std::array<int, 2> ends) : stream(reactor), peer(ends[1]) {
        EXPECT_TRUE(stream.open(ends[0], false, true));
    }
    Stream stream;
    Peer peer;
};

/// Waits for one stream, and says whether it knows by then that the other one has something.
Task<bool> sees_other(Stream& own, const Stream& other, Scope& scope) {
    const auto ready = co_await own.readable().wait(scope);
    EXPECT_EQ(ready, Ready::ok);
    co_return other.has_input();
}

TEST_F(ReactorTest, records_all_events_of_a_batch_before_anybody_is_resumed) {
    Connection other{loop.reactor};
    loop.turn();
    loop.run([](ReactorTest& test, Connection& second) -> Task<void> {
        test.peer.send("x");
        second.peer.send("x");
        const auto [one, two] = co_await alongside(test.scope, sees_other(test.stream, second.stream, test.scope),
                                                   sees_other(second.stream, test.stream, test.scope));
        EXPECT_TRUE(one);
        EXPECT_TRUE(two);
    }(*this, other));
}

TEST_F(ReactorTest, looks_at_deadlines_after_the_sockets_of_the_same_batch) {
    loop.run([](ReactorTest& test) -> Task<void> {
        auto event = test.one_event();
        co_await std::move(event);
        test.stream.readable().deadline().arm(test.loop.deadlines.list(1ms));
        // As a process that was stopped finds them both.
        pollfd timer{test.loop.deadlines.descriptor(), POLLIN, 0};
        EXPECT_EQ(::poll(&timer, 1, -1), 1);
        test.peer.send("x");
        const auto ready = co_await test.stream.readable().wait(test.scope);
        EXPECT_EQ(ready, Ready::ok);
    }(*this));
}

/// Goes on whenever it is resumed, and notes that.
Task<bool> note_turn(Readiness& of, Scope& scope, char letter, std::string& order) {
    const auto ready = co_await of.wait(scope);
    EXPECT_EQ(ready, Ready::ok);
    order += letter;
    co_return true;
}

TEST_F(ReactorTest, gives_turns_in_the_order_in_which_they_became_due) {
    std::string order;
    std::vector<std::unique_ptr<Readiness>> readinesses;
    std::vector<detail::Beside<bool>> waiting;
    for (const char letter : std::string{"abc"}) {
        auto& readiness = *readinesses.emplace_back(std::make_unique<Readiness>(loop.reactor));
        waiting.emplace_back(note_turn(readiness, scope, letter, order));
    }
    for (const std::size_t next : {2U, 0U, 1U}) readinesses[next]->set();
    loop.turn();
    EXPECT_EQ(order, "cab");
}

TEST_F(ReactorTest, has_scopes_that_moved_much_go_behind_those_that_did_not) {
    std::string order;
    Scope moves_much;
    moves_much.note_used_up_turn();
    Readiness first{loop.reactor};
    Readiness second{loop.reactor};
    const detail::Beside<bool> much{note_turn(first, moves_much, 'm', order)};
    const detail::Beside<bool> little{note_turn(second, scope, 'l', order)};
    first.set();
    second.set();
    loop.turn();
    EXPECT_EQ(order, "lm");
}

/// Reads byte by byte until it is the others' turn. Gives how many there were.
std::size_t read_for_a_turn(Stream& stream) {
    std::array<char, 1> byte{};
    std::size_t count = 0;
    while (stream.try_read(byte).status == IoStatus::ok) ++count;
    return count;
}

TEST_F(ReactorTest, ends_a_turn_after_so_many_calls) {
    peer.send(std::string(3UL * Reactor::most_turn_calls, 'x'));
    std::string order;
    Readiness others{loop.reactor};
    const detail::Beside<bool> waiting{note_turn(others, scope, 'o', order)};
    loop.run([](ReactorTest& test, Readiness& of_others, std::string& notes) -> Task<void> {
        Scope own;
        const auto ready = co_await test.stream.readable().wait(own);
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_EQ(read_for_a_turn(test.stream), Reactor::most_turn_calls);
        EXPECT_TRUE(test.loop.reactor.turn_over());
        EXPECT_TRUE(test.stream.has_input()) << "it has not been read to its end";
        EXPECT_FALSE(own.moves_much()) << "until it goes on waiting for what is there";
        of_others.set();
        const auto again = co_await test.stream.readable().wait(own);
        EXPECT_EQ(again, Ready::ok);
        EXPECT_EQ(notes, "o") << "others went first";
        EXPECT_TRUE(own.moves_much());
        EXPECT_EQ(read_for_a_turn(test.stream), Reactor::most_turn_calls) << "a turn of its own";
    }(*this, others, order));
}

TEST_F(ReactorTest, ends_a_turn_after_so_many_bytes) {
    loop.run([](ReactorTest& test) -> Task<void> {
        auto event = test.one_event();
        co_await std::move(event);
        test.peer.send("x");
        const auto ready = co_await test.stream.readable().wait(test.scope);
        EXPECT_EQ(ready, Ready::ok);
        test.loop.reactor.worked(Reactor::most_turn_bytes - 1);
        EXPECT_FALSE(test.loop.reactor.turn_over());
        test.loop.reactor.worked(1);
        EXPECT_TRUE(test.loop.reactor.turn_over());
        std::array<char, 16> bytes{};
        EXPECT_EQ(test.stream.try_read(bytes).status, IoStatus::would_block) << "nothing new is begun";
        EXPECT_EQ(test.stream.try_write("x").status, IoStatus::ok) << "what was begun is finished";
        const auto again = co_await test.stream.readable().wait(test.scope);
        EXPECT_EQ(again, Ready::ok);
        EXPECT_EQ(test.stream.try_read(bytes).status, IoStatus::ok);
    }(*this));
}

TEST_F(ReactorTest, a_wait_for_what_is_not_there_costs_no_place_behind) {
    loop.run([](ReactorTest& test) -> Task<void> {
        auto event = test.one_event();
        co_await std::move(event);
        test.loop.reactor.worked(Reactor::most_turn_bytes);
        std::array<char, 16> bytes{};
        test.stream.readable().clear();
        test.loop.reactor.post([&test] { test.peer.send("x"); });
        Scope own;
        const auto ready = co_await test.stream.readable().wait(own);
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_FALSE(own.moves_much());
        EXPECT_EQ(test.stream.try_read(bytes).status, IoStatus::ok);
    }(*this));
}

TEST_F(ReactorTest, looks_at_sockets_between_coroutines_that_take_long) {
    constexpr std::size_t count = 10;
    std::size_t before = 0;
    std::vector<std::unique_ptr<Readiness>> readinesses;
    std::vector<detail::Beside<bool>> waiting;
    const auto work_long = [](Readiness& of, Scope& in, Reactor& reactor, std::size_t& done) -> Task<bool> {
        const auto ready = co_await of.wait(in);
        EXPECT_EQ(ready, Ready::ok);
        const auto until = Clock::now() + Reactor::round_time;
        while (Clock::now() < until) {
        }
        reactor.worked(Reactor::most_turn_bytes);
        ++done;
        co_return true;
    };
    for (std::size_t i = 0; i < count; ++i) {
        auto& readiness = *readinesses.emplace_back(std::make_unique<Readiness>(loop.reactor));
        waiting.emplace_back(work_long(readiness, scope, loop.reactor, before));
    }
    Scope much;
    much.note_used_up_turn();
    loop.run([](ReactorTest& test, auto& all, std::size_t& done, Scope& in) -> Task<void> {
        auto event = test.one_event();
        co_await std::move(event);
        for (auto& readiness : all) readiness->set();
        test.peer.send("x");
        const auto ready = co_await test.stream.readable().wait(in);
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_LT(done, all.size()) << "also who goes behind has a turn in each round";
        while (done != all.size()) {
            Yield others{test.loop.reactor, in};
            const auto yielded = co_await others;
            EXPECT_EQ(yielded, Ready::ok);
        }
    }(*this, readinesses, before, much));
}

}  // namespace
}  // namespace nsboot_lb::net
