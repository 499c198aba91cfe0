/// WebSocket and other upgrades: the handshake, the tunnel behind it and its end. Rows 32 to 34 in detail.
#include "websocket.hpp"

#include <chrono>

#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t mebibyte_bytes = 1024 * 1024;

class WebSocketTest : public SharedProxy<WebSocketTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers:
    servers: ["$origin"]
    timeouts: {tunnel_idle: 30s, response: 2s}
routes:
  - {name: short, match: {path: /short}, pool: servers, timeouts: {tunnel_idle: 300ms}}
  - {name: all, pool: servers}
timeouts: {idle: 300ms, body: 300ms, send: 300ms, header: 300ms}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    /// A script that accepts the upgrade and then does what is given.
    static void accept_and(Script script) {
        origin().script([script = std::move(script)](OriginConnection& connection) {
            connection.receive();
            connection.send(websocket_response);
            script(connection);
        });
    }
    static Client open_tunnel() {
        Client client = connect();
        EXPECT_EQ(client.exchange(websocket_request).status(), 101);
        return client;
    }
};

/// Every octet there is, many times over, never the same at the same place of two blocks.
std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 131 + i / 257) & 0xffU);
    return bytes;
}

TEST_F(WebSocketTest, TheHandshakePassesBothWays) {
    accept_and([](OriginConnection& connection) { connection.await_end(); });
    Client client = connect();
    const Message response = client.exchange(websocket_request);
    EXPECT_EQ(response.start_line, "HTTP/1.1 101 Switching Protocols");
    EXPECT_EQ(response.field("Upgrade"), "websocket");
    EXPECT_EQ(response.field("Connection"), "Upgrade");
    EXPECT_EQ(response.field("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(response.field("Sec-WebSocket-Protocol"), "chat");
    EXPECT_FALSE(response.has("Content-Length"));
    EXPECT_FALSE(response.has("Transfer-Encoding"));

    const Message request = origin().await_request();
    EXPECT_EQ(request.field("Upgrade"), "websocket");
    EXPECT_EQ(request.field("Connection"), "Upgrade");
    EXPECT_EQ(request.field("Sec-WebSocket-Key"), "dGhlIHNhbXBsZSBub25jZQ==");
    EXPECT_EQ(request.field("Sec-WebSocket-Version"), "13");
    EXPECT_EQ(request.field("Sec-WebSocket-Protocol"), "chat");
}

TEST_F(WebSocketTest, BytesRightBehindTheHeadsAreDelivered) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send(websocket_response + "right behind the 101");
        connection.receive_until("right behind the request");
        connection.send("seen");
        connection.await_end();
    });
    Client client = connect();
    client.send(websocket_request + "right behind the request");
    EXPECT_EQ(client.response_head().status(), 101);
    EXPECT_EQ(client.receive_exactly(24), "right behind the 101seen");
}

TEST_F(WebSocketTest, AHeadThatComesInPiecesLosesNothing) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.send(websocket_response.substr(0, 40));
        EXPECT_FALSE(connection.readable_within(100ms));
        connection.send(websocket_response.substr(40) + "right behind the 101");
        connection.await_end();
    });
    Client client = connect();
    client.send(websocket_request);
    EXPECT_EQ(client.response_head().status(), 101);
    EXPECT_EQ(client.receive_exactly(20), "right behind the 101");
}

TEST_F(WebSocketTest, BothDirectionsAreByteExact) {
    const std::string bytes = noise(8 * mebibyte_bytes);
    accept_and([bytes](OriginConnection& connection) {
        for (int i = 0; i < 8; ++i) {
            const std::string block = connection.receive_exactly(mebibyte_bytes);
            connection.send(block);
        }
        connection.await_end();
    });
    Client client = open_tunnel();
    for (std::size_t i = 0; i < 8; ++i) {
        const auto block = std::string_view{bytes}.substr(i * mebibyte_bytes, mebibyte_bytes);
        client.send(block);
        ASSERT_EQ(client.receive_exactly(mebibyte_bytes), block);
    }
}

TEST_F(WebSocketTest, SmallMessagesPassAtOnce) {
    accept_and([](OriginConnection& connection) {
        for (int i = 0; i < 200; ++i) connection.send(connection.receive_exactly(3));
        connection.await_end();
    });
    Client client = open_tunnel();
    for (int i = 0; i < 200; ++i) {
        client.send("abc");
        ASSERT_EQ(client.receive_exactly(3), "abc");
    }
}

TEST_F(WebSocketTest, AClientsHalfCloseLeavesTheOtherDirectionOpen) {
    accept_and([](OriginConnection& connection) {
        if (connection.await_end() == End::closed) connection.send("after your end: " + connection.pending());
        connection.close();
    });
    Client client = open_tunnel();
    client.send("last words");
    client.half_close();
    EXPECT_EQ(client.receive_exactly(26), "after your end: last words");
    EXPECT_EQ(client.await_end(), End::closed);
}

TEST_F(WebSocketTest, AServersHalfCloseLeavesTheOtherDirectionOpen) {
    const Event<std::string> heard;
    accept_and([heard](OriginConnection& connection) {
        connection.send("last words");
        connection.half_close();
        connection.await_end();
        heard.set(connection.pending());
        connection.close();
    });
    Client client = open_tunnel();
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(client.pending(), "last words");
    client.send("after your end");
    client.half_close();
    EXPECT_EQ(heard.wait(), "after your end");
}

TEST_F(WebSocketTest, AResetPassesThrough) {
    accept_and([](OriginConnection& connection) {
        connection.receive_until("go");
        connection.reset();
    });
    Client client = open_tunnel();
    client.send("go");
    EXPECT_EQ(client.await_end(), End::reset);

    const Event<End> ended;
    accept_and([ended](OriginConnection& connection) {
        ended.set(connection.await_end());
        connection.close();
    });
    Client leaving = open_tunnel();
    leaving.reset();
    EXPECT_EQ(ended.wait(), End::reset);
}

TEST_F(WebSocketTest, ATunnelOnWhichNothingMovesIsClosed) {
    const Event<End> ended;
    accept_and([ended](OriginConnection& connection) {
        ended.set(connection.await_end());
        connection.close();
    });
    const auto began = std::chrono::steady_clock::now();
    Client client = connect();
    client.send("GET /short" + websocket_request.substr(7));
    EXPECT_EQ(client.response_head().status(), 101);
    EXPECT_NE(client.await_end(), End::open);
    EXPECT_NE(ended.wait(), End::open);
    EXPECT_GE(std::chrono::steady_clock::now() - began, 250ms);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
}

TEST_F(WebSocketTest, TrafficInOneDirectionKeepsATunnelOpen) {
    accept_and([](OriginConnection& connection) {
        connection.receive_until("z");
        connection.send("still here");
        connection.await_end();
    });
    Client client = connect();
    client.send("GET /short" + websocket_request.substr(7));
    EXPECT_EQ(client.response_head().status(), 101);
    client.dribble("abcdefghijklmnopqrstuvwxy", 1, 25ms);  // twice the idle limit
    client.send("z");
    EXPECT_EQ(client.receive_exactly(10), "still here");
}

// The limits of requests and bodies are not those of tunnels: NSBoot's server speaks every five seconds.
TEST_F(WebSocketTest, TheClientsTimeoutsDoNotHoldInATunnel) {
    accept_and([](OriginConnection& connection) {
        connection.receive_until("go");
        connection.send("gone");
        connection.await_end();
    });
    Client client = open_tunnel();
    EXPECT_FALSE(client.readable_within(800ms));
    client.send("go");
    EXPECT_EQ(client.receive_exactly(4), "gone");
}

TEST_F(WebSocketTest, ARefusedHandshakeIsAnOrdinaryResponse) {
    origin().answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    Client client = connect();
    const Message response = client.exchange(websocket_request);
    EXPECT_EQ(response.status(), 403);
    EXPECT_EQ(response.body, "no");
    EXPECT_FALSE(response.has("Upgrade"));
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/the-connection-goes-on")).status(), 200);
}

TEST_F(WebSocketTest, AnUpgradeThatIsNotAskedForInConnectionDoesNotPass) {
    Client client = connect();
    EXPECT_EQ(client.exchange("GET /ws HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\r\n").status(), 200);
    EXPECT_FALSE(origin().await_request().has("Upgrade"));
}

TEST_F(WebSocketTest, AnHttp10ClientCannotUpgrade) {
    EXPECT_EQ(exchange("GET /ws HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").status(),
              200);
    EXPECT_FALSE(origin().await_request().has("Upgrade"));
}

// Whoever slips h2c past a proxy speaks to the server behind its back.
TEST_F(WebSocketTest, UpgradeToH2cNeverPassesNotEvenBesideWebSocket) {
    exchange(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
        "AAMA\r\n\r\n");
    exchange(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMA\r\n\r\n");
    for (const Message& request : origin().requests()) {
        EXPECT_THAT(request.head, Not(HasSubstr("h2c")));
        EXPECT_THAT(request.head, Not(HasSubstr("HTTP2-Settings")));
    }
    EXPECT_EQ(origin().requests().size(), 2U);
}

TEST_F(WebSocketTest, ATunnelWhoseReaderDoesNotReadIsHeldBack) {
    const Event<std::size_t> taken;
    accept_and([taken](OriginConnection& connection) {
        taken.set(connection.send_until_stuck(std::string(64 * mebibyte_bytes, 'x'), 200ms));
        connection.close();
    });
    Client client = Client::with_small_buffer(daemon().port());
    client.send(websocket_request);
    EXPECT_EQ(client.response_head().status(), 101);
    EXPECT_LT(taken.wait(), 32 * mebibyte_bytes);
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
}

TEST_F(WebSocketTest, TunnelsAreCounted) {
    accept_and([](OriginConnection& connection) { connection.await_end(); });
    daemon().await_metric("nsboot_lb_tunnels_active", {{"pool", "servers"}}, 0);
    {
        const Client one = open_tunnel();
        const Client two = open_tunnel();
        daemon().await_metric("nsboot_lb_tunnels_active", {{"pool", "servers"}}, 2);
    }
    daemon().await_metric("nsboot_lb_tunnels_active", {{"pool", "servers"}}, 0);
}

}  // namespace
}  // namespace nsboot_lb::test
