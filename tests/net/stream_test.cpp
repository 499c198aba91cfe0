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
#include "nsboot_lb/net/pause.hpp"
#include "nsboot_lb/net/pipe.hpp"

namespace nsboot_lb::net {
namespace {

using testing::Peer;
using namespace std::chrono_literals;

/// Long enough that only a mistake reaches it.
constexpr auto unreached = std::chrono::milliseconds{std::chrono::hours{1}};

class StreamTest : public ::testing::Test {
  public:  // for the coroutines, which are not members
    StreamTest() : StreamTest(testing::connected_pair()) {}
    explicit StreamTest(std::array<int, 2> ends) : peer(ends[1]) { EXPECT_TRUE(stream.open(ends[0], false, true)); }

    IoResult read(std::string& into) {
        const auto result = stream.read_some(bytes);
        into.append(bytes.data(), result.bytes);
        return result;
    }
    static iovec piece_of(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

    testing::Loop loop;
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
    std::string got;
    loop.run([](StreamTest& test, std::string& out, auto reader) -> Task<void> {
        Concurrent<Ready> waiting{reader(test)};
        waiting.start();
        EXPECT_FALSE(waiting.done());
        test.peer.send("hello");
        const auto ready = co_await waiting.finished();
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_EQ(test.read(out).status, IoStatus::ok);
    }(*this, got, [](StreamTest& test) -> Task<Ready> {
                 const auto ready = co_await test.stream.readable();
                 co_return ready;
             }));
    EXPECT_EQ(got, "hello");
}

// As the kernel does while somebody lists /proc/PID/fd, and a process that is being started.
TEST_F(StreamTest, a_closed_stream_hears_nothing_more_though_somebody_holds_on_to_its_descriptor) {
    const Peer holder{fcntl(stream.source().descriptor(), F_DUPFD_CLOEXEC, 0)};
    stream.close();
    Stream other{loop.reactor};
    const auto ends = testing::connected_pair();
    ASSERT_TRUE(other.open(ends[0], false, true));
    const Peer other_peer{ends[1]};
    peer.send("to whom?");
    other_peer.send("to the other");
    loop.run([](Stream& readable) -> Task<void> {
        const auto ready = co_await readable.readable();
        EXPECT_EQ(ready, Ready::ok);
    }(other));
    EXPECT_FALSE(stream.source().may_read());
}

TEST_F(StreamTest, tells_the_end_behind_the_last_bytes) {
    peer.send("bye");
    peer.shutdown();
    std::string got;
    loop.run([](StreamTest& test, std::string& out) -> Task<void> {
        const auto ready = co_await test.stream.readable();
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_EQ(test.read(out).status, IoStatus::ok);
        const auto again = co_await test.stream.readable();
        EXPECT_EQ(again, Ready::ok);
        EXPECT_EQ(test.read(out).status, IoStatus::end);
    }(*this, got));
    EXPECT_EQ(got, "bye");
    EXPECT_TRUE(stream.source().peer_closed());
    EXPECT_FALSE(stream.source().broken());
}

TEST_F(StreamTest, reads_to_the_end_though_each_read_fills_its_buffer) {
    peer.send(std::string(100, 'x'));
    peer.shutdown();
    std::size_t got = 0;
    loop.run([](StreamTest& test, std::size_t& out) -> Task<void> {
        for (;;) {
            const auto ready = co_await test.stream.readable();
            EXPECT_EQ(ready, Ready::ok);
            const auto result = test.stream.read_some(std::span{test.bytes}.first(10));
            if (result.status == IoStatus::end) co_return;
            out += result.bytes;
        }
    }(*this, got));
    EXPECT_EQ(got, 100U);
}

TEST_F(StreamTest, ends_a_wait_when_its_deadline_passes) {
    loop.run([](StreamTest& test) -> Task<void> {
        test.stream.read_deadline().arm(test.loop.deadlines.list(1ms));
        const auto ready = co_await test.stream.readable();
        EXPECT_EQ(ready, Ready::timed_out);
        EXPECT_FALSE(test.stream.read_deadline().armed());
    }(*this));
}

TEST_F(StreamTest, ends_the_waits_of_both_directions_when_cancelled) {
    loop.run([](StreamTest& test) -> Task<void> {
        while (test.stream.write_some(std::string(65536, 'x')).status == IoStatus::ok) {
        }
        const auto wait_for_reading = [](Stream& stream) -> Task<Ready> {
            const auto ready = co_await stream.readable();
            co_return ready;
        };
        const auto wait_for_writing = [](Stream& stream) -> Task<Ready> {
            const auto ready = co_await stream.writable();
            co_return ready;
        };
        Concurrent<Ready> reading{wait_for_reading(test.stream)};
        Concurrent<Ready> writing{wait_for_writing(test.stream)};
        reading.start();
        writing.start();
        test.stream.cancel();
        EXPECT_FALSE(reading.done()) << "resumed from the loop, not from within the call";
        const auto read = co_await reading.finished();
        const auto written = co_await writing.finished();
        EXPECT_EQ(read, Ready::cancelled);
        EXPECT_EQ(written, Ready::cancelled);
    }(*this));
}

TEST_F(StreamTest, can_be_waited_for_again_after_a_cancelled_wait) {
    loop.run([](StreamTest& test) -> Task<void> {
        test.stream.read_deadline().arm(test.loop.deadlines.list(1ms));
        const auto first = co_await test.stream.readable();
        EXPECT_EQ(first, Ready::timed_out);
        test.peer.send("x");
        const auto second = co_await test.stream.readable();
        EXPECT_EQ(second, Ready::ok);
    }(*this));
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
    const auto result = stream.write_some(pieces);
    EXPECT_EQ(result.bytes, 8U);
    EXPECT_EQ(peer.received(), "one, two");
}

TEST_F(StreamTest, writes_all_of_more_than_the_socket_takes) {
    std::string sent;
    for (int i = 0; sent.size() < 3'000'000; ++i) sent += std::to_string(i) + ' ';
    std::string received;
    loop.run([](StreamTest& test, std::string_view text, std::string& got) -> Task<void> {
        auto& limit = test.loop.deadlines.list(unreached);
        const auto write = [](Stream& stream, std::string_view all, DeadlineList& list) -> Task<WriteResult> {
            const std::array pieces{piece_of(all.substr(0, 10)), piece_of(all.substr(10, all.size() / 2)),
                                    piece_of(all.substr(10 + all.size() / 2))};
            const auto result = co_await write_all(stream, pieces, list);
            co_return result;
        };
        Concurrent<WriteResult> writing{write(test.stream, text, limit)};
        writing.start();
        EXPECT_FALSE(writing.done());
        Stream other{test.loop.reactor};
        other.open(test.peer.release(), true, true);
        while (got.size() < text.size()) {
            const auto ready = co_await other.readable();
            EXPECT_EQ(ready, Ready::ok);
            const auto result = other.read_some(test.bytes);
            got.append(test.bytes.data(), result.bytes);
        }
        const auto written = co_await writing.finished();
        EXPECT_TRUE(written.ok);
    }(*this, sent, received));
    EXPECT_EQ(received, sent);
    EXPECT_FALSE(stream.write_deadline().armed());
}

TEST_F(StreamTest, gives_up_a_write_that_nobody_takes) {
    loop.run([](StreamTest& test) -> Task<void> {
        const std::string text(3'000'000, 'x');
        const auto piece = piece_of(text);
        const auto written = co_await write_all(test.stream, std::span{&piece, 1}, test.loop.deadlines.list(1ms));
        EXPECT_FALSE(written.ok);
        EXPECT_TRUE(written.timed_out);
    }(*this));
}

TEST_F(StreamTest, says_that_the_peer_is_gone_when_it_writes) {
    peer.close();
    loop.run([](StreamTest& test) -> Task<void> {
        const auto piece = piece_of("hello");
        const auto written = co_await write_all(test.stream, std::span{&piece, 1}, test.loop.deadlines.list(unreached));
        EXPECT_FALSE(written.ok);
        EXPECT_FALSE(written.timed_out);
        EXPECT_EQ(written.error, EPIPE);
    }(*this));
}

/// Notes that something happened, and ends a wait that has nothing else to end it.
struct Watching final : Source::Observer {
    explicit Watching(Stream& wakes) : other(wakes) {}
    void on_event(Source& source) override {
        closed = source.peer_closed();
        broken = source.broken();
        other.cancel_read();
    }
    Stream& other;
    bool closed = false;
    bool broken = false;
};

TEST_F(StreamTest, tells_its_observer_what_no_coroutine_waits_for) {
    const auto ends = testing::connected_pair();
    Stream other{loop.reactor};
    const Peer silent{ends[1]};
    ASSERT_TRUE(other.open(ends[0], false, true));
    Watching watching{other};
    stream.source().observe(&watching);
    loop.run([](StreamTest& test, Stream& waits) -> Task<void> {
        test.peer.close();
        const auto ready = co_await waits.readable();
        EXPECT_EQ(ready, Ready::cancelled);
    }(*this, other));
    EXPECT_TRUE(watching.closed);
    EXPECT_TRUE(watching.broken);
    stream.source().observe(nullptr);
}

TEST_F(TcpStreamTest, closes_with_a_reset_if_asked_to) {
    stream.close(true);
    EXPECT_FALSE(stream.is_open());
    char byte = 0;
    EXPECT_EQ(recv(peer.descriptor(), &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(TcpStreamTest, closes_with_an_end_otherwise) {
    EXPECT_EQ(stream.write_some("bye").bytes, 3U);
    stream.close();
    std::array<char, 8> got{};
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 3);
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 0);
}

TEST_F(TcpStreamTest, holds_its_last_bytes_back_for_the_end_to_ride_with) {
    EXPECT_EQ(stream.write_last("bye").bytes, 3U);
    std::array<char, 8> got{};
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), -1);
    stream.close();
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 3);
    EXPECT_EQ(recv(peer.descriptor(), got.data(), got.size(), MSG_DONTWAIT), 0);
}

// A kernel that closes a socket with bytes nobody read drops what it has not sent.
TEST_F(TcpStreamTest, does_not_lose_its_last_bytes_to_bytes_it_has_not_read) {
    peer.send("more than was asked for");
    EXPECT_EQ(stream.write_last("bye").bytes, 3U);
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
    const auto out = to.splice_from_pipe(pipe->read_end(), in.bytes, false);
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
    struct Connection {
        explicit Connection(Reactor& reactor, std::array<int, 2> ends) : stream(reactor), peer(ends[1]) {
            EXPECT_TRUE(stream.open(ends[0], false, true));
        }
        Stream stream;
        Peer peer;
        std::optional<Concurrent<bool>> echo;
    };
    std::vector<std::unique_ptr<Connection>> connections;
    for (std::size_t i = 0; i < count; ++i)
        connections.push_back(std::make_unique<Connection>(loop.reactor, testing::connected_pair()));
    loop.run([](auto& all) -> Task<void> {
        const auto echo = [](Stream& stream) -> Task<bool> {
            const auto ready = co_await stream.readable();
            std::array<char, 16> bytes{};
            const auto got = stream.read_some(bytes);
            co_return ready == Ready::ok&& stream.write_some({bytes.data(), got.bytes}).bytes == got.bytes;
        };
        for (auto& connection : all) {
            connection->echo.emplace(echo(connection->stream));
            connection->echo->start();
        }
        for (auto& connection : all) connection->peer.send("ping");
        for (auto& connection : all) {
            const bool good = co_await connection->echo->finished();
            EXPECT_TRUE(good);
        }
    }(connections));
    for (auto& connection : connections) EXPECT_EQ(connection->peer.received(), "ping");
}

TEST_F(StreamTest, who_yields_lets_the_sockets_have_their_turn) {
    bool heard = false;
    loop.run([](StreamTest& test, bool& done) -> Task<void> {
        const auto listen = [](Stream& from, bool& flag) -> Task<bool> {
            const auto ready = co_await from.readable();
            flag = ready == Ready::ok;
            co_return flag;
        };
        Concurrent<bool> listening{listen(test.stream, done)};
        listening.start();
        test.peer.send("x");
        for (int turns = 0; !done && turns < 1000; ++turns) {
            Yield others{test.loop.reactor};
            co_await others;
        }
        EXPECT_TRUE(done);
        test.stream.cancel();
        const bool listened = co_await listening.finished();
        EXPECT_TRUE(listened);
    }(*this, heard));
}

TEST_F(StreamTest, pauses_for_as_long_as_the_list_says) {
    loop.run([](StreamTest& test) -> Task<void> {
        const auto began = test.loop.deadlines.now();
        Pause pause{test.loop.reactor, test.loop.deadlines.list(15ms)};
        co_await pause;
        EXPECT_GE(test.loop.deadlines.now() - began, 15ms);
    }(*this));
}

}  // namespace
}  // namespace nsboot_lb::net
