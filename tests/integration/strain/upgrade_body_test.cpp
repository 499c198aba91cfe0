/// Requests that ask for an upgrade and have a body: a WebSocket has none, and whoever else asks is served without.
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "flow.hpp"
#include "standstill.hpp"
#include "websocket.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

/// The handshake with more fields, and what comes behind it.
std::string websocket_with(std::string_view lines, std::string_view behind = "") {
    std::string request = websocket_request;
    request.insert(request.size() - 2, lines);
    return request += behind;
}

class UpgradeBodyTest : public FlowProxy<UpgradeBodyTest> {
  protected:
    /// The origin got this body with a request that says nothing of an upgrade.
    static void expect_served_without_upgrade(std::string_view body) {
        const Message request = origin().await_request();
        EXPECT_EQ(request.body, body);
        EXPECT_FALSE(request.has("Upgrade")) << testing::PrintToString(request);
        EXPECT_FALSE(request.has("HTTP2-Settings")) << testing::PrintToString(request);
        EXPECT_THAT(request.field("Connection"), Not(HasSubstr("pgrade")));
    }
};

TEST_F(UpgradeBodyTest, AWebSocketWithABodyIsRefused) {
    expect_refused(websocket_with("Content-Length: 5\r\n", "hello"), 400);
    expect_refused(websocket_with("Content-Length: 1000\r\n"), 400);
    expect_refused(websocket_with("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), 400);
    expect_refused(websocket_with("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400);
    expect_refused(websocket_with("Transfer-Encoding: chunked\r\n"), 400);
    expect_nothing_forwarded();
}

TEST_F(UpgradeBodyTest, AWebSocketWithABodyOfNoLengthIsATunnel) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send(websocket_response);
        EXPECT_EQ(receive_frame(connection).payload, "hello");
        connection.send(server_frame(text_frame, "hello yourself"));
        connection.await_end();
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(websocket_with("Content-Length: 0\r\n")).status(), 101);
    client.send(client_frame(text_frame, "hello"));
    EXPECT_EQ(receive_frame(client).payload, "hello yourself");
}

/// The server switches and leaves in the moment in which more of the client's bytes could go on to it.
TEST_F(UpgradeBodyTest, AWebSocketWhoseBodyIsUnderWayHurtsNobody) {
    Client other = connect();
    for (int i = 0; i < 3; ++i) {
        const Event<> stuck;
        const Event<> answered;
        const Event<> over;
        origin().script([=](OriginConnection& connection) {
            if (connection.receive_head().target() != "/ws") {
                connection.send(Origin::ok_answer());
                return;
            }
            stuck.wait();
            take_what_is_there(connection);
            connection.send(websocket_response);
            connection.half_close();
            answered.set();
            over.wait();
            connection.close();
        });
        Client client = connect();
        client.send(websocket_with("Content-Length: 500000000\r\n"));
        const std::string piece(64UL * 1024, 'x');
        while (!client.has_input() && client.send_until_stuck(piece, 100ms) == piece.size()) {
        }
        Standstill standstill{daemon()};
        client.half_close();
        stuck.set();
        if (!origin().requests().empty()) answered.wait();
        standstill.end();
        ASSERT_EQ(other.exchange(get("/another-client")).status(), 200);
        over.set();
        client.close();
        daemon().await_metric("nsboot_lb_client_connections", {}, 1);
        ASSERT_EQ(other.exchange(get("/another-client")).status(), 200);
        origin().start_over();
    }
}

TEST_F(UpgradeBodyTest, AnotherUpgradeIsDroppedAndTheBodyServed) {
    for (const auto* upgrade : {"h2c", "TLS/1.3"}) {
        SCOPED_TRACE(upgrade);
        const auto lines = "Connection: Upgrade\r\nUpgrade: " + std::string{upgrade} + "\r\n";
        Client client = connect();
        EXPECT_EQ(client.exchange(post("/", lines + "Content-Length: 5\r\n", "hello")).status(), 200);
        expect_served_without_upgrade("hello");
        origin().start_over();
        EXPECT_EQ(
            client.exchange(post("/", lines + "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")).status(),
            200);
        expect_served_without_upgrade("hello");
        origin().start_over();
    }
}

// java.net.http.HttpClient of Java 17, whose first request on a connection always asks for HTTP/2.
TEST_F(UpgradeBodyTest, AJavaClientIsServedBodyAndAll) {
    const std::string body = R"({"name": "nsboot"})";
    Client client = connect();
    EXPECT_EQ(client
                  .exchange("POST /api/machines HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: " +
                            std::to_string(body.size()) +
                            "\r\nHost: example.com\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
                            "Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.9\r\nContent-Type: application/json\r\n"
                            "\r\n" +
                            body)
                  .status(),
              200);
    expect_served_without_upgrade(body);
    EXPECT_EQ(client.exchange(get("/the-connection-goes-on")).status(), 200);
}

TEST_F(UpgradeBodyTest, AServerThatSwitchesThoughNobodyAskedIsABadGateway) {
    origin().script([](OriginConnection& connection) {
        connection.receive_head();
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
        connection.half_close();
        connection.await_end();
        connection.close();
    });
    Client client = connect();
    client.send(post("/", "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 500000000\r\n"));
    client.send_until_stuck(std::string(8 * mebibyte_bytes, 'x'), 100ms);
    EXPECT_EQ(client.response().status(), 502);
    EXPECT_NE(client.await_end(), End::open);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(exchange(get("/another-client")).status(), 200);
}

}  // namespace
}  // namespace nsboot_lb::test
