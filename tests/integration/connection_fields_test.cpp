/// Fields that concern one connection or one hop, BEHAVIOURS rows 28 to 35.
#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

class ConnectionFieldsTest : public SharedProxy<ConnectionFieldsTest> {
  public:
    static constexpr const char* config = plain_config;

  protected:
    static constexpr const char* handshake =
        "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    static std::string request_with(std::string_view lines) {
        return "GET / HTTP/1.1\r\nHost: example.com\r\n" + std::string{lines} + "\r\n";
    }
};

// Row 28
TEST_F(ConnectionFieldsTest, FieldsNamedInConnectionEndAtTheProxy) {
    exchange(request_with(
        "Connection: keep-alive, X-Hop, , x-other\r\nX-Hop: 1\r\nX-OTHER: 2\r\nX-Stays: 3\r\nx-hop: 4\r\n"));

    const Message request = origin().await_request();
    EXPECT_FALSE(request.has("X-Hop"));
    EXPECT_FALSE(request.has("X-Other"));
    EXPECT_EQ(request.field("X-Stays"), "3");
    EXPECT_THAT(request.field("Connection"), Not(HasSubstr("Hop")));
}

// Row 28
TEST_F(ConnectionFieldsTest, SeveralConnectionFieldsCountTogether) {
    exchange(request_with("Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\nConnection: X-B\r\n"));
    const Message request = origin().await_request();
    EXPECT_FALSE(request.has("X-A"));
    EXPECT_FALSE(request.has("X-B"));
}

// Row 28
TEST_F(ConnectionFieldsTest, FieldsNamedInAResponsesConnectionEndAtTheProxy) {
    origin().answer("HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Stays: 2\r\nContent-Length: 2\r\n\r\nok");
    const Message response = exchange(get("/"));
    EXPECT_FALSE(response.has("X-Hop"));
    EXPECT_EQ(response.field("X-Stays"), "2");
    EXPECT_EQ(response.body, "ok");
}

// Row 28
TEST_F(ConnectionFieldsTest, ConnectionCannotRemoveWhatTheProxyAdds) {
    exchange(request_with("Connection: X-Forwarded-For, X-Real-IP, Via, X-Request-ID, X-Forwarded-Proto\r\n"));
    const Message request = origin().await_request();
    for (const auto* name : {"X-Forwarded-For", "X-Real-IP", "Via", "X-Request-ID", "X-Forwarded-Proto"}) {
        EXPECT_TRUE(request.has(name)) << name;
    }
}

// Row 29
TEST_F(ConnectionFieldsTest, HopByHopFieldsGoEvenWhenNotNamed) {
    exchange(
        request_with("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\nUpgrade: foo\r\n"
                     "X-Stays: 1\r\n"));
    const Message request = origin().await_request();
    EXPECT_FALSE(request.has("Keep-Alive"));
    EXPECT_FALSE(request.has("Proxy-Connection"));
    EXPECT_FALSE(request.has("Upgrade"));
    EXPECT_THAT(request.field("TE"), Not(HasSubstr("gzip")));
    EXPECT_EQ(request.field("X-Stays"), "1");

    origin().answer(
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n"
        "X-Stays: 1\r\nContent-Length: 0\r\n\r\n");
    const Message response = exchange(get("/"));
    EXPECT_FALSE(response.has("Keep-Alive"));
    EXPECT_FALSE(response.has("Proxy-Connection"));
    EXPECT_FALSE(response.has("Upgrade"));
    EXPECT_EQ(response.field("X-Stays"), "1");
}

// Row 29
TEST_F(ConnectionFieldsTest, TeTrailersIsPassedOnAsOurOwn) {
    exchange(request_with("TE: trailers\r\nConnection: TE\r\n"));
    exchange(request_with("TE: gzip\r\nConnection: TE\r\n"));
    const Message asked = origin().await_request(0);
    EXPECT_EQ(asked.field("TE"), "trailers");
    EXPECT_THAT(asked.field("Connection"), HasSubstr("TE"));  // RFC 9110 10.1.4
    EXPECT_FALSE(origin().await_request(1).has("TE"));
}

// Row 30
TEST_F(ConnectionFieldsTest, ViaIsAddedBothWays) {
    const Message response = exchange(get("/"));
    const Message request = origin().await_request();
    EXPECT_THAT(request.field("Via"), MatchesRegex("1\\.1 nsboot-lb-[0-9a-f]{8}"));
    EXPECT_EQ(response.field("Via"), request.field("Via"));
}

// Row 30
TEST_F(ConnectionFieldsTest, ViaIsAppendedToWhatIsThere) {
    origin().answer("HTTP/1.1 200 OK\r\nVia: 1.0 inner\r\nContent-Length: 0\r\n\r\n");
    const Message response = exchange("GET / HTTP/1.0\r\nVia: 1.1 first, 1.1 second\r\n\r\n");
    const auto sent = origin().await_request().values("Via");
    ASSERT_THAT(sent, Not(IsEmpty()));
    EXPECT_EQ(sent.front().substr(0, 21), "1.1 first, 1.1 second");
    // What was received is named with the version in which it came (RFC 9110 7.6.3).
    EXPECT_THAT(sent.back(), HasSubstr(" nsboot-lb-"));
    const auto received = response.values("Via");
    ASSERT_THAT(received, Not(IsEmpty()));
    EXPECT_EQ(received.front().substr(0, 9), "1.0 inner");
    EXPECT_THAT(received.back(), HasSubstr(" nsboot-lb-"));
}

// Row 30
TEST_F(ConnectionFieldsTest, ALoopIsRefused) {
    exchange(get("/"));
    const std::string own = origin().await_request().field("Via");
    ASSERT_NE(own, "");
    origin().start_over();

    EXPECT_EQ(exchange(request_with("Via: 1.1 other, " + own + "\r\n")).status(), 502);
    EXPECT_EQ(exchange(request_with("Via: 1.1 other\r\nVia: " + own + "\r\n")).status(), 502);
    EXPECT_EQ(exchange(request_with("Via: 1.1 nsboot-lb-00000000\r\n")).status(), 200);
    EXPECT_EQ(origin().requests().size(), 1U);
    daemon().await_metric("nsboot_lb_rejected_total", {{"reason", "loop"}}, 2);
}

// Row 31
TEST_F(ConnectionFieldsTest, AnUntrustedClientsForwardingFieldsAreReplaced) {
    Client client = daemon().connect("127.0.0.9");
    client.exchange(
        request_with("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Real-IP: 1.2.3.4\r\n"
                     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=1.2.3.4\r\n"));
    const Message request = origin().await_request();
    EXPECT_THAT(request.values("X-Forwarded-For"), ElementsAre("127.0.0.9"));
    EXPECT_THAT(request.values("X-Real-IP"), ElementsAre("127.0.0.9"));
    EXPECT_THAT(request.values("X-Forwarded-Proto"), ElementsAre("http"));
    EXPECT_THAT(request.values("X-Forwarded-Host"), ElementsAre("example.com"));
    EXPECT_THAT(request.raw, Not(HasSubstr("1.2.3.4")));
}

// Row 32
TEST_F(ConnectionFieldsTest, UpgradeToH2cNeverReachesTheOrigin) {
    for (const auto* lines :
         {"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
          "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
          "Connection: Upgrade\r\nUpgrade: H2C, foo\r\n", "Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
          "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n"}) {
        SCOPED_TRACE(lines);
        origin().start_over();
        EXPECT_EQ(exchange(request_with(lines)).status(), 200);
        const Message request = origin().await_request();
        EXPECT_FALSE(request.has("Upgrade"));
        EXPECT_FALSE(request.has("HTTP2-Settings"));
        EXPECT_THAT(request.field("Connection"), Not(HasSubstr("Upgrade")));
    }
}

// Row 33
TEST_F(ConnectionFieldsTest, SwitchingProtocolsUnaskedIsAnUpstreamError) {
    origin().answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbytes");
    EXPECT_EQ(exchange(get("/")).status(), 502);

    origin().answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    EXPECT_EQ(exchange(handshake).status(), 502);
}

// Row 34
TEST_F(ConnectionFieldsTest, AWebSocketHandshakeIsForwarded) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nright behind");
        connection.receive_until("from the client");
        connection.send("from the server");
        connection.await_end();
    });
    Client client = connect();
    const Message response = client.exchange(handshake);

    EXPECT_EQ(response.status(), 101);
    EXPECT_TRUE(equal_ignoring_case(response.field("Upgrade"), "websocket"));
    EXPECT_TRUE(equal_ignoring_case(response.field("Connection"), "Upgrade"));
    EXPECT_EQ(response.field("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(client.receive_exactly(12), "right behind");
    client.send("from the client");
    EXPECT_EQ(client.receive_exactly(15), "from the server");
    const Message request = origin().await_request();
    EXPECT_TRUE(equal_ignoring_case(request.field("Upgrade"), "websocket"));
    EXPECT_TRUE(equal_ignoring_case(request.field("Connection"), "Upgrade"));
    EXPECT_EQ(request.field("Sec-WebSocket-Key"), "dGhlIHNhbXBsZSBub25jZQ==");
}

// Row 35
TEST_F(ConnectionFieldsTest, OptionsWithMaxForwardsZeroIsAnsweredByTheProxy) {
    Client client = connect();
    EXPECT_EQ(client.exchange("OPTIONS /a HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 0\r\n\r\n").status(), 200);
    EXPECT_TRUE(origin().requests().empty());

    EXPECT_EQ(client.exchange("OPTIONS /b HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 3\r\n\r\n").status(), 200);
    EXPECT_EQ(origin().await_request().field("Max-Forwards"), "2");

    // Only OPTIONS and TRACE count hops (RFC 9110 7.6.2).
    EXPECT_EQ(client.exchange("GET /c HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 0\r\n\r\n").status(), 200);
    EXPECT_EQ(origin().await_request(1).target(), "/c");
}

}  // namespace
}  // namespace nsboot_lb::test
