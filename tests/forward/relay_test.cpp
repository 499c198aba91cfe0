// One body from a socket to another: every framing to every other, slow sides, broken sides, limits.
#include "relay.hpp"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "made_exchange.hpp"
#include "nsboot_lb/http/h1/body_decoder.hpp"

namespace nsboot_lb::forward {
namespace {

using http::Framing;
using net::testing::Peer;
using namespace std::chrono_literals;

constexpr auto unreached = std::chrono::milliseconds{std::chrono::hours{1}};

/// A sender and a receiver in the hands of the test, and a relay between them.
class RelayTest : public ::testing::Test {
  public:
    RelayTest() : RelayTest(net::testing::connected_tcp_pair(), net::testing::connected_tcp_pair()) {}
    RelayTest(std::array<int, 2> from, std::array<int, 2> to) : sender(from[1]), receiver(to[1]) {
        EXPECT_TRUE(source_stream.open(from[0], true, true));
        EXPECT_TRUE(sink_stream.open(to[0], true, true));
        plan.source = &source;
        plan.sink = &sink;
        plan.scope = &scope;
        plan.source_limit = &made.worker.deadlines.list(unreached);
        plan.sink_limit = &made.worker.deadlines.list(unreached);
        plan.moved = &moved;
    }

    void begin(Framing from, std::uint64_t length, Framing to) {
        source.begin(from, length, {});
        sink.begin(to);
    }
    /// What has come to the receiver after a relay that could write all of it at once.
    RelayEnd run() {
        std::optional<RelayEnd> end;
        made.run([](RelayTest& test, auto& out) -> net::Task<void> { out = co_await relay(test); }(*this, end));
        return end.value();
    }
    /// As who moves bodies does it.
    static net::Task<RelayEnd> relay(RelayTest& test) {
        Relay moving{test.made.worker, test.plan};
        auto end = moving.pump();
        if (!end) end = co_await moving.run();
        co_return *end;
    }
    /// Relays while a coroutine feeds `bytes` to the sender's side, and another takes them at the receiver's.
    RelayEnd run_with(std::string_view bytes, std::string& received);

    testing::MadeExchange made{"GET / HTTP/1.0\r\n\r\n"};
    net::Stream source_stream{made.worker.reactor};
    net::Stream sink_stream{made.worker.reactor};
    net::Scope scope;
    http::Input input;
    http::h1::BodyReader source{source_stream, input, *made.worker.scratch};
    http::h1::BodyWriter sink{sink_stream, *made.worker.scratch};
    Peer sender;
    Peer receiver;
    RelayPlan plan;
    MovedBytes moved;
};

net::Task<bool> feed(net::Stream& stream, net::Scope& scope, std::string_view bytes, net::DeadlineList& limit) {
    const auto written = co_await net::write_all(stream, scope, bytes, limit);
    stream.shutdown_write();
    co_return written.ok;
}

/// Takes until there is nothing more to come; what it takes each time is small, so that the relay has to wait for it.
net::Task<bool> drain(net::Stream& stream, net::Scope& scope, std::string& received) {
    std::array<char, 10'000> bytes{};
    for (;;) {
        const auto ready = co_await stream.readable().wait(scope);
        if (ready != net::Ready::ok) co_return false;
        const auto got = stream.try_read(bytes);
        if (got.status == net::IoStatus::end) co_return true;
        if (got.status == net::IoStatus::failed) co_return false;
        received.append(bytes.data(), got.bytes);
    }
}

net::Task<RelayEnd> relay_and_end(RelayTest& test) {
    const auto end = co_await RelayTest::relay(test);
    test.sink_stream.shutdown_write();
    co_return end;
}

net::Task<void> relay_between(RelayTest& test, std::string_view bytes, std::string& received,
                              std::optional<RelayEnd>& end) {
    net::Stream fed{test.made.worker.reactor};
    net::Stream drained{test.made.worker.reactor};
    fed.open(test.sender.release(), true, true);
    drained.open(test.receiver.release(), true, true);
    net::Scope both;
    auto ends = net::alongside(both, feed(fed, both, bytes, *test.plan.sink_limit), drain(drained, both, received));
    const auto [relayed, fed_and_drained] = co_await net::alongside(both, relay_and_end(test), std::move(ends));
    end = relayed;
    EXPECT_TRUE(fed_and_drained.first);
    EXPECT_TRUE(fed_and_drained.second);
}

RelayEnd RelayTest::run_with(std::string_view bytes, std::string& received) {
    std::optional<RelayEnd> end;
    made.run(relay_between(*this, bytes, received, end));
    return end.value();
}

/// Text in which every place is different, so that nothing can be lost or swapped unseen.
std::string text_of(std::size_t size) {
    std::string text;
    text.reserve(size + 10);
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + ' ';
    text.resize(size);
    return text;
}

std::string in_chunks(std::string_view text, std::size_t chunk) {
    std::string bytes;
    http::h1::Output size;
    while (!text.empty()) {
        const auto part = text.substr(0, chunk);
        size.clear();
        size.append_number(part.size(), 16);
        bytes.append(size.text()).append(";x\r\n").append(part).append("\r\n");
        text.remove_prefix(part.size());
    }
    return bytes + "0\r\n\r\n";
}

std::string out_of_chunks(std::string_view bytes) {
    http::h1::BodyDecoder decoder;
    decoder.begin(Framing::chunked, 0, {});
    std::string text;
    for (;;) {
        const auto piece = decoder.next(bytes);
        bytes.remove_prefix(piece.consumed);
        text += piece.data;
        if (piece.status == http::h1::BodyDecoder::Status::data) continue;
        EXPECT_EQ(piece.status, http::h1::BodyDecoder::Status::end);
        EXPECT_TRUE(bytes.empty());
        return text;
    }
}

struct Way {
    std::string name;
    Framing from;
    Framing to;
    std::size_t size;
};

class RelayWay : public RelayTest, public ::testing::WithParamInterface<Way> {};

TEST_P(RelayWay, BringsTheBodyOverAsItIs) {
    const auto& way = GetParam();
    const auto text = text_of(way.size);
    begin(way.from, way.size, way.to);
    std::string received;
    const auto bytes = way.from == Framing::chunked ? in_chunks(text, 70'001) : text;
    EXPECT_EQ(run_with(bytes, received), RelayEnd::complete);
    EXPECT_EQ(moved, way.size);
    EXPECT_TRUE(source.ended());
    EXPECT_TRUE((way.to == Framing::chunked ? out_of_chunks(received) : received) == text);
}

std::vector<Way> ways() {
    std::vector<Way> ways;
    const std::pair<Framing, std::string> framings[] = {
        {Framing::length, "length"}, {Framing::chunked, "chunked"}, {Framing::until_close, "until_close"}};
    for (const auto& [from, from_name] : framings) {
        for (const auto& [to, to_name] : framings) {
            for (const std::size_t size :
                 {1UL, 100'000UL, 5'000'000UL})  // the largest goes through a pipe where it can
                ways.push_back({from_name + "_to_" + to_name + "_" + std::to_string(size), from, to, size});
        }
    }
    return ways;
}
INSTANTIATE_TEST_SUITE_P(Ways, RelayWay, ::testing::ValuesIn(ways()), [](const auto& info) { return info.param.name; });

TEST_F(RelayTest, BeginsWithWhatCameWithTheHead) {
    begin(Framing::length, 10, Framing::length);
    input.append("hello");
    sender.send("worldnext");
    EXPECT_EQ(run(), RelayEnd::complete);
    EXPECT_EQ(receiver.received(), "helloworld");
    EXPECT_EQ(input.view(), "next");
}

TEST_F(RelayTest, PassesBytesOnAsTheyCome) {
    begin(Framing::length, 10, Framing::chunked);
    made.run([](RelayTest& test) -> net::Task<void> {
        const auto look = [](RelayTest& of) -> net::Task<bool> {
            net::Stream seen{of.made.worker.reactor};
            seen.open(of.receiver.release(), false, true);
            of.sender.send("hello");
            auto ready = co_await seen.readable().wait(of.scope);
            EXPECT_EQ(ready, net::Ready::ok);
            EXPECT_EQ(net::testing::received_on(seen.descriptor()), "5\r\nhello\r\n");
            seen.readable().clear();
            of.sender.send("world");
            ready = co_await seen.readable().wait(of.scope);
            EXPECT_EQ(ready, net::Ready::ok);
            EXPECT_EQ(net::testing::received_on(seen.descriptor()), "5\r\nworld\r\n0\r\n\r\n");
            co_return true;
        };
        const auto [end, looked] = co_await net::alongside(test.scope, RelayTest::relay(test), look(test));
        EXPECT_EQ(end, RelayEnd::complete);
        EXPECT_TRUE(looked);
    }(*this));
}

TEST_F(RelayTest, PassesTrailersOnThatMayCross) {
    begin(Framing::chunked, 0, Framing::chunked);
    plan.forward_trailers = true;
    sender.send("1\r\na\r\n0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\nAuthorization: x\r\nX_Y: z\r\n\r\n");
    EXPECT_EQ(run(), RelayEnd::complete);
    EXPECT_EQ(receiver.received(), "1\r\na\r\n0\r\nGrpc-Status: 0\r\n\r\n");
}

TEST_F(RelayTest, PassesNoTrailersOnUnlessAsked) {
    begin(Framing::chunked, 0, Framing::chunked);
    sender.send("1\r\na\r\n0\r\nGrpc-Status: 0\r\n\r\n");
    EXPECT_EQ(run(), RelayEnd::complete);
    EXPECT_EQ(receiver.received(), "1\r\na\r\n0\r\n\r\n");
}

TEST_F(RelayTest, SaysThatTheSenderClosedInMidBody) {
    begin(Framing::length, 10, Framing::length);
    sender.send("hello");
    sender.shutdown();
    EXPECT_EQ(run(), RelayEnd::source_truncated);
    EXPECT_EQ(moved, 5U);
}

TEST_F(RelayTest, SaysThatTheSenderClosedInMidBodyOfALargeOne) {
    begin(Framing::length, 10'000'000, Framing::length);
    sender.send("hello");
    sender.shutdown();
    EXPECT_EQ(run(), RelayEnd::source_truncated);
    EXPECT_EQ(receiver.received(), "hello");
}

TEST_F(RelayTest, InventsNoEndForABodyThatLostItsLastChunk) {
    begin(Framing::chunked, 0, Framing::chunked);
    sender.send("5\r\nhello\r\n");
    sender.shutdown();
    EXPECT_EQ(run(), RelayEnd::source_truncated);
    EXPECT_EQ(receiver.received(), "5\r\nhello\r\n");
}

TEST_F(RelayTest, SaysThatTheChunksAreBroken) {
    begin(Framing::chunked, 0, Framing::length);
    sender.send("5\nhello");
    EXPECT_EQ(run(), RelayEnd::source_malformed);
    EXPECT_EQ(receiver.received(), "");
}

TEST_F(RelayTest, SaysThatTheSenderReset) {
    begin(Framing::length, 10, Framing::length);
    const linger at_once{1, 0};
    ASSERT_EQ(setsockopt(sender.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    sender.close();
    EXPECT_EQ(run(), RelayEnd::source_reset);
}

TEST_F(RelayTest, SaysThatTheReceiverIsGone) {
    begin(Framing::length, 10'000'000, Framing::length);
    const linger at_once{1, 0};
    ASSERT_EQ(setsockopt(receiver.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    receiver.close();
    sender.send("hello");
    EXPECT_EQ(run(), RelayEnd::sink_failed);
}

TEST_F(RelayTest, WaitsForTheSenderSoLong) {
    begin(Framing::length, 10, Framing::length);
    plan.source_limit = &made.worker.deadlines.list(1ms);
    EXPECT_EQ(run(), RelayEnd::source_timed_out);
    EXPECT_FALSE(source_stream.readable().deadline().armed());
}

/// Relays without end to a receiver that takes nothing.
net::Task<void> relay_to_nobody(RelayTest& test, std::optional<RelayEnd>& end) {
    const auto endless = text_of(20'000'000);
    net::Stream fed{test.made.worker.reactor};
    fed.open(test.sender.release(), true, true);
    net::Scope feeding;
    const auto relay_then_stop = [](RelayTest& of, net::Scope& other) -> net::Task<RelayEnd> {
        const auto ended = co_await RelayTest::relay(of);
        other.cancel(net::Cause::no_use);
        co_return ended;
    };
    const auto [all_fed, relayed] =
        co_await net::alongside(feeding, feed(fed, feeding, endless, test.made.worker.deadlines.list(unreached)),
                                relay_then_stop(test, feeding));
    EXPECT_FALSE(all_fed);
    end = relayed;
}

class RelayToNobody : public RelayTest, public ::testing::WithParamInterface<Framing> {};

TEST_P(RelayToNobody, WaitsForTheReceiverSoLong) {
    begin(Framing::until_close, 0, GetParam());
    plan.sink_limit = &made.worker.deadlines.list(1ms);
    std::optional<RelayEnd> end;
    made.run(relay_to_nobody(*this, end));
    EXPECT_EQ(end, RelayEnd::sink_timed_out);
    EXPECT_FALSE(sink_stream.writable().deadline().armed());
}
// Through a pipe, and through the scratch.
INSTANTIATE_TEST_SUITE_P(Framings, RelayToNobody, ::testing::Values(Framing::until_close, Framing::chunked));

TEST_F(RelayTest, EndsWhenItIsCancelled) {
    begin(Framing::length, 10, Framing::length);
    made.run([](RelayTest& test) -> net::Task<void> {
        const auto cancel = [](net::Scope& scope) -> net::Task<bool> {
            scope.cancel(net::Cause::no_use);
            co_return true;
        };
        net::Scope both;
        const auto [end, done] = co_await net::alongside(both, RelayTest::relay(test), cancel(test.scope));
        EXPECT_EQ(end, RelayEnd::cancelled);
        EXPECT_TRUE(done);
    }(*this));
}

TEST_F(RelayTest, StopsAtTheSizeThatIsAllowed) {
    begin(Framing::chunked, 0, Framing::chunked);
    plan.most_bytes = 9;
    sender.send("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
    EXPECT_EQ(run(), RelayEnd::too_large);
    EXPECT_EQ(receiver.received(), "");
    begin(Framing::chunked, 0, Framing::chunked);
    plan.most_bytes = 10;
    input.clear();
    sender.send("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
    EXPECT_EQ(run(), RelayEnd::complete);
    EXPECT_EQ(receiver.received(), "a\r\nhelloworld\r\n0\r\n\r\n");
}

TEST_F(RelayTest, LeavesItsPipeEmptyForTheNext) {
    const auto text = text_of(1'000'000);
    begin(Framing::length, text.size(), Framing::length);
    std::string received;
    EXPECT_EQ(run_with(text, received), RelayEnd::complete);
    const auto pipe = made.worker.pipes.take();
    char byte = 0;
    EXPECT_EQ(read(pipe->read_end(), &byte, 1), -1);
}

}  // namespace
}  // namespace nsboot_lb::forward
