/// What an operator does to servers while the daemon runs (drain, down, weights), and what a reload makes of it.
#include <algorithm>
#include <array>
#include <chrono>
#include <signal.h>

#include <gmock/gmock.h>

#include "client.hpp"
#include "event.hpp"
#include "origin.hpp"
#include "server_status.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr const char* pool_of_three = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  p:
    balance: $policy
    servers:
      - {address: "$a", name: a}
      - {address: "$b", name: b, weight: $weight_of_b}
      - {address: "$c", name: c, weight: $weight_of_c}
    slow_start: $slow_start
    timeouts: {tunnel_idle: 60s}
routes:
  - pool: p
admin: {address: "127.0.0.1:0"}
)";

/// Three origins that say their name, behind one daemon. It is b that things are done to.
class Operated {
  public:
    Operated(const std::string& policy, const std::string& slow_start)
        : template_(substitute(pool_of_three, {{"$policy", policy}, {"$slow_start", slow_start}})),
          daemon_(weighted("1", "1"),
                  {{"$a", origins_[0].address()}, {"$b", origins_[1].address()}, {"$c", origins_[2].address()}}) {
        for (std::size_t i = 0; i < origins_.size(); ++i) origins_[i].answer(answer_of(static_cast<char>('a' + i)));
    }

    static std::string answer_of(char name) {
        return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::string(1, name);
    }
    Origin& b() { return origins_[1]; }
    const Daemon& daemon() const { return daemon_; }
    ServerSeen b_seen() const { return server_seen(daemon_, "b"); }
    void change(std::string_view server, std::string_view json) const { change_server(daemon_, "p", server, json); }

    /// Who answers each of `count` requests.
    std::string answers(int count) const {
        Client client = daemon_.connect();
        std::string names;
        for (int i = 0; i < count; ++i) names += client.exchange(get("/")).body;
        return names;
    }
    static long count_of_b(const std::string& names) { return std::ranges::count(names, 'b'); }

    void reload(const std::string& weight_of_b, const std::string& weight_of_c) {
        const auto before = daemon_.log_position();
        daemon_.rewrite_config(weighted(weight_of_b, weight_of_c));
        daemon_.signal(SIGHUP);
        daemon_.await_log("configuration reloaded", before);
    }

  private:
    std::string weighted(const std::string& b, const std::string& c) const {
        return substitute(template_, {{"$weight_of_b", b}, {"$weight_of_c", c}});
    }

    const std::string template_;
    std::array<Origin, 3> origins_;
    Daemon daemon_;
};

void echo(OriginConnection& connection) {
    connection.receive();
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    while (connection.await_readable()) connection.send(connection.receive_exactly(4));
    connection.close();
}

Client open_tunnel(const Operated& operated) {
    Client client = operated.daemon().connect();
    const Message answer = client.exchange(
        "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    EXPECT_EQ(answer.status(), 101);
    return client;
}

void await_in_flight(const Operated& operated, std::int64_t count) {
    await_server(operated.daemon(), "b", [count](const ServerSeen& seen) { return seen.in_flight == count; });
}

TEST(Drain, LetsExchangesAndTunnelsFinishAndSaysHowManyAreLeft) {
    Operated operated{"round-robin", "60s"};
    for (const auto* other : {"a", "c"}) operated.change(other, R"({"state": "drain"})");
    const Event<> go_on;
    operated.b().script([go_on](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfir");
        go_on.wait();
        connection.send("st!");
    });
    Client download = operated.daemon().connect();
    download.send(get("/"));
    EXPECT_EQ(download.response_head().status(), 200);
    operated.b().script(echo);
    Client tunnel = open_tunnel(operated);
    Client other_tunnel = open_tunnel(operated);
    for (const auto* other : {"a", "c"}) operated.change(other, R"({"state": "up"})");

    operated.change("b", R"({"state": "drain"})");
    EXPECT_EQ(operated.b_seen().standing, "draining");
    EXPECT_EQ(operated.b_seen().in_flight, 3);
    EXPECT_EQ(operated.count_of_b(operated.answers(20)), 0);
    EXPECT_EQ(operated.b_seen().in_flight, 3);

    tunnel.send("ping");
    EXPECT_EQ(tunnel.receive_exactly(4), "ping");
    tunnel.close();
    await_in_flight(operated, 2);
    go_on.set();
    EXPECT_EQ(download.receive_exactly(6), "first!");
    await_in_flight(operated, 1);
    other_tunnel.send("pong");
    EXPECT_EQ(other_tunnel.receive_exactly(4), "pong");
    other_tunnel.close();
    await_in_flight(operated, 0);

    // It is warm: in spite of slow_start it has its whole share at once.
    operated.b().answer(Operated::answer_of('b'));
    operated.change("b", R"({"state": "up"})");
    EXPECT_EQ(operated.count_of_b(operated.answers(30)), 10);
}

TEST(Drain, KeepsTheSessionsThatStickToTheServerAndDownMovesThem) {
    const Operated operated{"cookie-sticky", "0s"};
    std::string cookie;
    for (int visit = 0; cookie.empty(); ++visit) {
        ASSERT_LT(visit, 10) << "b got no first visit";
        const Message welcome = operated.daemon().connect().exchange(get("/"));
        ASSERT_TRUE(welcome.has("Set-Cookie"));
        if (welcome.body == "b") cookie = welcome.field("Set-Cookie");
    }
    const auto visit = [&, value = cookie.substr(0, cookie.find(';'))] {
        return operated.daemon().connect().exchange("GET / HTTP/1.1\r\nHost: a\r\nCookie: " + value + "\r\n\r\n");
    };
    operated.change("b", R"({"state": "drain"})");
    for (int i = 0; i < 5; ++i) {
        const Message again = visit();
        EXPECT_EQ(again.body, "b");
        EXPECT_FALSE(again.has("Set-Cookie"));
    }
    EXPECT_EQ(operated.count_of_b(operated.answers(20)), 0) << "first visits go elsewhere";

    operated.change("b", R"({"state": "down"})");
    const Message moved = visit();
    EXPECT_NE(moved.body, "b");
    EXPECT_THAT(moved.field("Set-Cookie"), HasSubstr("nsboot-session="));
}

/// Takes b out of service and back in. Gives the moment just before it is told to come back.
Clock::time_point bring_back(const Operated& operated) {
    EXPECT_EQ(operated.count_of_b(operated.answers(30)), 10) << "no slow start at the daemon's own start";
    operated.change("b", R"({"state": "down"})");
    EXPECT_EQ(operated.count_of_b(operated.answers(30)), 0);
    const auto told = Clock::now();
    operated.change("b", R"({"state": "up"})");
    return told;
}

TEST(SlowStart, GivesAServerThatComesBackNextToNothingAtFirst) {
    const Operated operated{"round-robin", "60s"};
    bring_back(operated);
    EXPECT_LT(operated.count_of_b(operated.answers(300)), 30) << "of a share of 100";
}

TEST(SlowStart, GivesAServerThatComesBackAShareThatGrows) {
    const Operated operated{"round-robin", "1s"};
    const auto earliest = bring_back(operated);
    const auto latest = Clock::now();
    while (Clock::now() < latest + 1s) {
        const long share = operated.count_of_b(operated.answers(30));
        // Half its weight beside two servers is a fifth of thirty.
        if (Clock::now() < earliest + 500ms) EXPECT_LE(share, 7);
    }
    // The first turns at full weight still pay off what the last ones below it left.
    operated.answers(30);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(operated.count_of_b(operated.answers(30)), 10);
}

TEST(Reload, KeepsWhatTheOperatorSetUnlessItTouchesThatServer) {
    Operated operated{"weighted", "0s"};
    operated.change("b", R"({"weight": 4})");
    operated.reload("1", "2");
    EXPECT_EQ(operated.b_seen().weight, 4);
    EXPECT_EQ(operated.count_of_b(operated.answers(21)), 12) << "4 of 1 + 4 + 2";

    operated.change("b", R"({"state": "drain"})");
    operated.reload("1", "1");
    EXPECT_EQ(operated.b_seen().standing, "draining");
    EXPECT_EQ(operated.b_seen().weight, 4);
    EXPECT_EQ(operated.count_of_b(operated.answers(10)), 0);

    operated.reload("2", "1");
    EXPECT_EQ(operated.b_seen().standing, "available");
    EXPECT_EQ(operated.b_seen().weight, 2);
    EXPECT_EQ(operated.count_of_b(operated.answers(20)), 10) << "2 of 1 + 2 + 1";
}

}  // namespace
}  // namespace nsboot_lb::test
