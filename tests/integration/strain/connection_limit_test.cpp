/// limits.connections holds over all workers, and the newcomer is served in the place of who does least: never in that
/// of somebody whose request is complete.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "flow.hpp"
#include "websocket.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t limit = 5;
/// Nothing else ends a connection for as long as this, and a newcomer is served long before.
constexpr auto soon = sanitized ? 6s : 3s;

class ConnectionLimitTest : public testing::Test {
  protected:
    void TearDown() override {
        for (const auto& failure : origin_.failures()) ADD_FAILURE() << "in the origin's script: " << failure;
    }
    Client connect(std::string_view listener = "main") const { return Client{daemon_.port(listener)}; }

    void expect_newcomer_served(std::string_view listener = "main", const std::string& before = "") const {
        Client newcomer = connect(listener);
        newcomer.send(before + get("/here"));
        ASSERT_TRUE(newcomer.readable_within(soon)) << "nobody goes for the newcomer";
        EXPECT_EQ(newcomer.response().body, "here");
    }
    /// As many as there may be, each of which has said `begin` and goes on with one `drop` after the other: the first
    /// of them goes when somebody comes, and the others stay.
    void expect_the_first_to_go(std::string_view listener, const std::string& begin, const std::string& drop) const {
        std::vector<std::unique_ptr<Client>> clients;
        for (std::size_t i = 0; i < limit; ++i) {
            clients.push_back(std::make_unique<Client>(daemon_.port(listener)));
            clients.back()->send(begin);
            daemon_.await_metric("nsboot_lb_client_connections", {}, static_cast<double>(i + 1));
        }
        // The longest there has been the busiest of late.
        for (auto client = clients.rbegin(); client != clients.rend(); ++client) (*client)->send(drop);
        expect_newcomer_served();
        EXPECT_TRUE(is_over(*clients.front(), drop));
        for (std::size_t i = 1; i < clients.size(); ++i) EXPECT_FALSE(is_over(*clients[i], drop)) << i;
    }
    /// Whether the daemon has let go of it: what is sent to nobody is answered by a reset. A FIN alone may be an
    /// answer's.
    static bool is_over(Client& client, const std::string& drop) {
        for (int i = 0; i < 5; ++i) {
            if (!client.send(drop)) return true;
            std::this_thread::sleep_for(10ms);
        }
        return false;
    }

    Origin origin_;
    Daemon daemon_{R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0", name: main}
  - {address: "127.0.0.1:0", name: proxied, proxy_protocol: true}
pools: {servers: {servers: ["$origin"]}}
routes:
  - {match: {path: /here}, respond: {body: here}}
  - {pool: servers}
limits: {connections: 5}
timeouts: {header: 60s, idle: 60s, body: 60s}
admin: {address: "127.0.0.1:0"}
)",
                   {{"$origin", origin_.address()}}};
};

TEST_F(ConnectionLimitTest, NoMoreAreServedAtOnceThanAreAllowed) {
    const Event<> sixth;
    const Event<> go_on;
    origin_.script([sixth, go_on, arrived = std::make_shared<std::atomic<std::size_t>>(0)](OriginConnection& server) {
        server.receive();
        if (++*arrived > limit) sixth.set();
        go_on.wait();
        server.send(Origin::ok_answer());
    });
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(connect());
        clients.back().send("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    }
    origin_.await_request(limit - 1);
    EXPECT_FALSE(sixth.happens_within(300ms)) << "more are served than may be";
    EXPECT_LE(daemon_.metric("nsboot_lb_client_connections"), limit);
    go_on.set();
    std::size_t served = 0;
    for (auto& client : clients) served += client.response().status() == 200 ? 1 : 0;
    EXPECT_GE(served, limit);  // who was waiting may be served, or told to come again
}

TEST_F(ConnectionLimitTest, AnIdleClientMakesRoom) {
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < limit; ++i) {
        clients.push_back(std::make_unique<Client>(daemon_.port()));
        EXPECT_EQ(clients.back()->exchange(get("/here")).body, "here");
    }
    expect_newcomer_served();
    EXPECT_EQ(std::ranges::count_if(clients, [](const auto& client) { return is_over(*client, "x"); }), 1);
}

/// On one worker: of two, one might have written an answer and not have got round to being idle yet.
TEST_F(ConnectionLimitTest, WhoHasBeenIdleLongestMakesRoom) {
    const Daemon alone{R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {servers: {servers: ["127.0.0.1:81"]}}
routes: [{match: {path: /pool}, pool: servers}, {respond: {body: here}}]
limits: {connections: 5}
admin: {address: "127.0.0.1:0"}
)"};
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < limit; ++i) {
        clients.push_back(std::make_unique<Client>(alone.port()));
        EXPECT_EQ(clients.back()->exchange(get("/")).body, "here");
    }
    EXPECT_EQ(clients.front()->exchange(get("/")).body, "here");  // now the second has been idle longest
    Client newcomer{alone.port()};
    newcomer.send(get("/"));
    ASSERT_TRUE(newcomer.readable_within(soon)) << "nobody goes for the newcomer";
    EXPECT_EQ(newcomer.response().body, "here");
    EXPECT_TRUE(is_over(*clients[1], "x"));
    for (const auto other : {0U, 2U, 3U, 4U}) EXPECT_FALSE(is_over(*clients[other], "x")) << other;
}

TEST_F(ConnectionLimitTest, AnUnfinishedHeadMakesRoom) {
    expect_the_first_to_go("main", "GET / HTTP/1.1\r\nX: ", "x");
}

TEST_F(ConnectionLimitTest, AnUnfinishedProxyHeaderMakesRoom) {
    expect_the_first_to_go("proxied", "PROXY TCP4 ", "1");
}

TEST_F(ConnectionLimitTest, ABodyThatNobodyWantsMakesRoom) {
    expect_the_first_to_go("main", post("/here", "Transfer-Encoding: chunked\r\n"), "1\r\nx\r\n");
}

TEST_F(ConnectionLimitTest, WhoLingersMakesRoom) {
    expect_the_first_to_go("main", "nonsense\r\n\r\n", "x");
}

TEST_F(ConnectionLimitTest, ManyWhoDripAreNoHindrance) {
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < 4 * limit; ++i) {
        const bool proxied = i % 4 == 1;
        clients.push_back(std::make_unique<Client>(daemon_.port(proxied ? "proxied" : "main")));
        const std::string begin = i % 4 == 0   ? "GET / HTTP/1.1\r\nX: "
                                  : proxied    ? "PROXY "
                                  : i % 4 == 2 ? post("/here", "Transfer-Encoding: chunked\r\n", "1\r\nx\r\n")
                                               : post("/here", "Content-Length: 1000000\r\n", "x");
        clients.back()->send(begin);
    }
    for (std::size_t i = 0; i < 2 * limit; ++i) {
        SCOPED_TRACE(i);
        expect_newcomer_served();
    }
    EXPECT_LE(daemon_.metric("nsboot_lb_client_connections"), limit);
}

TEST_F(ConnectionLimitTest, NoMoreGoThanCome) {
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < limit; ++i) {
        clients.push_back(std::make_unique<Client>(daemon_.port()));
        EXPECT_EQ(clients.back()->exchange(get("/here")).body, "here");
    }
    constexpr std::size_t newcomers = 3;
    for (std::size_t i = 0; i < newcomers; ++i) clients.push_back(std::make_unique<Client>(daemon_.port()));
    for (std::size_t i = limit; i < clients.size(); ++i) clients[i]->send(get("/here"));
    for (std::size_t i = limit; i < clients.size(); ++i) {
        ASSERT_TRUE(clients[i]->readable_within(soon));
        EXPECT_EQ(clients[i]->response().body, "here");
    }
    EXPECT_EQ(daemon_.metric("nsboot_lb_rejected_total", {{"reason", "too_many_connections"}}), newcomers);
    std::size_t gone = 0;
    for (std::size_t i = 0; i < limit; ++i) gone += is_over(*clients[i], "x") ? 1 : 0;
    EXPECT_EQ(gone, newcomers);
}

TEST_F(ConnectionLimitTest, NobodyWhoIsAtWorkMakesRoom) {
    const Event<> go_on;
    origin_.script([go_on](OriginConnection& server) {
        const Message request = server.receive_head();
        if (request.target() == "/ws") {
            server.send(websocket_response);
            EXPECT_EQ(receive_frame(server).payload, "hello");
            server.send(server_frame(text_frame, "hello"));
            server.await_end();
            server.close();
        } else if (request.target() == "/upload") {
            EXPECT_EQ(server.receive_exactly(2000).size(), 2000U);
            server.send(Origin::ok_answer());
        } else if (request.target() == "/download") {
            server.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            go_on.wait();
            server.send("world");
        } else {
            go_on.wait();
            server.send(Origin::ok_answer());
        }
    });
    Client waiting = connect();
    waiting.send(get("/slow"));
    Client download = connect();
    download.send(get("/download"));
    download.receive_until("hello");
    Client upload = connect();
    upload.send(post("/upload", "Content-Length: 2000\r\n", std::string(1000, 'x')));
    Client tunnel = connect();
    EXPECT_EQ(tunnel.exchange(websocket_request).status(), 101);
    daemon_.await_metric("nsboot_lb_upstream_connections_active", {}, 4);

    std::vector<std::unique_ptr<Client>> idle;
    for (int i = 0; i < 10; ++i) {
        idle.push_back(std::make_unique<Client>(daemon_.port()));
        idle.back()->send(get("/here"));
        ASSERT_TRUE(idle.back()->readable_within(soon)) << i;
        EXPECT_EQ(idle.back()->response().body, "here") << i;
    }
    upload.send(std::string(1000, 'x'));
    EXPECT_EQ(upload.response().status(), 200);
    tunnel.send(client_frame(text_frame, "hello"));
    EXPECT_EQ(receive_frame(tunnel).payload, "hello");
    go_on.set();
    EXPECT_EQ(waiting.response().status(), 200);
    EXPECT_EQ(download.receive_exactly(5), "world");
}

constexpr const char* per_client = R"(
workers: 1
listeners: [{address: "127.0.0.1:0", proxy_protocol: true}]
pools: {none: {servers: ["127.0.0.1:1"]}}
routes: [{match: {path: /here}, respond: {body: here}}, {pool: none}]
limits: {connections_per_client: 2}
)";

std::string proxied(int client) {
    return "PROXY TCP4 192.0.2." + std::to_string(client) + " 198.51.100.1 1000 80\r\n" + get("/here");
}

TEST(ConnectionsPerClient, CountsWhoTheProxySpeaksForAndNotTheProxy) {
    const Daemon daemon{per_client};
    std::vector<Client> clients;
    for (int i = 1; i <= 6; ++i) {
        clients.push_back(daemon.connect());
        EXPECT_EQ(clients.back().exchange(proxied(i)).body, "here") << i;
    }
}

TEST(ConnectionsPerClient, CountsOneClientBehindAProxyLikeAnyOther) {
    const Daemon daemon{per_client};
    Client first = daemon.connect();
    EXPECT_EQ(first.exchange(proxied(1)).body, "here");
    {
        Client second = daemon.connect();
        EXPECT_EQ(second.exchange(proxied(1)).body, "here");
        EXPECT_NE(daemon.connect().exchange(proxied(1)).status(), 200);
    }
    EXPECT_EQ(daemon.connect().exchange(proxied(2)).body, "here");
    // Once one of the two has gone there is room again.
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (daemon.connect().exchange(proxied(1)).status() != 200) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

}  // namespace
}  // namespace nsboot_lb::test
