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
class Relay : public ::testing::Test {
  public:
    Relay() : Relay(net::testing::connected_tcp_pair(), net::testing::connected_tcp_pair()) {}
    Relay(std::array<int, 2> from, std::array<int, 2> to) : sender(from[1]), receiver(to[1]) {
        EXPECT_TRUE(source_stream.open(from[0], true, true));
        EXPECT_TRUE(sink_stream.open(to[0], true, true));
        plan.source = &source;
        plan.sink = &sink;
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
        made.run([](Relay& test, auto& out) -> net::Task<void> { out = co_await relay(test.made.worker, test.plan); }(
                                                *this, end));
        return end.value();
    }
    /// Relays while a coroutine feeds `bytes` to the sender's side, and another takes them at the receiver's.
    RelayEnd run_with(std::string_view bytes, std::string& received);

    testing::MadeExchange made{"GET / HTTP/1.0\r\n\r\n"};
    net::Stream source_stream{made.worker.reactor};
    net::Stream sink_stream{made.worker.reactor};
    http::h1::Input input;
    http::h1::BodySource source{source_stream, input};
    http::h1::BodySink sink{sink_stream};
    Peer sender;
    Peer receiver;
    RelayPlan plan;
    MovedBytes moved;
};

net::Task<bool> feed(net::Stream& stream, std::string_view bytes, net::DeadlineList& limit) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    const auto written = co_await net::write_all(stream, std::span{&piece, 1}, limit);
    stream.shutdown_write();
    co_return written.ok;
}

/// Takes until there is nothing more to come; what it takes each time is small, so that the relay has to wait for it.
net::Task<bool> drain(net::Stream& stream, std::string& received) {
    std::array<char, 10'000> bytes{};
    for (;;) {
        const auto ready = co_await stream.readable();
        if (ready != net::Ready::ok) co_return false;
        const auto got = stream.read_some(bytes);
        if (got.status == net::IoStatus::end) co_return true;
        if (got.status == net::IoStatus::failed) co_return false;
        received.append(bytes.data(), got.bytes);
    }
}

net::Task<void> relay_between(Relay& test, std::string_view bytes, std::string& received,
                              std::optional<RelayEnd>& end) {
    net::Stream fed{test.made.worker.reactor};
    net::Stream drained{test.made.worker.reactor};
    fed.open(test.sender.release(), true, true);
    drained.open(test.receiver.release(), true, true);
    net::Concurrent<bool> feeding{feed(fed, bytes, *test.plan.sink_limit)};
    net::Concurrent<bool> draining{drain(drained, received)};
    feeding.start();
    draining.start();
    end = co_await relay(test.made.worker, test.plan);
    test.sink_stream.shutdown_write();
    const bool all_fed = co_await feeding.finished();
    const bool all_drained = co_await draining.finished();
    EXPECT_TRUE(all_fed);
    EXPECT_TRUE(all_drained);
}

RelayEnd Relay::run_with(std::string_view bytes, std::string& received) {
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

class RelayWay : public Relay, public ::testing::WithParamInterface<Way> {};

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

TEST_F(Relay, BeginsWithWhatCameWithTheHead) {
    begin(Framing::length, 10, Framing::length);
    input.append("hello");
    sender.send("worldnext");
    EXPECT_EQ(run(), RelayEnd::complete);
    EXPECT_EQ(receiver.received(), "helloworld");
    EXPECT_EQ(input.view(), "next");
}

TEST_F(Relay, PassesBytesOnAsTheyCome) {
    begin(Framing::length, 10, Framing::chunked);
    made.run([](Relay& test) -> net::Task<void> {
        net::Concurrent<RelayEnd> relaying{relay(test.made.worker, test.plan)};
        relaying.start();
        net::Stream seen{test.made.worker.reactor};
        seen.open(test.receiver.release(), false, true);
        test.sender.send("hello");
        const auto ready = co_await seen.readable();
        EXPECT_EQ(ready, net::Ready::ok);
        EXPECT_EQ(net::testing::received_on(seen.descriptor()), "5\r\nhello\r\n");
        EXPECT_FALSE(relaying.done());
        test.sender.send("world");
        const auto end = co_await relaying.finished();
        EXPECT_EQ(end, RelayEnd::complete);
        EXPECT_EQ(net::testing::received_on(seen.descriptor()), "5\r\nworld\r\n0\r\n\r\n");
    }(*this));
}

TEST_F(Relay, PassesTrailersOnThatMayCross) {
    begin(Framing::chunked, 0, Framing::chunked);
    plan.forward_trailers = true;
    sender.send("1\r\na\r\n0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\nAuthorization: x\r\nX_Y: z\r\n\r\n");
    EXPECT_EQ(run(), RelayEnd::complete);
    EXPECT_EQ(receiver.received(), "1\r\na\r\n0\r\nGrpc-Status: 0\r\n\r\n");
}

TEST_F(Relay, PassesNoTrailersOnUnlessAsked) {
    begin(Framing::chunked, 0, Framing::chunked);
    sender.send("1\r\na\r\n0\r\nGrpc-Status: 0\r\n\r\n");
    EXPECT_EQ(run(), RelayEnd::complete);
    EXPECT_EQ(receiver.received(), "1\r\na\r\n0\r\n\r\n");
}

TEST_F(Relay, SaysThatTheSenderClosedInMidBody) {
    begin(Framing::length, 10, Framing::length);
    sender.send("hello");
    sender.shutdown();
    EXPECT_EQ(run(), RelayEnd::source_truncated);
    EXPECT_EQ(moved, 5U);
}

TEST_F(Relay, SaysThatTheSenderClosedInMidBodyOfALargeOne) {
    begin(Framing::length, 10'000'000, Framing::length);
    sender.send("hello");
    sender.shutdown();
    EXPECT_EQ(run(), RelayEnd::source_truncated);
    EXPECT_EQ(receiver.received(), "hello");
}

TEST_F(Relay, InventsNoEndForABodyThatLostItsLastChunk) {
    begin(Framing::chunked, 0, Framing::chunked);
    sender.send("5\r\nhello\r\n");
    sender.shutdown();
    EXPECT_EQ(run(), RelayEnd::source_truncated);
    EXPECT_EQ(receiver.received(), "5\r\nhello\r\n");
}

TEST_F(Relay, SaysThatTheChunksAreBroken) {
    begin(Framing::chunked, 0, Framing::length);
    sender.send("5\nhello");
    EXPECT_EQ(run(), RelayEnd::source_malformed);
    EXPECT_EQ(receiver.received(), "");
}

TEST_F(Relay, SaysThatTheSenderReset) {
    begin(Framing::length, 10, Framing::length);
    const linger at_once{1, 0};
    ASSERT_EQ(setsockopt(sender.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    sender.close();
    EXPECT_EQ(run(), RelayEnd::source_reset);
}

TEST_F(Relay, SaysThatTheReceiverIsGone) {
    begin(Framing::length, 10'000'000, Framing::length);
    const linger at_once{1, 0};
    ASSERT_EQ(setsockopt(receiver.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    receiver.close();
    sender.send("hello");
    EXPECT_EQ(run(), RelayEnd::sink_failed);
}

TEST_F(Relay, WaitsForTheSenderSoLong) {
    begin(Framing::length, 10, Framing::length);
    plan.source_limit = &made.worker.deadlines.list(1ms);
    EXPECT_EQ(run(), RelayEnd::source_timed_out);
    EXPECT_FALSE(source_stream.read_deadline().armed());
}

/// Relays without end to a receiver that takes nothing.
net::Task<void> relay_to_nobody(Relay& test, std::optional<RelayEnd>& end) {
    const auto endless = text_of(20'000'000);
    net::Stream fed{test.made.worker.reactor};
    fed.open(test.sender.release(), true, true);
    net::Concurrent<bool> feeding{feed(fed, endless, test.made.worker.deadlines.list(unreached))};
    feeding.start();
    end = co_await relay(test.made.worker, test.plan);
    fed.cancel();
    (void)co_await feeding.finished();
}

class RelayToNobody : public Relay, public ::testing::WithParamInterface<Framing> {};

TEST_P(RelayToNobody, WaitsForTheReceiverSoLong) {
    begin(Framing::until_close, 0, GetParam());
    plan.sink_limit = &made.worker.deadlines.list(1ms);
    std::optional<RelayEnd> end;
    made.run(relay_to_nobody(*this, end));
    EXPECT_EQ(end, RelayEnd::sink_timed_out);
    EXPECT_FALSE(sink_stream.write_deadline().armed());
}
// Through a pipe, and through the scratch.
INSTANTIATE_TEST_SUITE_P(Framings, RelayToNobody, ::testing::Values(Framing::until_close, Framing::chunked));

TEST_F(Relay, EndsWhenItIsCancelled) {
    begin(Framing::length, 10, Framing::length);
    made.run([](Relay& test) -> net::Task<void> {
        net::Concurrent<RelayEnd> relaying{relay(test.made.worker, test.plan)};
        relaying.start();
        test.source_stream.cancel_read();
        const auto end = co_await relaying.finished();
        EXPECT_EQ(end, RelayEnd::cancelled);
    }(*this));
}

TEST_F(Relay, StopsAtTheSizeThatIsAllowed) {
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

TEST_F(Relay, LeavesItsPipeEmptyForTheNext) {
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
