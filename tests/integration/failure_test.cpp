/// Failure, BEHAVIOURS rows 57 to 60: stale connections, aborts, silent and absent servers; and what goes on in spite
/// of them, pooling and pipelining.
#include <chrono>

#include <gmock/gmock.h>

#include "address.hpp"
#include "flow.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::MatchesRegex;

class FailureTest : public FlowProxy<FailureTest> {};

// Row 57
TEST_F(FailureTest, AGetOnAConnectionThatClosesUnansweredIsSentAgain) {
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
TEST_F(FailureTest, APostOnAConnectionThatClosesUnansweredIsNeverSentTwice) {
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
TEST_F(FailureTest, ARequestOnAFreshConnectionThatClosesUnansweredIsABadGateway) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.close();
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(post("/", "Content-Length: 5\r\n", "hello")).status(), 502);
    EXPECT_EQ(origin().requests().size(), 1U);
}

// Row 58
TEST_F(FailureTest, AClientsResetReachesTheOriginSoon) {
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
TEST_F(FailureTest, AClientsResetInADownloadReachesTheOriginSoon) {
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
TEST_F(FailureTest, AnAbortedUploadIsNeverMadeWhole) {
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
TEST_F(FailureTest, AHalfClosedClientGetsItsAnswer) {
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
TEST_F(FailureTest, ASilentOriginIsAGatewayTimeoutAtTheTimeThatIsConfigured) {
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
TEST_F(FailureTest, AnOriginThatStallsInABodyIsCutOff) {
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
TEST_F(FailureTest, AnUnansweredCloseIsABadGatewayAndTheClientsConnectionSurvives) {
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
TEST_F(FailureTest, AResetInsteadOfAnAnswerIsABadGateway) {
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
TEST_F(FailureTest, AHeadThatEndsEarlyIsABadGateway) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-");
        connection.close();
    });
    EXPECT_EQ(exchange(post("/", "Content-Length: 0\r\n")).status(), 502);
}

// Row 60
TEST_F(FailureTest, OriginConnectionsArePooledAcrossClients) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(exchange(get("/")).status(), 200);
    const auto requests = origin().requests();
    ASSERT_EQ(requests.size(), 5U);
    for (const Message& request : requests) EXPECT_EQ(request.connection, requests[0].connection);
}

// Row 60
TEST_F(FailureTest, PipelinedRequestsAreAnsweredInOrder) {
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
TEST_F(FailureTest, AFirstRequestThatSaysCloseIsTheLast) {
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
