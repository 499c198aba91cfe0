// What a client gets of a response: its head, how the body behind it is framed, what becomes of the connection.
#include "nsboot_lb/http/h1/response_writer.hpp"

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../net/loop.hpp"
#include "nsboot_lb/http/h1/parse.hpp"

namespace nsboot_lb::http::h1 {
namespace {

using net::IoStatus;
using net::testing::Peer;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(HasBody, NotForHeadNorForStatusesThatHaveNone) {
    EXPECT_TRUE(has_body(Method::get, 200));
    EXPECT_TRUE(has_body(Method::post, 404));
    EXPECT_TRUE(has_body(Method::options, 500));
    EXPECT_FALSE(has_body(Method::head, 200));
    EXPECT_FALSE(has_body(Method::get, 204));
    EXPECT_FALSE(has_body(Method::get, 304));
    EXPECT_FALSE(has_body(Method::get, 103));
}

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view head_only = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view get_1_0 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
constexpr std::string_view expecting =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
constexpr std::string_view length = "Content-Length: 5\r\n";
constexpr std::string_view chunked = "Transfer-Encoding: chunked\r\n";

std::string ok(std::string_view fields) {
    return "HTTP/1.1 200 OK\r\nDate: D\r\n" + std::string(fields) + "\r\n";
}

/// A response to a request, both as texts, on a connection to a client in the hands of the test.
class Answered {
  public:
    explicit Answered(std::string_view asked, std::string response = ok(length))
        : Answered(asked, net::testing::connected_pair()) {
        answer_with(std::move(response));
    }
    void answer_with(std::string response) {
        bytes = std::move(response);
        HeadError error;
        if (parse_response(bytes, {}, head, mended, error) != Parsed::complete)
            throw std::invalid_argument("not a response");
    }
    /// The head, with `text` behind it, as the client gets it.
    std::string send(std::string text = {}) {
        start();
        const auto taken = write(std::move(text));
        EXPECT_EQ(taken.status, IoStatus::ok);
        EXPECT_FALSE(writer.holds());
        stream.shutdown_write();
        return client.received();
    }
    void start() {
        writer.start({.head = head,
                      .additions = additions,
                      .via = "lb-test",
                      .date = date,
                      .has_body = has_body(request.method, head.status),
                      .close = close});
    }
    BodySink::Taken write(std::string text, bool ended = true) {
        written = std::move(text);
        const iovec piece{written.data(), written.size()};
        return writer.try_write(
            {.pieces = {&piece, written.empty() ? 0U : 1U}, .bytes = written.size(), .ended = ended}, {});
    }
    std::size_t fill_up() {
        std::size_t filled = 0;
        for (;;) {
            const auto result = stream.try_write(std::string(4096, '-'));
            if (result.status != IoStatus::ok) return filled;
            filled += result.bytes;
        }
    }

    net::testing::Loop loop;
    net::Stream stream{loop.reactor};
    Peer client;
    Input input;
    std::unique_ptr<BodyScratch> scratch = std::make_unique<BodyScratch>();
    Output out;
    std::string request_bytes;
    RequestHead request;
    BodyReader body{stream, input, *scratch};
    bool draining = false;
    ResponseWriter writer{stream, input, *scratch, out, request, body, draining};
    std::string bytes;
    std::string mended;
    ResponseHead head;
    std::vector<std::pair<std::string, std::string>> additions;
    std::string_view date;
    bool close = false;
    std::string written;

  private:
    Answered(std::string_view asked, std::array<int, 2> ends) : client(ends[1]), request_bytes(asked) {
        EXPECT_TRUE(stream.open(ends[0], true, true));
        HeadError error;
        if (parse_request(request_bytes, {}, request, error) != Parsed::complete)
            throw std::invalid_argument("not a request");
        body.begin(request.framing, request.content_length, {});
    }
};

struct FramingCase {
    std::string_view name;
    std::string_view request;
    std::string_view fields;
    std::string_view on_the_wire;  ///< of "hello"
    bool keeps_alive;
};

class FrameForClient : public ::testing::TestWithParam<FramingCase> {};

TEST_P(FrameForClient, KeepsALengthAndFramesTheRestByVersion) {
    Answered answered{GetParam().request, ok(GetParam().fields)};
    const auto text = answered.send(answered.request.method == Method::head ? "" : "hello");
    EXPECT_EQ(text.substr(text.find("\r\n\r\n") + 4), GetParam().on_the_wire);
    EXPECT_EQ(answered.writer.keeps_alive(), GetParam().keeps_alive);
}

constexpr std::string_view in_chunks = "5\r\nhello\r\n0\r\n\r\n";
constexpr FramingCase framings[] = {
    {"length", get, length, "hello", true},
    {"chunked", get, chunked, in_chunks, true},
    {"until_close", get, "", in_chunks, true},
    {"length_for_1_0", get_1_0, length, "hello", true},
    {"chunked_for_1_0", get_1_0, chunked, "hello", false},
    {"until_close_for_1_0", get_1_0, "", "hello", false},
    {"length_for_1_0_without_keep_alive", "GET / HTTP/1.0\r\n\r\n", length, "hello", false},
    {"head_with_length", head_only, length, "", true},
    {"head_with_chunked", head_only, chunked, "", true},
    {"client_closes", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", length, "hello", false},
};
INSTANTIATE_TEST_SUITE_P(Framings, FrameForClient, ::testing::ValuesIn(framings),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- Whether the connection can be used afterwards

TEST(KeepsAlive, NotWhenWeDrainOrAreToClose) {
    Answered draining{get};
    draining.draining = true;
    EXPECT_THAT(draining.send("hello"), HasSubstr("Connection: close\r\n"));
    EXPECT_FALSE(draining.writer.keeps_alive());
    Answered closing{get};
    closing.close = true;
    EXPECT_THAT(closing.send("hello"), HasSubstr("Connection: close\r\n"));
    EXPECT_FALSE(closing.writer.keeps_alive());
}

bool keeps_alive_behind(std::string_view request) {
    Answered answered{request};
    answered.start();
    return answered.writer.keeps_alive();
}

TEST(KeepsAlive, BehindABodyThatWillBeRead) {
    EXPECT_TRUE(keeps_alive_behind("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"));
    EXPECT_FALSE(keeps_alive_behind("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"));
    EXPECT_TRUE(keeps_alive_behind("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    EXPECT_FALSE(keeps_alive_behind(expecting)) << "whose body does not come";
}

TEST(KeepsAlive, BehindABodyThatWasReadToItsEndAndNoneInTheMiddle) {
    Answered answered{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"};
    answered.client.send("he");
    answered.body.consume(answered.body.try_read(100).bytes);
    answered.start();
    EXPECT_FALSE(answered.writer.keeps_alive());
    answered.client.send("llo");
    answered.body.consume(answered.body.try_read(100).bytes);
    answered.start();
    EXPECT_TRUE(answered.writer.keeps_alive());
}

// ---- The head

TEST(ResponseWriterHead, IsTheServersWithOneFramingAndVia) {
    Answered answered{get, ok("Server: x\r\nSet-Cookie: a\r\nset-cookie:b\r\ncontent-length: 5\r\nKeep-Alive: 5\r\n")};
    EXPECT_EQ(answered.send("hello"),
              "HTTP/1.1 200 OK\r\nDate: D\r\nServer: x\r\nSet-Cookie: a\r\nset-cookie: b\r\ncontent-length: 5\r\n"
              "Via: 1.1 lb-test\r\n\r\nhello");
}

TEST(ResponseWriterHead, SaysThatItIsChunkedWhereTheServerSaidNothing) {
    Answered answered{get, ok("")};
    const auto text = answered.send();
    EXPECT_THAT(text, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(text, Not(HasSubstr("Content-Length")));
}

TEST(ResponseWriterHead, WritesALengthThatWasGivenTwiceOnce) {
    for (const auto lengths : {"Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n"}) {
        Answered answered{get, ok(lengths)};
        EXPECT_EQ(answered.send("hello"),
                  "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\nVia: 1.1 lb-test\r\n\r\nhello");
    }
}

TEST(ResponseWriterHead, OfBothFramingsHasOne) {
    Answered answered{get, ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")};
    const auto text = answered.send("hello");
    EXPECT_THAT(text, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(text, Not(HasSubstr("Content-Length")));
}

TEST(ResponseWriterHead, KeepsTheLengthForHeadAnd304AndDropsItFrom204) {
    EXPECT_THAT(Answered(head_only).send(), HasSubstr("Content-Length: 5\r\n"));
    Answered not_modified{get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"};
    EXPECT_THAT(not_modified.send(), HasSubstr("Content-Length: 5\r\n"));
    Answered no_content{get, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"};
    const auto text = no_content.send();
    EXPECT_THAT(text, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(text, Not(HasSubstr("Transfer-Encoding")));
}

TEST(ResponseWriterHead, GetsTheDateAndTheFieldsItIsGiven) {
    Answered answered{get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"};
    answered.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    answered.additions = {{"Set-Cookie", "s=1"}};
    const auto text = answered.send("hello");
    EXPECT_THAT(text, HasSubstr("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    EXPECT_THAT(text, HasSubstr("\r\nSet-Cookie: s=1\r\n"));
    EXPECT_EQ(answered.writer.head_bytes(), text.size() - 5);
}

TEST(ResponseWriterHead, SaysWhatBecomesOfTheConnection) {
    EXPECT_THAT(Answered(get).send("hello"), Not(HasSubstr("Connection")));
    EXPECT_THAT(Answered(get_1_0).send("hello"), HasSubstr("Connection: keep-alive\r\n"));
    EXPECT_THAT(Answered(get_1_0, ok("")).send("hello"), HasSubstr("Connection: close\r\n"));
}

TEST(ResponseWriterHead, SpeaksItsOwnVersionAndKeepsAnEmptyReason) {
    Answered answered{get, "HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n"};
    EXPECT_THAT(answered.send(), StartsWith("HTTP/1.1 200 \r\n"));
}

// ---- When it is written

TEST(ResponseWriterSends, HeadAndBodyTogether) {
    Answered answered{get};
    answered.start();
    EXPECT_EQ(answered.client.received(), "");
    EXPECT_FALSE(answered.writer.takes_unseen()) << "nothing may overtake the head";
    EXPECT_EQ(answered.write("hello").bytes, 5U);
    EXPECT_THAT(answered.client.received(), EndsWith("\r\n\r\nhello"));
}

TEST(ResponseWriterSends, TheHeadAloneWhereTheBodyIsStillToCome) {
    Answered answered{get};
    answered.start();
    EXPECT_EQ(answered.writer.try_flush(), IoStatus::ok);
    EXPECT_THAT(answered.client.received(), EndsWith("\r\n\r\n"));
    EXPECT_TRUE(answered.writer.takes_unseen());
    EXPECT_EQ(answered.write("hello").bytes, 5U);
    EXPECT_EQ(answered.client.received(), "hello");
}

TEST(ResponseWriterSends, HeadAndBodyWholeThoughTheSocketIsFull) {
    Answered answered{get};
    const auto filled = answered.fill_up();
    answered.start();
    auto taken = answered.write("hello");
    EXPECT_NE(taken.status, IoStatus::failed);
    EXPECT_TRUE(answered.writer.holds());
    EXPECT_EQ(answered.client.received(), std::string(filled, '-'));
    EXPECT_EQ(answered.writer.try_flush(), IoStatus::ok);
    if (taken.bytes == 0) taken = answered.write("hello");
    EXPECT_THAT(answered.client.received(), EndsWith("\r\n\r\nhello"));
}

// ---- Interim responses

constexpr auto hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n";
constexpr auto hints_sent = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 lb-test\r\n\r\n";
constexpr auto go_on = "HTTP/1.1 100 Continue\r\n\r\n";

std::string interim(std::string_view request, std::string response) {
    Answered answered{request, std::move(response)};
    EXPECT_TRUE(answered.writer.interim(answered.head, "lb-test"));
    EXPECT_FALSE(answered.writer.started());
    auto text = answered.client.received();
    EXPECT_EQ(answered.writer.head_bytes(), text.size());
    return text;
}

TEST(Interim, PassesFieldsButNothingOfTheConnection) {
    EXPECT_EQ(interim(get, hints), hints_sent);
    EXPECT_EQ(interim(expecting, go_on), go_on);
}

TEST(Interim, ThatNobodyAskedForOrUnderstandsIsNotSent) {
    EXPECT_EQ(interim(get, go_on), "");
    EXPECT_EQ(interim(get_1_0, hints), "");
}

TEST(Interim, IsHeldWhereTheSocketIsFullAndTheFinalHeadBehindIt) {
    Answered answered{get, hints};
    const auto filled = answered.fill_up();
    EXPECT_TRUE(answered.writer.interim(answered.head, "lb-test"));
    EXPECT_TRUE(answered.writer.interim(answered.head, "lb-test")) << "of which there is one at a time";
    EXPECT_TRUE(answered.writer.holds());
    answered.answer_with(ok(length));
    answered.start();
    const auto taken = answered.write("hello");
    EXPECT_EQ(taken.status, IoStatus::would_block);
    EXPECT_EQ(taken.bytes, 0U);
    EXPECT_EQ(answered.client.received(), std::string(filled, '-'));
    EXPECT_EQ(answered.write("hello").bytes, 5U);
    EXPECT_EQ(
        answered.client.received(),
        std::string(hints_sent) + "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\nVia: 1.1 lb-test\r\n\r\nhello");
}

// A client that waits for it would wait for ever.
TEST(Interim, ThatAllowsTheBodyIsNotLostBehindOneThatTheClientHasNotTaken) {
    Answered answered{expecting, hints};
    const auto filled = answered.fill_up();
    EXPECT_TRUE(answered.writer.interim(answered.head, "lb-test"));
    answered.answer_with(go_on);
    EXPECT_TRUE(answered.writer.interim(answered.head, "lb-test"));
    EXPECT_EQ(answered.client.received(), std::string(filled, '-'));
    EXPECT_EQ(answered.writer.try_flush(), IoStatus::ok);
    EXPECT_EQ(answered.client.received(), std::string(hints_sent) + go_on);
}

TEST(Interim, ToAClientThatIsGoneFails) {
    Answered answered{get, hints};
    answered.client.close();
    EXPECT_FALSE(answered.writer.interim(answered.head, "lb-test"));
}

constexpr auto switching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: k\r\n\r\n";
constexpr auto switching_sent =
    "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Via: 1.1 lb-test\r\n\r\n";

TEST(Upgrade, SaysToWhatAndGivesTheConnection) {
    Answered answered{get, switching};
    const auto upgraded = answered.writer.upgrade(answered.head, "lb-test");
    EXPECT_EQ(&upgraded.stream, &answered.stream);
    EXPECT_EQ(&upgraded.input, &answered.input);
    EXPECT_TRUE(answered.writer.started());
    EXPECT_FALSE(answered.writer.keeps_alive());
    EXPECT_EQ(answered.client.received(), switching_sent);
}

TEST(Upgrade, IsNotLostBehindAnInterimThatTheClientHasNotTaken) {
    Answered answered{get, hints};
    const auto filled = answered.fill_up();
    EXPECT_TRUE(answered.writer.interim(answered.head, "lb-test"));
    answered.answer_with(switching);
    (void)answered.writer.upgrade(answered.head, "lb-test");
    EXPECT_EQ(answered.client.received(), std::string(filled, '-'));
    EXPECT_EQ(answered.writer.try_flush(), IoStatus::ok);
    EXPECT_EQ(answered.client.received(), std::string(hints_sent) + switching_sent);
}

}  // namespace
}  // namespace nsboot_lb::http::h1
