/// Flow, time and failure, BEHAVIOURS rows 51 to 60: limits of time and size, streaming with back-pressure, early
/// answers, aborts, retries and pooling.
#include <chrono>

#include <gmock/gmock.h>

#include "address.hpp"
#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::MatchesRegex;

constexpr std::size_t mebibyte_bytes = 1024 * 1024;

std::string post(std::string_view target, std::string_view lines, std::string_view body = "") {
    return "POST " + std::string{target} + " HTTP/1.1\r\nHost: example.com\r\n" + std::string{lines} + "\r\n" +
           std::string{body};
}

class FlowTest : public SharedProxy<FlowTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers:
    servers: ["$origin"]
    timeouts: {connect: 1s, response: 2s, idle: 2s}
    passive_health: {max_fails: 0}
routes:
  - {name: limited, match: {path_prefix: /limited}, pool: servers, max_body: 1000}
  - {name: impatient, match: {path_prefix: /impatient}, pool: servers, timeouts: {response: 300ms}}
  - {name: stalling, match: {path_prefix: /stalling}, pool: servers, timeouts: {idle: 300ms}}
  - {name: all, pool: servers}
limits: {header_size: 4KiB, uri_size: 1KiB, header_count: 20}
timeouts: {header: 300ms, idle: 1s, body: 1s, send: 1s}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    void SetUp() override {
        SharedProxy::SetUp();
        began_ = std::chrono::steady_clock::now();
    }
    std::chrono::milliseconds elapsed() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_);
    }

  private:
    std::chrono::steady_clock::time_point began_;
};

// Row 51
TEST_F(FlowTest, TheTimeForAHeadCountsFromItsFirstByte) {
    Client client = connect();
    client.dribble("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(1000, 'a'), 1, 20ms);
    const Message response = client.response();
    EXPECT_EQ(response.status(), 408);
    EXPECT_EQ(response.field("Connection"), "close");
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_GE(elapsed(), 250ms);
    EXPECT_LT(elapsed(), 5s);
    expect_nothing_forwarded();
}

// Row 51
TEST_F(FlowTest, TheTimeForAHeadHoldsForLaterRequestsToo) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    client.send("GET / HT");
    EXPECT_EQ(client.response().status(), 408);
    EXPECT_EQ(client.await_end(), End::closed);
}

// Row 51: before the first byte it is the idle time that counts, and nobody asked, so nobody is answered.
TEST_F(FlowTest, AnIdleConnectionIsClosedWithoutAnAnswer) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    EXPECT_FALSE(client.readable_within(500ms));
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(client.pending(), "");
}

// Row 52
TEST_F(FlowTest, ABodyThatStallsIsGivenUp) {
    const Event<End> ended;
    origin().script([ended](OriginConnection& connection) {
        connection.receive();
        ended.set(connection.await_end());
    });
    Client client = connect();
    client.send(post("/", "Content-Length: 1000\r\n", "only this"));
    EXPECT_EQ(client.response().status(), 408);
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_NE(ended.wait(), End::open);
    EXPECT_LT(elapsed(), 5s);
}

// Row 52
TEST_F(FlowTest, AClientThatTakesNothingIsCutOff) {
    const Event<bool> all_taken;
    origin().script([all_taken](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        const std::string block(mebibyte_bytes, 'x');
        bool taken = true;
        for (int i = 0; i < 1024 && taken; ++i) taken = connection.send(block);
        all_taken.set(taken);
        connection.close();
    });
    Client client = Client::with_small_buffer(daemon().port());
    client.send(get("/"));
    EXPECT_FALSE(all_taken.wait());
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
    EXPECT_EQ(client.await_end(), End::reset);
}

// Row 53
TEST_F(FlowTest, AHeadThatIsTooLargeIsAnswered) {
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(5000, 'a') + "\r\n\r\n", 431);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n", 431);
    std::string many;
    for (int i = 0; i < 30; ++i) many += "X-" + std::to_string(i) + ": a\r\n";
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\n" + many + "\r\n", 431);
    expect_nothing_forwarded();
}

// Row 53
TEST_F(FlowTest, ATargetThatIsTooLongIsAnswered) {
    expect_refused(get("/" + std::string(1100, 'a')), 414);
    expect_refused(get("/" + std::string(64 * 1024, 'a')), 414);
    expect_refused(get("/?" + std::string(2000, 'a')), 414);
    expect_nothing_forwarded();
}

// Row 53
TEST_F(FlowTest, WhatFitsTheLimitsPasses) {
    EXPECT_EQ(exchange(get("/" + std::string(1000, 'a'))).status(), 200);
    EXPECT_EQ(exchange("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(3500, 'a') + "\r\n\r\n").status(),
              200);
    EXPECT_EQ(exchange(post("/limited", "Content-Length: 1000\r\n", std::string(1000, 'x'))).status(), 200);
}

// Row 53
TEST_F(FlowTest, ABodyThatIsAnnouncedAsTooLargeIsRefusedAtOnce) {
    expect_refused(post("/limited", "Content-Length: 1001\r\n"), 413);
    expect_refused(post("/limited", "Content-Length: 9223372036854775807\r\n"), 413);
    expect_refused(post("/limited", "Content-Length: 1001\r\nExpect: 100-continue\r\n"), 413);
    expect_nothing_forwarded();
}

// Row 53
TEST_F(FlowTest, AChunkedBodyThatGrowsTooLargeIsRefused) {
    expect_refused(post("/limited", "Transfer-Encoding: chunked\r\n",
                        "3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n"),
                   413);
    expect_refused(post("/limited", "Transfer-Encoding: chunked\r\n", "ffffffff\r\n" + std::string(2000, 'x')), 413);
    for (const Message& request : origin().requests()) EXPECT_FALSE(request.complete);
    EXPECT_EQ(exchange(post("/limited", "Transfer-Encoding: chunked\r\n",
                            "3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n"))
                  .status(),
              200);
}

// Row 54
TEST_F(FlowTest, ExpectIsForwardedAndContinueComesOnce) {
    origin().script([](OriginConnection& connection) {
        EXPECT_EQ(connection.receive_head().field("Expect"), "100-continue");
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        EXPECT_EQ(connection.receive_exactly(5), "hello");
        connection.send(Origin::ok_answer());
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(post("/", "Expect: 100-continue\r\nContent-Length: 5\r\n")).status(), 100);
    client.send("hello");
    EXPECT_EQ(client.response().status(), 200);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/the-connection-goes-on")).status(), 200);
}

// Row 54
TEST_F(FlowTest, AnEarlyRefusalArrivesBeforeTheBodyIsSent) {
    origin().script([](OriginConnection& connection) {
        connection.receive_head();
        connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        connection.await_end();
    });
    Client client = connect();
    const Message response = client.exchange(post("/", "Expect: 100-continue\r\nContent-Length: 1000000\r\n"));
    EXPECT_EQ(response.status(), 403);
    EXPECT_EQ(response.body, "no");
    EXPECT_EQ(client.await_end(), End::closed);
}

// Row 54
TEST_F(FlowTest, AClientThatDoesNotWaitForContinueIsServed) {
    EXPECT_EQ(exchange(post("/", "Expect: 100-Continue\r\nContent-Length: 5\r\n", "hello")).status(), 200);
    EXPECT_EQ(origin().await_request().body, "hello");
}

// Row 54
TEST_F(FlowTest, AnUnknownExpectationIsRefused) {
    EXPECT_EQ(exchange(post("/", "Expect: 200-maybe\r\nContent-Length: 0\r\n")).status(), 417);
    expect_nothing_forwarded();
}

// Row 54: RFC 9110 10.1.1: an HTTP/1.0 client cannot mean it.
TEST_F(FlowTest, AnExpectationOfAnHttp10ClientIsOverlooked) {
    origin().script([](OriginConnection& connection) {
        if (connection.receive().has("Expect")) connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        connection.send(Origin::ok_answer());
    });
    EXPECT_EQ(exchange("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello").status(), 200);
}

// Row 55
TEST_F(FlowTest, AnEarlyAnswerToAnUploadArrivesAtOnce) {
    origin().script([](OriginConnection& connection) {
        connection.receive_head();
        connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        connection.await_end();
    });
    Client client = connect();
    client.send(post("/", "Content-Length: 100000000\r\n", std::string(100'000, 'x')));
    const Message response = client.response();
    EXPECT_EQ(response.status(), 413);
    EXPECT_EQ(response.body, "big");
    EXPECT_EQ(response.field("Connection"), "close");
    client.send(std::string(200'000, 'x'));  // a client that has not noticed yet is not reset
    EXPECT_EQ(client.await_end(), End::closed);
}

// Row 55
TEST_F(FlowTest, AnEarlyAnswerBehindWhichTheOriginClosesArrives) {
    origin().script([](OriginConnection& connection) {
        connection.receive_head();
        connection.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        connection.half_close();
        connection.await_end();
    });
    Client client = connect();
    client.send(post("/", "Content-Length: 100000000\r\n", std::string(100'000, 'x')));
    EXPECT_EQ(client.response().status(), 401);
}

// Row 56
TEST_F(FlowTest, AnUploadIsStreamed) {
    struct Pieces {
        const char* field;
        const char* first;
        const char* last;
    };
    for (const auto& [field, first, last] :
         {Pieces{"Content-Length: 9\r\n", "first", "last"},
          Pieces{"Transfer-Encoding: chunked\r\n", "5\r\nfirst\r\n", "4\r\nlast\r\n0\r\n\r\n"}}) {
        SCOPED_TRACE(field);
        const Event<> arrived;
        origin().script([=](OriginConnection& connection) {
            connection.receive_head();
            connection.receive_until(first);
            arrived.set();
            connection.receive_until(last);
            connection.send(Origin::ok_answer());
        });
        Client client = connect();
        client.send(post("/", field, first));
        arrived.wait();
        client.send(last);
        EXPECT_EQ(client.response().status(), 200);
    }
}

// Row 56
TEST_F(FlowTest, AResponseIsStreamed) {
    for (const auto* head :
         {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"}) {
        SCOPED_TRACE(head);
        const Event<> seen;
        const bool is_chunked = std::string_view{head}.find("chunked") != std::string_view::npos;
        origin().script([seen, head, is_chunked](OriginConnection& connection) {
            connection.receive();
            connection.send(head);
            connection.send(is_chunked ? "a\r\ndata: one\n\r\n" : "data: one\n");
            seen.wait();
            connection.send(is_chunked ? "a\r\ndata: two\n\r\n0\r\n\r\n" : "data: two\n");
            connection.close();
        });
        Client client = connect();
        client.send(get("/events"));
        EXPECT_EQ(client.response_head().status(), 200);
        client.receive_until("data: one\n");
        seen.set();
        client.receive_until("data: two\n");
    }
}

// Row 56
TEST_F(FlowTest, AResponseHeadDoesNotWaitForItsBody) {
    const Event<> seen;
    origin().script([seen](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        seen.wait();
        connection.send("ok");
    });
    Client client = connect();
    client.send(get("/"));
    EXPECT_EQ(client.response_head().status(), 200);
    seen.set();
    EXPECT_EQ(client.receive_exactly(2), "ok");
}

/// A large body of known content, made and checked block by block: 'A' for the first mebibyte, 'B' for the second …
class LargeBody {
  public:
    static constexpr std::size_t blocks = sanitized ? 32 : 256;
    static constexpr std::size_t size_bytes = blocks * mebibyte_bytes;

    static std::string block(std::size_t index) { return std::string(mebibyte_bytes, octet(index)); }
    /// Takes the next bytes of a body that somebody else sent.
    void check(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto here = bytes.substr(0, mebibyte_bytes - checked_ % mebibyte_bytes);
            right_ = right_ && here.find_first_not_of(octet(checked_ / mebibyte_bytes)) == here.npos;
            checked_ += here.size();
            bytes.remove_prefix(here.size());
        }
    }
    bool right() const { return right_ && checked_ == size_bytes; }

  private:
    static char octet(std::size_t index) { return static_cast<char>('A' + index % 26); }
    std::size_t checked_ = 0;
    bool right_ = true;
};

// Row 56
TEST_F(FlowTest, ALargeDownloadIsExactAndTakesLittleMemory) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(LargeBody::size_bytes) + "\r\n\r\n");
        for (std::size_t i = 0; i < LargeBody::blocks; ++i) connection.send(LargeBody::block(i));
    });
    Client client = connect();
    client.send(get("/image"));
    EXPECT_EQ(client.response_head().status(), 200);
    LargeBody body;
    for (std::size_t i = 0; i < LargeBody::blocks; ++i) body.check(client.receive_exactly(mebibyte_bytes));
    EXPECT_TRUE(body.right());
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/next")).body, "ok");
}

// Row 56
TEST_F(FlowTest, ALargeUploadIsExactAndTakesLittleMemory) {
    const Event<bool> right;
    origin().script([right](OriginConnection& connection) {
        connection.receive_head();
        LargeBody body;
        for (std::size_t i = 0; i < LargeBody::blocks; ++i) body.check(connection.receive_exactly(mebibyte_bytes));
        right.set(body.right());
        connection.send(Origin::ok_answer());
    });
    Client client = connect();
    client.send(post("/", "Content-Length: " + std::to_string(LargeBody::size_bytes) + "\r\n"));
    for (std::size_t i = 0; i < LargeBody::blocks; ++i) client.send(LargeBody::block(i));
    EXPECT_EQ(client.response().status(), 200);
    EXPECT_TRUE(right.wait());
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
}

// Row 56
TEST_F(FlowTest, ALargeChunkedUploadIsExactAndTakesLittleMemory) {
    const Event<bool> right;
    origin().script([right](OriginConnection& connection) {
        connection.receive_head();
        LargeBody body;
        while (true) {
            const std::size_t size = std::stoul(connection.receive_until("\r\n"), nullptr, 16);
            body.check(connection.receive_exactly(size));
            connection.receive_exactly(2);
            if (size == 0) break;
        }
        right.set(body.right());
        connection.send(Origin::ok_answer());
    });
    Client client = connect();
    client.send(post("/", "Transfer-Encoding: chunked\r\n"));
    for (std::size_t i = 0; i < LargeBody::blocks; ++i) client.send("100000\r\n" + LargeBody::block(i) + "\r\n");
    client.send("0\r\n\r\n");
    EXPECT_EQ(client.response().status(), 200);
    EXPECT_TRUE(right.wait());
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
}

// Row 56: nobody reads at the far end, so the near end must soon be unable to write.
TEST_F(FlowTest, AnOriginThatDoesNotReadHoldsTheClientBack) {
    const Event<> go_on;
    origin().script([go_on](OriginConnection& connection) {
        connection.receive_head();
        go_on.wait();
        for (int i = 0; i < 64; ++i) connection.receive_exactly(mebibyte_bytes);
        connection.send(Origin::ok_answer());
    });
    const std::string body(64 * mebibyte_bytes, 'x');
    Client client = connect();
    client.send(post("/", "Content-Length: " + std::to_string(body.size()) + "\r\n"));
    const std::size_t taken = client.send_until_stuck(body, 200ms);
    EXPECT_LT(taken, 32 * mebibyte_bytes);
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
    go_on.set();
    client.send(std::string_view{body}.substr(taken));
    EXPECT_EQ(client.response().status(), 200);
}

// Row 57
TEST_F(FlowTest, AGetOnAConnectionThatClosesUnansweredIsSentAgain) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/warm")).status(), 200);
    const int pooled = origin().await_request().connection;
    origin().script([pooled](OriginConnection& connection) {
        connection.receive();
        if (connection.index() == pooled) {
            connection.close();
        } else {
            connection.send(Origin::ok_answer());
        }
    });
    EXPECT_EQ(client.exchange(get("/again")).status(), 200);
    const auto requests = origin().requests();
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_EQ(requests[1].connection, pooled);
    EXPECT_EQ(requests[1].target(), "/again");
    EXPECT_NE(requests[2].connection, pooled);
    EXPECT_EQ(requests[2].target(), "/again");
}

// Row 57
TEST_F(FlowTest, APostOnAConnectionThatClosesUnansweredIsNeverSentTwice) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/warm")).status(), 200);
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.close();
    });
    EXPECT_EQ(client.exchange(post("/once", "Content-Length: 5\r\n", "hello")).status(), 502);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/the-client-connection-survives")).status(), 200);
    int deliveries = 0;
    for (const Message& request : origin().requests()) deliveries += request.target() == "/once" ? 1 : 0;
    EXPECT_EQ(deliveries, 1);
}

// Row 57: a first connection that closes unanswered is not a stale one, and what was done is not known.
TEST_F(FlowTest, ARequestOnAFreshConnectionThatClosesUnansweredIsABadGateway) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.close();
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(post("/", "Content-Length: 5\r\n", "hello")).status(), 502);
    EXPECT_EQ(origin().requests().size(), 1U);
}

// Row 58
TEST_F(FlowTest, AClientsResetReachesTheOriginSoon) {
    const Event<End> ended;
    origin().script([ended](OriginConnection& connection) {
        connection.receive();
        ended.set(connection.await_end());
        connection.close();
    });
    Client client = connect();
    client.send(get("/"));
    origin().await_request();
    client.reset();
    EXPECT_NE(ended.wait(), End::open);
    EXPECT_LT(elapsed(), 1s);
}

// Row 58
TEST_F(FlowTest, AClientsResetInADownloadReachesTheOriginSoon) {
    const Event<> failed_to_send;
    origin().script([failed_to_send](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        const std::string block(mebibyte_bytes, 'x');
        while (connection.send(block)) {
        }
        failed_to_send.set();
        connection.close();
    });
    Client client = connect();
    client.send(get("/"));
    client.response_head();
    client.receive_exactly(mebibyte_bytes);
    client.reset();
    failed_to_send.wait();
    EXPECT_LT(elapsed(), 2s);
}

// Row 58
TEST_F(FlowTest, AnAbortedUploadIsNeverMadeWhole) {
    for (const auto* lines : {"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"}) {
        const Event<Message> received;
        origin().script([received](OriginConnection& connection) {
            received.set(connection.receive());
            connection.close();
        });
        Client client = connect();
        client.send(post("/", lines, "5\r\nhello\r\n"));
        client.half_close();
        EXPECT_FALSE(received.wait().complete);
    }
}

// Row 58
TEST_F(FlowTest, AHalfClosedClientGetsItsAnswer) {
    const Event<> go_on;
    origin().script([go_on](OriginConnection& connection) {
        connection.receive();
        go_on.wait();
        connection.send(Origin::ok_answer());
    });
    Client client = connect();
    client.send(get("/"));
    client.half_close();
    origin().await_request();
    EXPECT_FALSE(client.readable_within(100ms));
    go_on.set();
    EXPECT_EQ(client.response().body, "ok");
    EXPECT_EQ(client.await_end(), End::closed);
}

// Row 59
TEST_F(FlowTest, ASilentOriginIsAGatewayTimeoutAtTheTimeThatIsConfigured) {
    const Event<End> ended;
    origin().script([ended](OriginConnection& connection) {
        connection.receive();
        ended.set(connection.await_end());
        connection.close();
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/impatient")).status(), 504);
    EXPECT_GE(elapsed(), 250ms);
    EXPECT_LT(elapsed(), 2s);
    EXPECT_NE(ended.wait(), End::open);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/the-same-connection")).status(), 200);
}

// Row 59
TEST_F(FlowTest, AnOriginThatStallsInABodyIsCutOff) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        connection.await_end();
        connection.close();
    });
    Client client = connect();
    client.send(get("/stalling"));
    EXPECT_FALSE(client.response().complete);
    EXPECT_EQ(client.end(), End::reset);
    EXPECT_LT(elapsed(), 2s);
}

// Row 59
TEST_F(FlowTest, AnUnansweredCloseIsABadGatewayAndTheClientsConnectionSurvives) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.close();
    });
    Client client = connect();
    const Message response = client.exchange(post("/", "Content-Length: 0\r\n"));
    EXPECT_EQ(response.status(), 502);
    EXPECT_TRUE(response.complete);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/the-same-connection")).status(), 200);
}

// Row 59
TEST_F(FlowTest, AResetInsteadOfAnAnswerIsABadGateway) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.reset();
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(post("/", "Content-Length: 0\r\n")).status(), 502);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/the-same-connection")).status(), 200);
}

// Row 59: the origin's answer may end in the midst of its head.
TEST_F(FlowTest, AHeadThatEndsEarlyIsABadGateway) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-");
        connection.close();
    });
    EXPECT_EQ(exchange(post("/", "Content-Length: 0\r\n")).status(), 502);
}

// Row 60
TEST_F(FlowTest, OriginConnectionsArePooledAcrossClients) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(exchange(get("/")).status(), 200);
    const auto requests = origin().requests();
    ASSERT_EQ(requests.size(), 5U);
    for (const Message& request : requests) EXPECT_EQ(request.connection, requests[0].connection);
}

// Row 60
TEST_F(FlowTest, PipelinedRequestsAreAnsweredInOrder) {
    origin().script([](OriginConnection& connection) {
        const Message request = connection.receive();
        const std::string body = request.target() + request.body;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    });
    Client client = connect();
    client.send(get("/1") + post("/2", "Content-Length: 3\r\n", "abc") + get("/3") +
                post("/4", "Transfer-Encoding: chunked\r\n", "2\r\nde\r\n0\r\n\r\n") + get("/5"));
    for (const auto* body : {"/1", "/2abc", "/3", "/4de", "/5"}) EXPECT_EQ(client.response().body, body);
}

// Row 60
TEST_F(FlowTest, AFirstRequestThatSaysCloseIsTheLast) {
    Client client = connect();
    client.send("GET /1 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n" + get("/2"));
    const Message response = client.response();
    EXPECT_EQ(response.body, "ok");
    EXPECT_EQ(response.field("Connection"), "close");
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(client.pending(), "");
    EXPECT_EQ(origin().requests().size(), 1U);
}

// Row 59
TEST(UnreachableServers, ARefusedConnectionMovesOnToTheNextServerAndThenIsABadGateway) {
    const RefusingAddress refusing;
    const RefusingAddress refusing_too;
    const Origin origin;
    const Daemon daemon{
        R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  some: {servers: ["$refusing", "$origin"], balance: round-robin, passive_health: {max_fails: 0}}
  none: {servers: ["$refusing", "$other"], passive_health: {max_fails: 0}}
routes:
  - {match: {path_prefix: /some}, pool: some}
  - {match: {path_prefix: /none}, pool: none}
)",
        {{"$refusing", refusing.text()}, {"$other", refusing_too.text()}, {"$origin", origin.address()}}};
    Client client = daemon.connect();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(client.exchange(get("/some")).status(), 200);
    for (int i = 0; i < 4; ++i) {
        // Nothing was sent, so even what may not be repeated moves on.
        EXPECT_EQ(client.exchange(post("/some", "Content-Length: 5\r\n", "hello")).status(), 200);
    }
    EXPECT_EQ(origin.requests().size(), 8U);
    EXPECT_EQ(client.exchange(get("/none")).status(), 502);
    EXPECT_EQ(client.exchange(post("/none", "Content-Length: 5\r\n", "hello")).status(), 502);
    EXPECT_EQ(client.exchange(get("/some")).status(), 200);
}

// Row 59
TEST(UnreachableServers, AConnectionAttemptThatGetsNoAnswerIsAGatewayTimeout) {
    const UnansweringAddress unanswering;
    const Daemon daemon{R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  p: {servers: ["$server"], timeouts: {connect: 300ms}, retries: {attempts: 0}}
routes:
  - pool: p
)",
                        {{"$server", unanswering.text()}}};
    EXPECT_EQ(daemon.connect().exchange(get("/")).status(), 504);
}

// Row 59
TEST(UnreachableServers, NoAvailableServerIsA503ThatSaysWhenToComeBack) {
    const Origin origin;
    const Daemon daemon{R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  p: {servers: [{address: "$server", weight: 0}]}
routes:
  - pool: p
)",
                        {{"$server", origin.address()}}};
    Client client = daemon.connect();
    const Message response = client.exchange(get("/"));
    EXPECT_EQ(response.status(), 503);
    // iPXE obeys an integer alone.
    EXPECT_THAT(response.field("Retry-After"), MatchesRegex("[1-9][0-9]*"));
    EXPECT_EQ(client.exchange(get("/")).status(), 503);
    EXPECT_TRUE(origin.requests().empty());
}

}  // namespace
}  // namespace nsboot_lb::test
