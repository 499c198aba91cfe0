/// Responses from the origin, BEHAVIOURS rows 36 to 50: what is passed on, what is put right, and what is an upstream
/// error.
#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using testing::AnyOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class ResponsesTest : public SharedProxy<ResponsesTest> {
  public:
    static constexpr const char* config = plain_config;

  protected:
    /// What a client gets when the origin answers with these bytes and leaves the connection open.
    static Message answered_with(std::string bytes,
                                 std::string_view request = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n") {
        SCOPED_TRACE("answer: " + escaped(bytes));
        origin().answer(std::move(bytes));
        return exchange(request);
    }

    /// The daemon calls that answer an upstream error, and does not use the connection again.
    static void expect_bad_gateway(const std::string& bytes) {
        SCOPED_TRACE("answer: " + escaped(bytes));
        origin().start_over();
        const Event<End> ended;
        origin().script([bytes, ended](OriginConnection& connection) {
            connection.receive();
            connection.send(bytes);
            ended.set(connection.await_end());
            connection.close();
        });
        Client client = connect();
        EXPECT_EQ(client.exchange(get("/")).status(), 502);
        EXPECT_NE(ended.wait(), End::open);
        origin().answer(Origin::ok_answer());
        EXPECT_EQ(client.exchange(get("/the-same-client-connection")).status(), 200);
    }

    /// The origin ends its connection in the midst of this answer.
    static void expect_truncation_shows(const std::string& bytes, bool reset, std::string_view request = "") {
        SCOPED_TRACE("answer: " + escaped(bytes));
        origin().script([bytes, reset](OriginConnection& connection) {
            connection.receive();
            connection.send(bytes);
            reset ? connection.reset() : connection.close();
        });
        Client client = connect();
        const Message response = client.exchange(request.empty() ? get("/") : request);
        EXPECT_FALSE(response.complete) << testing::PrintToString(response);
        EXPECT_EQ(client.await_end(), End::reset);
    }
};

// Row 36
TEST_F(ResponsesTest, BytesBehindAResponseAreNeverTheNextResponse) {
    const std::string evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (const std::string& complete :
         {Origin::ok_answer(), std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                           "2\r\nok\r\n0\r\n\r\n"}}) {
        origin().start_over();
        origin().answer(complete + evil);
        Client client = connect();
        EXPECT_EQ(client.exchange(get("/1")).body, "ok");
        origin().answer(Origin::ok_answer());
        EXPECT_EQ(client.exchange(get("/2")).body, "ok");

        const auto requests = origin().requests();
        ASSERT_EQ(requests.size(), 2U);
        EXPECT_NE(requests[0].connection, requests[1].connection);
    }
}

// Row 36
TEST_F(ResponsesTest, BytesOnAnIdleConnectionAreNeverAResponse) {
    const Event<> answered;
    const Event<> sent;
    origin().script([answered, sent](OriginConnection& connection) {
        connection.receive();
        connection.send(Origin::ok_answer());
        answered.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        sent.set();
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/1")).body, "ok");
    origin().answer(Origin::ok_answer());
    answered.set();
    sent.wait();
    EXPECT_EQ(client.exchange(get("/2")).body, "ok");
}

// Row 37
TEST_F(ResponsesTest, AResponseOfUnclearLengthIsAnError) {
    for (const auto* value : {"5, 6", "abc", "-1", "+5", "0x5", "5.0", "5 5", "18446744073709551616", ""}) {
        expect_bad_gateway("HTTP/1.1 200 OK\r\nContent-Length: " + std::string{value} + "\r\n\r\nhello");
    }
    expect_bad_gateway("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
}

// Row 38
TEST_F(ResponsesTest, OneFramingIsForwardedWhereTwoCame) {
    for (const auto* lines : {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                              "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"}) {
        const Message response = answered_with("HTTP/1.1 200 OK\r\n" + std::string{lines} + "\r\n2\r\nok\r\n0\r\n\r\n");
        EXPECT_EQ(response.status(), 200);
        EXPECT_THAT(response.values("Content-Length"), IsEmpty());
        EXPECT_THAT(response.values("Transfer-Encoding"), ElementsAre("chunked"));
        EXPECT_EQ(response.body, "ok");
    }
}

// Row 38
TEST_F(ResponsesTest, AnUnknownTransferCodingIsAnError) {
    for (const auto* coding : {"gzip", "gzip, chunked", "identity", "chunked, gzip", "chunked, chunked", "xchunked"}) {
        expect_bad_gateway("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + std::string{coding} +
                           "\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    }
}

// Row 39
TEST_F(ResponsesTest, ATruncatedBodyIsNeverMadeWhole) {
    for (const bool reset : {false, true}) {
        expect_truncation_shows("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", reset);
        expect_truncation_shows("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + std::string(2'000'000, 'x'),
                                reset);
        expect_truncation_shows("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", reset);
        expect_truncation_shows("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", reset);
        expect_truncation_shows("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", reset);
    }
}

// Row 39
TEST_F(ResponsesTest, ABadChunkIsATruncation) {
    for (const auto* chunks :
         {"5\r\nhello\r\n0x0\r\n\r\n", "5\r\nhello\r\nzz\r\n", "5\r\nhelloXX0\r\n\r\n", "5\r\nhello\r\n-1\r\n"}) {
        expect_truncation_shows("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string{chunks}, false);
    }
}

// Row 39: to a client that learns of the end by the close alone, the close must not be a clean one.
TEST_F(ResponsesTest, AnHttp10ClientSeesATruncationAsAReset) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        connection.close();
    });
    Client client = connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(client.response_head().status(), 200);
    EXPECT_EQ(client.await_end(), End::reset);
}

// Row 40
TEST_F(ResponsesTest, WhatIsNotHttpIsAnError) {
    for (const auto* answer :
         {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "hello\r\n\r\n", "\x15\x03\x01\r\n\r\n", "HTTP/1.1 099 Low\r\n\r\n",
          "HTTP/1.1 2000 Long\r\n\r\n", "HTTP/1.1 20 Short\r\n\r\n", "HTTP/1.1 abc Words\r\n\r\n",
          "HTTP/1.1 000 Zero\r\n\r\n", "HTTP/1.1 -20 Minus\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
          "http/1.1 200 OK\r\n\r\n", "HTTP/1.1200 OK\r\n\r\n", "200 OK\r\n\r\n", "<html></html>\r\n\r\n"}) {
        expect_bad_gateway(answer);
    }
}

// Row 41
TEST_F(ResponsesTest, ControlOctetsInAFieldAreAnError) {
    using namespace std::string_literals;
    for (const auto& value : {"a\0b"s, "a\x01"s, "a\rb"s, "\x7f"s, "a\x1b[0m"s, "a\x08"s}) {
        expect_bad_gateway("HTTP/1.1 200 OK\r\nX: " + value + "\r\nContent-Length: 0\r\n\r\n");
    }
}

// Row 41
TEST_F(ResponsesTest, WhiteSpaceBeforeAColonAndFoldingNeverReachTheClient) {
    const Message spaced = answered_with("HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_THAT(spaced.status(), AnyOf(200, 502));
    EXPECT_THAT(spaced.head, Not(HasSubstr("X :")));

    const Message folded = answered_with("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_THAT(folded.status(), AnyOf(200, 502));
    EXPECT_THAT(folded.head, Not(HasSubstr("\r\n b")));
    if (folded.status() == 200) {
        EXPECT_EQ(folded.field("X"), "a b");
    }
}

// Row 41
TEST_F(ResponsesTest, LinesThatAreNotFieldsAreAnError) {
    for (const auto* line : {"no colon", ": no name", "two words: x", "paren(: x"}) {
        expect_bad_gateway("HTTP/1.1 200 OK\r\n" + std::string{line} + "\r\nContent-Length: 0\r\n\r\n");
    }
}

// Row 42
TEST_F(ResponsesTest, TheLengthOfAHeadResponseSurvives) {
    origin().answer("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\nETag: \"a\"\r\n\r\n");
    Client client = connect();
    const Message head = client.exchange("HEAD /kernel HTTP/1.1\r\nHost: example.com\r\n\r\n");
    EXPECT_EQ(head.status(), 200);
    EXPECT_THAT(head.values("Content-Length"), ElementsAre("20000000"));
    EXPECT_EQ(head.field("ETag"), "\"a\"");
    EXPECT_EQ(origin().await_request().method(), "HEAD");

    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/kernel")).body, "ok");
    EXPECT_EQ(origin().requests()[1].connection, origin().requests()[0].connection);
}

// Row 42
TEST_F(ResponsesTest, AHeadResponseKeepsItsChunkedAnnouncementWithoutAnyChunk) {
    origin().answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    Client client = connect();
    EXPECT_EQ(client.exchange("HEAD / HTTP/1.1\r\nHost: example.com\r\n\r\n").status(), 200);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/")).raw.substr(0, 15), "HTTP/1.1 200 OK");
}

// Row 42
TEST_F(ResponsesTest, ResponsesThatHaveNoBodyGetNone) {
    struct Case {
        const char* request;
        const char* answer;
        int status;
    };
    for (const auto& [request, answer, status] :
         {Case{"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200},
          Case{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil", 204},
          Case{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil", 304},
          Case{"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
               "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", 204}}) {
        SCOPED_TRACE(escaped(answer));
        origin().start_over();
        origin().answer(answer);
        Client client = connect();
        client.send(request);
        EXPECT_EQ(client.response_to_head().status(), status);
        origin().answer(Origin::ok_answer());
        EXPECT_EQ(client.exchange(get("/next")).body, "ok");
        const auto requests = origin().requests();
        ASSERT_EQ(requests.size(), 2U);
        EXPECT_NE(requests[0].connection, requests[1].connection);
    }
}

// Row 42
TEST_F(ResponsesTest, A204HasNoLengthAndA304KeepsIts) {
    EXPECT_FALSE(answered_with("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").has("Content-Length"));
    EXPECT_FALSE(answered_with("HTTP/1.1 204 No Content\r\n\r\n").has("Transfer-Encoding"));
    const Message not_modified =
        answered_with("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"a\"\r\n\r\n");
    EXPECT_EQ(not_modified.field("Content-Length"), "77");
    EXPECT_EQ(not_modified.field("ETag"), "\"a\"");
}

// Row 43
TEST_F(ResponsesTest, EarlyHintsComeBeforeTheAnswer) {
    origin().answer("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + Origin::ok_answer());
    Client client = connect();
    const Message hints = client.exchange(get("/"));
    EXPECT_EQ(hints.status(), 103);
    EXPECT_EQ(hints.field("Link"), "</a.css>; rel=preload");
    const Message answer = client.response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.body, "ok");
    EXPECT_FALSE(answer.has("Link"));
}

// Row 43
TEST_F(ResponsesTest, AnHttp10ClientGetsNoInterimResponse) {
    const Message answer =
        answered_with("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + Origin::ok_answer(), "GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.body, "ok");
}

// Row 43
TEST_F(ResponsesTest, AContinueNobodyAskedForIsNotTheAnswer) {
    origin().answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + Origin::ok_answer());
    Client client = connect();
    Message answer = client.exchange(get("/"));
    while (answer.status() == 100) answer = client.response();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.body, "ok");
}

// Row 43
TEST_F(ResponsesTest, InterimResponsesWithoutEndAreAnError) {
    std::string hints;
    for (int i = 0; i < 10'000; ++i) hints += "HTTP/1.1 103 Early Hints\r\n\r\n";
    origin().script([hints](OriginConnection& connection) {
        connection.receive();
        while (connection.send(hints) && connection.end() == End::open &&
               !connection.readable_within(std::chrono::milliseconds{0})) {
        }
        connection.close();
    });
    Client client = connect();
    Message answer = client.exchange(get("/"));
    int interim = 0;
    while (answer.status() == 103 && ++interim < 10'000) answer = client.response();
    EXPECT_LT(interim, 10'000);
    EXPECT_THAT(answer.status(), AnyOf(502, 0));  // 0: cut off
}

// Row 44
TEST_F(ResponsesTest, AnHttp10ClientGetsABodyThatEndsWithTheConnection) {
    origin().answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    Client client = connect();
    const Message response = client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_FALSE(response.has("Transfer-Encoding"));
    EXPECT_EQ(response.framing, Framing::close);
    EXPECT_EQ(response.body, "hello world");
    EXPECT_EQ(client.end(), End::closed);
}

// Row 44
TEST_F(ResponsesTest, AnHttp10ClientMayKeepAConnectionWhereTheLengthIsKnown) {
    Client client = connect();
    const Message response = client.exchange("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_TRUE(equal_ignoring_case(response.field("Connection"), "keep-alive"));
    EXPECT_EQ(response.body, "ok");
    EXPECT_EQ(client.exchange("GET /2 HTTP/1.0\r\n\r\n").body, "ok");
    EXPECT_EQ(client.await_end(), End::closed);
}

// Row 45
TEST_F(ResponsesTest, ABodyThatEndsWithTheOriginsCloseIsChunkedForTheClient) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\n\r\nhello ");
        connection.send("world");
        connection.close();
    });
    Client client = connect();
    const Message response = client.exchange(get("/"));
    EXPECT_EQ(response.framing, Framing::chunked);
    EXPECT_EQ(response.body, "hello world");
    EXPECT_TRUE(response.complete);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/next")).body, "ok");
}

// Row 45
TEST_F(ResponsesTest, AnOriginsResetIsNotTheEndOfABody) {
    expect_truncation_shows("HTTP/1.1 200 OK\r\n\r\nhello", true);
}

// Row 45
TEST_F(ResponsesTest, AnHttp10OriginIsServedToo) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello");
        connection.close();
    });
    const Message response = exchange(get("/"));
    EXPECT_EQ(response.version(), "HTTP/1.1");
    EXPECT_EQ(response.body, "hello");
    EXPECT_TRUE(response.complete);
}

// Row 46
TEST_F(ResponsesTest, TrailersReachClientsThatAskedForThem) {
    const std::string answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n2\r\nok\r\n0\r\n"
        "grpc-status: 0\r\nX-Sum: 7\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n";
    const Message asked = answered_with(answer, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    EXPECT_TRUE(asked.complete);
    EXPECT_EQ(asked.body, "ok");
    EXPECT_THAT(asked.trailers, ElementsAre(Field{"grpc-status", "0"}, Field{"X-Sum", "7"}));

    const Message unasked = answered_with(answer);
    EXPECT_TRUE(unasked.complete);
    EXPECT_EQ(unasked.body, "ok");
    EXPECT_THAT(unasked.trailers, IsEmpty());
    EXPECT_FALSE(unasked.has("X-Sum"));
}

// Row 47
TEST_F(ResponsesTest, FieldsKeepTheirOrderAndStayApart) {
    const Message response = answered_with(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT\r\nX-B: 2\r\nset-cookie: "
        "b=2\r\nX-A: 1\r\n"
        "Set-Cookie: c=3\r\nx-b: 3\r\nContent-Length: 2\r\nServer: nsboot\r\n\r\nok");
    EXPECT_EQ(
        response.head_without({"Via", "Date", "X-Request-ID", "Content-Length"}),
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT\r\nX-B: 2\r\nset-cookie: b=2\r\n"
        "X-A: 1\r\nSet-Cookie: c=3\r\nx-b: 3\r\nServer: nsboot\r\n\r\n");
    EXPECT_THAT(response.values("Content-Length"), ElementsAre("2"));
}

// Row 48
TEST_F(ResponsesTest, DateIsAddedOnlyWhereItIsMissing) {
    const Message without = answered_with(Origin::ok_answer());
    EXPECT_THAT(without.values("Date"),
                ElementsAre(MatchesRegex("(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9][0-9] [A-Z][a-z][a-z] 20[0-9][0-9] "
                                         "[0-9][0-9]:[0-9][0-9]:[0-9][0-9] GMT")));
    const Message with =
        answered_with("HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 0\r\n\r\n");
    EXPECT_THAT(with.values("Date"), ElementsAre("Tue, 15 Nov 1994 08:12:31 GMT"));
}

// Row 49
TEST_F(ResponsesTest, AHeadWithoutEndIsAnError) {
    expect_bad_gateway("HTTP/1.1 200 OK\r\nX: " + std::string(1'000'000, 'a') + "\r\nContent-Length: 0\r\n\r\n");
    std::string many;
    for (int i = 0; i < 20'000; ++i) many += "X-" + std::to_string(i) + ": a\r\n";
    expect_bad_gateway("HTTP/1.1 200 OK\r\n" + many + "Content-Length: 0\r\n\r\n");
}

// Row 49
TEST_F(ResponsesTest, AHeadOfUsualSizePasses) {
    const std::string value(7000, 'a');
    EXPECT_EQ(answered_with("HTTP/1.1 200 OK\r\nX: " + value + "\r\nContent-Length: 0\r\n\r\n").field("X"), value);
}

// Row 50
TEST_F(ResponsesTest, AReasonPhraseMayBeMissing) {
    for (const auto* line : {"HTTP/1.1 200", "HTTP/1.1 200 "}) {
        const Message response = answered_with(std::string{line} + "\r\nContent-Length: 2\r\n\r\nok");
        EXPECT_EQ(response.status(), 200);
        EXPECT_EQ(response.body, "ok");
    }
    EXPECT_EQ(answered_with("HTTP/1.1 299 As you like it\r\nContent-Length: 0\r\n\r\n").start_line,
              "HTTP/1.1 299 As you like it");
}

// Beyond the rows: a response comes through however its bytes arrive.
TEST_F(ResponsesTest, AResponseIsTheSameHoweverItsBytesArrive) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.dribble("HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n", 1,
                           std::chrono::milliseconds{0});
    });
    const Message response = exchange(get("/"));
    EXPECT_EQ(response.field("X"), "y");
    EXPECT_EQ(response.body, "abc");
    EXPECT_TRUE(response.complete);
    EXPECT_THAT(response.chunk_lines, Each(Not(HasSubstr(";"))));
}

}  // namespace
}  // namespace nsboot_lb::test
