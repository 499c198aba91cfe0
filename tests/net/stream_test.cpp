// Streams over real sockets: what is tried first, what is waited for, how waits end.
#include "nsboot_lb/net/stream.hpp"

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "loop.hpp"
#include "nsboot_lb/net/descriptors.hpp"
#include "nsboot_lb/net/pipe.hpp"

namespace nsboot_lb::net {
namespace {

using testing::Peer;
using testing::Waiter;
using namespace std::chrono_literals;

/// Long enough that only a mistake reaches it.
constexpr auto unreached = std::chrono::milliseconds{std::chrono::hours{1}};

class StreamTest : public ::testing::Test {
  public:  // for the coroutines, which are not members
    StreamTest() : StreamTest(testing::connected_pair()) {}
    explicit StreamTest(std::array<int, 2> ends) : peer(ends[1]) { EXPECT_TRUE(stream.open(ends[0], false, true)); }

    IoResult read(std::string& into) {
        const auto result = stream.try_read(bytes);
        into.append(bytes.data(), result.bytes);
        return result;
    }
    /// Writes until the socket takes no more.
    void fill(std::size_t piece = 65536) {
        while (stream.try_write(std::string(piece, 'x')).status == IoStatus::ok) {
        }
    }
    static iovec piece_of(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

    testing::Loop loop;
    Scope scope;
    Stream stream{loop.reactor};
    Peer peer;
    std::array<char, 65536> bytes{};
};

class TcpStreamTest : public StreamTest {
  protected:
    TcpStreamTest() : StreamTest(testing::connected_tcp_pair()) {}
};

TEST_F(StreamTest, reads_what_is_there) {
    peer.send("hello");
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::ok);
    EXPECT_EQ(got, "hello");
    EXPECT_EQ(read(got).status, IoStatus::would_block);
}

TEST_F(StreamTest, waits_until_there_is_something_to_read) {
    Waiter waiter{stream.readable(), scope};
    loop.turn();
    EXPECT_EQ(waiter.ended(), std::nullopt);
    peer.send("hello");
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::ok);
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::ok);
    EXPECT_EQ(got, "hello");
}

TEST_F(StreamTest, remembers_what_came_while_nobody_waited) {
    peer.send("hello");
    loop.turn();
    EXPECT_TRUE(stream.has_input());
    EXPECT_EQ(Waiter(stream.readable(), scope).ended(), Ready::ok);
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::ok);
    EXPECT_FALSE(stream.has_input()) << "less than there was room for";
}

// As the kernel does while somebody lists /proc/PID/fd, and a process that is being started.
TEST_F(StreamTest, a_closed_stream_hears_nothing_more_though_somebody_holds_on_to_its_descriptor) {
    const Peer holder{fcntl(stream.descriptor(), F_DUPFD_CLOEXEC, 0)};
    stream.close();
    Stream other{loop.reactor};
    const auto ends = testing::connected_pair();
    ASSERT_TRUE(other.open(ends[0], false, true));
    const Peer other_peer{ends[1]};
    peer.send("to whom?");
    other_peer.send("to the other");
    loop.run([](Stream& readable, Scope& scope) -> Task<void> {
        const auto ready = co_await readable.readable().wait(scope);
        EXPECT_EQ(ready, Ready::ok);
    }(other, scope));
    EXPECT_FALSE(stream.has_input());
}

TEST_F(StreamTest, tells_the_end_behind_the_last_bytes) {
    peer.send("bye");
    peer.shutdown();
    std::string got;
    loop.run([](StreamTest& test, std::string& out) -> Task<void> {
        const auto ready = co_await test.stream.readable().wait(test.scope);
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_EQ(test.read(out).status, IoStatus::ok);
        const auto again = co_await test.stream.readable().wait(test.scope);
        EXPECT_EQ(again, Ready::ok);
        EXPECT_EQ(test.read(out).status, IoStatus::end);
    }(*this, got));
    EXPECT_EQ(got, "bye");
    EXPECT_TRUE(stream.peer_closed());
    EXPECT_FALSE(stream.broken());
}

TEST_F(StreamTest, reads_to_the_end_though_each_read_fills_its_buffer) {
    peer.send(std::string(100, 'x'));
    peer.shutdown();
    std::size_t got = 0;
    loop.run([](StreamTest& test, std::size_t& out) -> Task<void> {
        for (;;) {
            const auto ready = co_await test.stream.readable().wait(test.scope);
            EXPECT_EQ(ready, Ready::ok);
            const auto result = test.stream.try_read(std::span{test.bytes}.first(10));
            if (result.status == IoStatus::end) co_return;
            out += result.bytes;
        }
    }(*this, got));
    EXPECT_EQ(got, 100U);
}

TEST_F(StreamTest, ends_a_wait_when_its_deadline_passes) {
    loop.run([](StreamTest& test) -> Task<void> {
        test.stream.readable().deadline().arm(test.loop.deadlines.list(1ms));
        const auto ready = co_await test.stream.readable().wait(test.scope);
        EXPECT_EQ(ready, Ready::timed_out);
        EXPECT_FALSE(test.stream.readable().deadline().armed());
        EXPECT_TRUE(test.stream.readable().deadline().expired());
    }(*this));
}

TEST_F(StreamTest, ends_the_waits_of_both_directions_when_cancelled) {
    fill();
    Waiter reading{stream.readable(), scope};
    Waiter writing{stream.writable(), scope};
    scope.cancel(Cause::no_use);
    loop.turn();
    EXPECT_EQ(reading.ended(), Ready::cancelled);
    EXPECT_EQ(writing.ended(), Ready::cancelled);
}

TEST_F(StreamTest, ends_the_waits_of_both_directions_as_cancelled_when_it_is_closed) {
    fill();
    Waiter reading{stream.readable(), scope};
    Waiter writing{stream.writable(), scope};
    stream.close();
    loop.turn();
    EXPECT_EQ(reading.ended(), Ready::cancelled);
    EXPECT_EQ(writing.ended(), Ready::cancelled);
    EXPECT_FALSE(scope.cancelled());
}

TEST_F(StreamTest, can_be_waited_for_again_in_another_scope) {
    Scope inner{scope};
    Waiter waiter{stream.readable(), inner};
    inner.cancel(Cause::no_use);
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
    Waiter next{stream.readable(), scope};
    peer.send("x");
    loop.turn();
    EXPECT_EQ(next.ended(), Ready::ok);
}

TEST_F(StreamTest, peeks_at_what_stays_there) {
    EXPECT_EQ(stream.peek(bytes), "");
    peer.send("hello");
    EXPECT_EQ(stream.peek(std::span{bytes}.first(2)), "he");
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::ok);
    EXPECT_EQ(got, "hello");
    peer.shutdown();
    EXPECT_EQ(stream.peek(bytes), "");
}

TEST_F(StreamTest, is_quiet_until_the_peer_says_something_or_leaves) {
    EXPECT_TRUE(stream.quiet());
    peer.send("x");
    EXPECT_FALSE(stream.quiet());
    std::string got;
    (void)read(got);
    EXPECT_EQ(got, "x") << "which asking has not taken";
    EXPECT_TRUE(stream.quiet());
    peer.shutdown();
    EXPECT_FALSE(stream.quiet());
}

TEST_F(StreamTest, writes_pieces_one_behind_the_other) {
    const std::array pieces{piece_of("one, "), piece_of(""), piece_of("two")};
    const auto result = stream.try_write(pieces);
    EXPECT_EQ(result.bytes, 8U);
    EXPECT_EQ(peer.received(), "one, two");
}

TEST_F(StreamTest, writes_all_of_more_than_the_socket_takes) {
    std::string sent;
    for (int i = 0; sent.size() < 3'000'000; ++i) sent += std::to_string(i) + ' ';
    std::string received;
    loop.run([](StreamTest& test, std::string_view text, std::string& got) -> Task<void> {
        const auto take = [](StreamTest& of, std::size_t size, std::string& into) -> Task<bool> {
            Stream other{of.loop.reactor};
            other.open(of.peer.release(), true, true);
            while (into.size() < size) {
                const auto ready = co_await other.readable().wait(of.scope);
                EXPECT_EQ(ready, Ready::ok);
                const auto result = other.try_read(of.bytes);
                into.append(of.bytes.data(), result.bytes);
            }
            co_return true;
        };
        const auto [written, taken] = co_await alongside(
            test.scope, write_all(test.stream, test.scope, text, test.loop.deadlines.list(unreached)),
            take(test, text.size(), got));
        EXPECT_TRUE(written.ok);
        EXPECT_TRUE(taken);
    }(*this, sent, received));
    EXPECT_TRUE(received == sent);
    EXPECT_FALSE(stream.writable().deadline().armed());
}

TEST_F(StreamTest, gives_up_a_write_that_nobody_takes) {
    loop.run([](StreamTest& test) -> Task<void> {
        const std::string text(3'000'000, 'x');
        const auto written = co_await write_all(test.stream, test.scope, text, test.loop.deadlines.list(1ms));
        EXPECT_FALSE(written.ok);
        EXPECT_TRUE(written.timed_out);
        EXPECT_FALSE(written.cancelled);
    }(*this));
}

TEST_F(StreamTest, gives_up_a_write_that_is_cancelled) {
    fill();
    const detail::Beside<WriteResult> writing{write_all(stream, scope, "x", loop.deadlines.list(unreached))};
    scope.cancel(Cause::no_use);
    loop.run([](const detail::Beside<WriteResult>& beside) -> Task<void> {
        const auto written = co_await beside;
        EXPECT_FALSE(written.ok);
        EXPECT_TRUE(written.cancelled);
    }(writing));
}

TEST_F(StreamTest, says_that_the_peer_is_gone_when_it_writes) {
    peer.close();
    const auto failed = stream.try_write("hello");
    EXPECT_EQ(failed.status, IoStatus::failed);
    EXPECT_EQ(failed.error, EPIPE);
    loop.run([](StreamTest& test) -> Task<void> {
        const auto written = co_await write_all(test.stream, test.scope, "hello", test.loop.deadlines.list(unreached));
        EXPECT_FALSE(written.ok);
        EXPECT_FALSE(written.timed_out);
        EXPECT_FALSE(written.cancelled);
    }(*this));
}

TEST_F(StreamTest, counts_what_the_peer_has_taken) {
    EXPECT_EQ(stream.acknowledged_bytes(), 0U);
    EXPECT_EQ(stream.try_write("hello").bytes, 5U);
    EXPECT_NE(stream.acknowledged_bytes(), 5U) << "it lies in the kernel";
    EXPECT_EQ(peer.received(), "hello");
    EXPECT_EQ(stream.acknowledged_bytes(), 5U);
}

/// Takes one piece of what lies in the kernel. Not enough for the stream to become writable.
void take_a_little(StreamTest& test) {
    EXPECT_GT(::recv(test.peer.descriptor(), test.bytes.data(), 10'000, MSG_DONTWAIT), 0);
}

TEST_F(StreamTest, waits_for_a_peer_as_long_as_that_takes_something_within_each_limit) {
    // The kernel counts a unix socket's bytes with its own beside them, so that the first ones do not show.
    for (int i = 0; i < 10; ++i) {
        fill(10'000);
        (void)peer.received();
    }
    fill(10'000);
    loop.run([](StreamTest& test) -> Task<void> {
        const auto take_slowly = [](StreamTest& of) -> Task<bool> {
            for (int i = 0; i < 3; ++i) {
                Pause pause{of.loop.reactor, of.scope, of.loop.deadlines.list(20ms)};
                const auto ready = co_await pause;
                EXPECT_EQ(ready, Ready::ok);
                take_a_little(of);
            }
            (void)of.peer.received();
            co_return true;
        };
        const auto began = Clock::now();
        const auto [done, ready] = co_await alongside(
            test.scope, take_slowly(test), wait_writable(test.stream, test.scope, test.loop.deadlines.list(30ms)));
        EXPECT_TRUE(done);
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_GE(Clock::now() - began, 60ms);
    }(*this));
}

TEST_F(StreamTest, does_not_wait_longer_for_a_peer_that_takes_nothing) {
    fill();
    loop.run([](StreamTest& test) -> Task<void> {
        const auto ready = co_await wait_writable(test.stream, test.scope, test.loop.deadlines.list(1ms));
        EXPECT_EQ(ready, Ready::timed_out);
    }(*this));
    EXPECT_FALSE(stream.writable().deadline().expired()) << "which would end the next wait";
}

/// Notes what is known by then.
struct Watching final : Stream::Observer {
    void on_event(Stream& stream) override {
        ++events;
        closed = stream.peer_closed();
        broken = stream.broken();
        input = stream.has_input();
    }
    int events = 0;
    bool closed = false;
    bool broken = false;
    bool input = false;
};

TEST_F(StreamTest, tells_its_observer_what_no_coroutine_waits_for) {
    loop.turn();  // it is writable
    Watching watching;
    stream.observe(&watching);
    peer.close();
    loop.turn();
    EXPECT_GT(watching.events, 0);
    EXPECT_TRUE(watching.closed);
    EXPECT_TRUE(watching.broken);
    EXPECT_TRUE(watching.input) << "its end is to be read";
    stream.observe(nullptr);
}

TEST_F(StreamTest, may_be_destroyed_by_its_observer) {
    struct Destroys final : Stream::Observer {
        void on_event(Stream&) override { stream.reset(); }
        std::optional<Stream> stream;
    };
    const auto ends = testing::connected_pair();
    const Peer of_victim{ends[1]};
    Destroys destroys;
    destroys.stream.emplace(loop.reactor);
    ASSERT_TRUE(destroys.stream->open(ends[0], false, true));
    loop.turn();
    destroys.stream->observe(&destroys);
    Waiter waiter{destroys.stream->readable(), scope};
    of_victim.send("x");
    loop.turn();
    EXPECT_FALSE(destroys.stream);
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
}

// What lies unread can still be read: a connection that both sides have ended in good order is not broken.
TEST_F(StreamTest, is_not_broken_when_both_sides_have_said_all) {
    EXPECT_TRUE(stream.shutdown_write());
    peer.send("bye");
    peer.shutdown();
    loop.turn();
    EXPECT_TRUE(stream.peer_closed());
    EXPECT_FALSE(stream.broken());
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::ok);
    EXPECT_EQ(read(got).status, IoStatus::end);
    EXPECT_EQ(got, "bye");
}

TEST_F(TcpStreamTest, is_broken_when_the_peer_resets) {
    const linger at_once{1, 0};
    ASSERT_EQ(setsockopt(peer.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    peer.close();
    loop.turn();
    EXPECT_TRUE(stream.broken());
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::failed);
}

/// The kernel tells of a reset once: if a write was told, a read sees what looks like an end.
TEST_F(TcpStreamTest, does_not_take_a_reset_that_a_write_was_told_of_for_an_end) {
    const linger at_once{1, 0};
    ASSERT_EQ(setsockopt(peer.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    peer.close();
    EXPECT_EQ(stream.try_write("x").status, IoStatus::failed);
    loop.turn();
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::failed);
}

TEST_F(TcpStreamTest, bounds_what_lies_unsent_if_asked_to) {
    EXPECT_EQ(stream.unsent_room(), SIZE_MAX);
    stream.limit_unsent(100'000);
    EXPECT_EQ(stream.unsent_room(), 100'000U);
    fill();
    EXPECT_EQ(stream.unsent_room(), 0U);
    EXPECT_TRUE(stream.unsent_is_limited());
    stream.lift_unsent_limit();
    EXPECT_FALSE(stream.unsent_is_limited());
    EXPECT_EQ(stream.try_write("more").status, IoStatus::ok);
}

TEST_F(StreamTest, has_no_bound_for_what_lies_unsent_where_the_kernel_has_none) {
    stream.limit_unsent(100'000);
    EXPECT_EQ(stream.unsent_room(), SIZE_MAX);
}

TEST_F(StreamTest, counts_its_descriptor) {
    const auto before = descriptors_in_use();
    stream.close();
    EXPECT_EQ(descriptors_in_use(), before - 1);
    stream.close();
    EXPECT_EQ(descriptors_in_use(), before - 1);
}

TEST_F(TcpStreamTest, closes_with_a_reset_if_asked_to) {
    stream.close(true);
    EXPECT_FALSE(stream.is_open());
    char byte = 0;
    EXPECT_EQ(recv(peer.descriptor(), &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(TcpStreamTest, closes_with_an_end_otherwise) {
    EXPECT_EQ(stream.try_write("bye").bytes, 3U);
    stream.close();
    std::array<char, 8> got{};
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 3);
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 0);
}

TEST_F(TcpStreamTest, holds_its_last_bytes_back_for_the_end_to_ride_with) {
    EXPECT_EQ(stream.try_write_last("bye").bytes, 3U);
    std::array<char, 8> got{};
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), -1);
    stream.close();
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 3);
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 0);
}

// A kernel that closes a socket with bytes nobody read drops what it has not sent.
TEST_F(TcpStreamTest, does_not_lose_its_last_bytes_to_bytes_it_has_not_read) {
    peer.send("more than was asked for");
    EXPECT_EQ(stream.try_write_last("bye").bytes, 3U);
    stream.close();
    std::array<char, 8> got{};
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 3);
}

TEST_F(TcpStreamTest, sends_an_end_and_goes_on_reading) {
    EXPECT_TRUE(stream.shutdown_write());
    char byte = 0;
    EXPECT_EQ(recv(peer.descriptor(), &byte, 1, MSG_DONTWAIT), 0);
    peer.send("still here");
    std::string got;
    EXPECT_EQ(read(got).status, IoStatus::ok);
    EXPECT_EQ(got, "still here");
}

TEST_F(TcpStreamTest, moves_bytes_through_a_pipe_without_reading_them) {
    const auto ends = testing::connected_tcp_pair();
    Stream to{loop.reactor};
    const Peer receiver{ends[1]};
    ASSERT_TRUE(to.open(ends[0], false, true));
    PipePool pipes;
    BorrowedPipe pipe{pipes};
    ASSERT_TRUE(pipe);
    const std::string text(50'000, 'x');
    peer.send(text);
    const auto in = stream.splice_to_pipe(pipe->write_end(), pipe->capacity());
    ASSERT_EQ(in.status, IoStatus::ok);
    ASSERT_GT(in.bytes, 0U);
    const auto out = to.splice_from_pipe(pipe->read_end(), in.bytes);
    EXPECT_EQ(out.status, IoStatus::ok);
    EXPECT_EQ(out.bytes, in.bytes);
    EXPECT_EQ(receiver.received(), text.substr(0, in.bytes));
}

TEST_F(TcpStreamTest, says_what_stops_it_from_moving_bytes) {
    PipePool pipes;
    BorrowedPipe pipe{pipes};
    ASSERT_TRUE(pipe);
    EXPECT_EQ(stream.splice_to_pipe(pipe->write_end(), 1000).status, IoStatus::would_block);
    peer.shutdown();
    EXPECT_EQ(stream.splice_to_pipe(pipe->write_end(), 1000).status, IoStatus::end);
}

TEST_F(StreamTest, many_at_once_are_all_served) {
    constexpr std::size_t count = 300;  // more than one batch of events
    const auto echo = [](Stream& stream, Scope& scope) -> Task<bool> {
        const auto ready = co_await stream.readable().wait(scope);
        std::array<char, 16> bytes{};
        const auto got = stream.try_read(bytes);
        co_return ready == Ready::ok&& stream.try_write({bytes.data(), got.bytes}).bytes == got.bytes;
    };
    struct Connection {
        explicit Connection(Reactor& reactor, std::array<int, 2> ends) : stream(reactor), peer(ends[1]) {
            EXPECT_TRUE(stream.open(ends[0], false, true));
        }
        Stream stream;
        Peer peer;
        std::optional<detail::Beside<bool>> echo;
    };
    std::vector<std::unique_ptr<Connection>> connections;
    for (std::size_t i = 0; i < count; ++i) {
        auto& connection =
            *connections.emplace_back(std::make_unique<Connection>(loop.reactor, testing::connected_pair()));
        connection.echo.emplace(echo(connection.stream, scope));
    }
    loop.run([](auto& all) -> Task<void> {
        for (auto& connection : all) connection->peer.send("ping");
        for (auto& connection : all) {
            const bool good = co_await *connection->echo;
            EXPECT_TRUE(good);
        }
    }(connections));
    for (auto& connection : connections) EXPECT_EQ(connection->peer.received(), "ping");
}

TEST_F(StreamTest, who_yields_lets_the_sockets_have_their_turn) {
    Waiter listening{stream.readable(), scope};
    peer.send("x");
    loop.run([](StreamTest& test, const Waiter& other) -> Task<void> {
        Scope own;
        for (int turns = 0; !other.ended() && turns < 1000; ++turns) {
            Yield others{test.loop.reactor, own};
            const auto ready = co_await others;
            EXPECT_EQ(ready, Ready::ok);
        }
    }(*this, listening));
    EXPECT_EQ(listening.ended(), Ready::ok);
}

}  // namespace
}  // namespace nsboot_lb::net
