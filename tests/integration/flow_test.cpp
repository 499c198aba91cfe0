/// Flow, BEHAVIOURS rows 54 to 56: Expect, early answers, streaming both ways with back-pressure and little memory.
#include "flow.hpp"

#include <chrono>

#include <gmock/gmock.h>

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

class FlowTest : public FlowProxy<FlowTest> {};

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

/// Until the server has said 100 the client owes nothing, for however long: it is the server that is waited for.
TEST_F(FlowTest, WhoWaitsForContinueIsNotTooSlow) {
    const Event<> body_time_is_over;
    origin().script([body_time_is_over](OriginConnection& connection) {
        connection.receive_head();
        body_time_is_over.wait();
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        EXPECT_EQ(connection.receive_exactly(5), "hello");
        connection.send(Origin::ok_answer());
    });
    Client client = connect();
    client.send(post("/", "Expect: 100-continue\r\nContent-Length: 5\r\n"));
    EXPECT_FALSE(client.readable_within(1300ms)) << "timeouts.body is the client's, and nobody has asked it";
    body_time_is_over.set();
    EXPECT_EQ(client.response().status(), 100);
    client.send("hello");
    EXPECT_EQ(client.response().status(), 200);
}

TEST_F(FlowTest, AServerThatNeverSaysContinueIsTooSlow) {
    origin().script([](OriginConnection& connection) {
        connection.receive_head();
        connection.await_end();
        connection.close();
    });
    EXPECT_EQ(exchange(post("/impatient", "Expect: 100-continue\r\nContent-Length: 5\r\n")).status(), 504);
    EXPECT_GE(elapsed(), 300ms);
}

/// From then on the body is what is waited for, and not the response.
TEST_F(FlowTest, WhoBeginsWithoutContinueHasTheTimeOfABody) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send(Origin::ok_answer());
    });
    Client client = connect();
    client.send(post("/impatient", "Expect: 100-continue\r\nContent-Length: 4\r\n", "h"));
    for (const auto* byte : {"a", "l", "t"}) {
        EXPECT_FALSE(client.readable_within(200ms));  // three of these are longer than the server's time
        client.send(byte);
    }
    EXPECT_EQ(client.response().status(), 200);
}

TEST_F(FlowTest, WhoIsToldToContinueHasTheTimeOfABody) {
    origin().script([](OriginConnection& connection) {
        connection.receive_head();
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        connection.await_end();
        connection.close();
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(post("/impatient", "Expect: 100-continue\r\nContent-Length: 5\r\n")).status(), 100);
    EXPECT_EQ(client.response().status(), 408);
    EXPECT_GE(elapsed(), 1s);
}

TEST_F(FlowTest, AnUrgentByteStaysInItsPlace) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
        connection.send_urgent('l');
        connection.send("lo");
    });
    Client client = connect();
    client.send(post("/", "Content-Length: 5\r\n", "wo"));
    client.send_urgent('r');
    client.send("ld");
    EXPECT_EQ(client.response().body, "hello");
    EXPECT_EQ(origin().await_request().body, "world");
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
    // The kernel may hold some 70 MiB on the way: two receive buffers of up to 32 MiB (tcp_rmem), what is being sent,
    // and a pipe. The body is far larger, so that the daemon has to stop reading for it to get stuck at half.
    constexpr std::size_t body_mebibytes = 256;
    const Event<> go_on;
    origin().script([go_on](OriginConnection& connection) {
        connection.receive_head();
        go_on.wait();
        for (std::size_t i = 0; i < body_mebibytes; ++i) connection.receive_exactly(mebibyte_bytes);
        connection.send(Origin::ok_answer());
    });
    const std::string body(body_mebibytes * mebibyte_bytes, 'x');
    Client client = connect();
    client.send(post("/", "Content-Length: " + std::to_string(body.size()) + "\r\n"));
    const std::size_t taken = client.send_until_stuck(body, 200ms);
    EXPECT_LT(taken, body_mebibytes / 2 * mebibyte_bytes);
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
    go_on.set();
    client.send(std::string_view{body}.substr(taken));
    EXPECT_EQ(client.response().status(), 200);
}

}  // namespace
}  // namespace nsboot_lb::test
