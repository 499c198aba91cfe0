/// Pools from outside: the shares of each policy, connections kept and given up, and what a stale one costs.
#include <array>
#include <chrono>
#include <set>

#include <gmock/gmock.h>

#include "address.hpp"
#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

/// Three origins that say their name, behind one daemon.
class Trio {
  public:
    /// `servers` and the pool's other keys as YAML, with $a, $b and $c for the addresses.
    explicit Trio(const std::string& pool)
        : daemon_("workers: 1\nlisteners:\n  - {address: \"127.0.0.1:0\"}\npools:\n  p: {" + pool +
                      "}\nroutes:\n  - pool: p\n",
                  {{"$a", origins_[0].address()}, {"$b", origins_[1].address()}, {"$c", origins_[2].address()}}) {
        for (std::size_t i = 0; i < origins_.size(); ++i) {
            origins_[i].answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" +
                               std::string(1, static_cast<char>('a' + i)));
        }
    }
    Origin& origin(std::size_t index) { return origins_[index]; }
    const Daemon& daemon() const { return daemon_; }
    /// Who answered each of `count` requests on one connection.
    std::string answers(int count, const std::string& source = "") {
        Client client = daemon_.connect(source);
        std::string names;
        for (int i = 0; i < count; ++i) names += client.exchange(get("/")).body;
        return names;
    }

  private:
    std::array<Origin, 3> origins_;
    Daemon daemon_;
};

std::array<int, 3> shares(const std::string& names) {
    std::array<int, 3> counts{};
    for (const char name : names) ++counts.at(static_cast<std::size_t>(name - 'a'));
    return counts;
}

TEST(PoolShares, RoundRobinGivesEachServerTheSame) {
    Trio trio{"balance: round-robin, servers: [$a, $b, $c]"};
    const auto names = trio.answers(30);
    EXPECT_THAT(shares(names), ElementsAre(10, 10, 10));
    for (std::size_t i = 0; i + 3 <= names.size(); ++i) {
        EXPECT_THAT(shares(names.substr(i, 3)), ElementsAre(1, 1, 1)) << names;
    }
}

TEST(PoolShares, WeightedIsExactAndInterleaves) {
    Trio trio{
        "balance: weighted, servers: [{address: $a, weight: 3}, {address: $b, weight: 2}, {address: $c, weight: 1}]"};
    const auto names = trio.answers(60);
    EXPECT_THAT(shares(names), ElementsAre(30, 20, 10));
    for (std::size_t i = 0; i + 6 <= names.size(); i += 6) {
        EXPECT_THAT(shares(names.substr(i, 6)), ElementsAre(3, 2, 1)) << names;
    }
    EXPECT_EQ(names.find("aaa"), std::string::npos) << names;
}

TEST(PoolShares, RoundRobinHonoursWeightsThatAreGiven) {
    Trio trio{
        "balance: round-robin, servers: [{address: $a, weight: 2}, {address: $b, weight: 1}, {address: $c, weight: "
        "0}]"};
    EXPECT_THAT(shares(trio.answers(30)), ElementsAre(20, 10, 0));
}

TEST(PoolShares, LeastConnectionsGoesAroundTheBusy) {
    Trio trio{"balance: least-conn, servers: [$a, $b, $c]"};
    const Event<> release;
    for (const std::size_t busy : {0U, 1U}) {
        trio.origin(busy).script([release](OriginConnection& connection) {
            connection.receive();
            release.wait();
            connection.send(Origin::ok_answer());
        });
    }
    // Two requests hang, wherever they are; all others must find the third server.
    Client one = trio.daemon().connect();
    Client two = trio.daemon().connect();
    std::size_t hanging = 0;
    for (Client* client : {&one, &two}) {
        while (!client->readable_within(0ms)) {
            client->send(get("/"));
            if (!client->readable_within(300ms)) break;
            EXPECT_EQ(client->response().body, "c");
        }
        ++hanging;
    }
    EXPECT_EQ(hanging, 2U);
    EXPECT_EQ(trio.origin(0).requests().size(), 1U);
    EXPECT_EQ(trio.origin(1).requests().size(), 1U);
    EXPECT_EQ(trio.answers(10), "cccccccccc");
    release.set();
    EXPECT_EQ(one.response().body, "ok");
    EXPECT_EQ(two.response().body, "ok");
}

TEST(PoolShares, IpHashIsStableForAClientAndSpreadsClients) {
    Trio trio{"balance: ip-hash, servers: [$a, $b, $c]"};
    std::array<int, 3> clients{};
    for (int i = 1; i <= 60; ++i) {
        const auto source = "127.0.7." + std::to_string(i);
        const auto names = trio.answers(3, source);
        ASSERT_EQ(names, std::string(3, names[0]));
        EXPECT_EQ(trio.answers(1, source), names.substr(0, 1));
        ++clients.at(static_cast<std::size_t>(names[0] - 'a'));
    }
    for (const int count : clients) EXPECT_GE(count, 8);
}

class PoolTest : public SharedProxy<PoolTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  plain: {servers: ["$origin"]}
  counted: {servers: [{address: "$origin", name: s}]}
  unpooled: {servers: ["$origin"], keepalive: {max_idle: 0}}
  short-lived: {servers: ["$origin"], keepalive: {max_requests: 2}}
  short-idle: {servers: ["$origin"], keepalive: {idle_timeout: 200ms}}
routes:
  - {match: {path_prefix: /counted}, pool: counted}
  - {match: {path_prefix: /unpooled}, pool: unpooled}
  - {match: {path_prefix: /short-lived}, pool: short-lived}
  - {match: {path_prefix: /short-idle}, pool: short-idle}
  - {pool: plain}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    /// Which connection each request came on, with the first as 0.
    static std::vector<int> connections_used() {
        std::vector<int> used;
        for (const Message& request : origin().requests())
            used.push_back(request.connection - origin().requests()[0].connection);
        return used;
    }
};

TEST_F(PoolTest, AConnectionIsUsedAgainByTheNextClient) {
    for (int i = 0; i < 4; ++i) exchange(get("/"));
    EXPECT_THAT(connections_used(), ElementsAre(0, 0, 0, 0));
}

TEST_F(PoolTest, RequestsAtTheSameTimeHaveConnectionsOfTheirOwnWhichAreThenKept) {
    const Event<> release;
    origin().script([release](OriginConnection& connection) {
        connection.receive();
        release.wait();
        connection.send(Origin::ok_answer());
    });
    Client one = connect();
    Client two = connect();
    one.send(get("/"));
    two.send(get("/"));
    origin().await_request(0);
    origin().await_request(1);
    EXPECT_NE(origin().requests()[0].connection, origin().requests()[1].connection);
    release.set();
    one.response();
    two.response();
    origin().answer(Origin::ok_answer());
    const std::set<int> kept{origin().requests()[0].connection, origin().requests()[1].connection};
    exchange(get("/"));
    exchange(get("/"));
    EXPECT_TRUE(kept.contains(origin().await_request(2).connection));
    EXPECT_TRUE(kept.contains(origin().await_request(3).connection));
}

TEST_F(PoolTest, AnAnswerThatSaysCloseEndsItsConnection) {
    origin().answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    Client client = connect();
    const Message response = client.exchange(get("/1"));
    EXPECT_EQ(response.body, "ok");
    EXPECT_NE(response.field("Connection"), "close");
    client.exchange(get("/2"));
    EXPECT_NE(origin().await_request(0).connection, origin().await_request(1).connection);
}

TEST_F(PoolTest, AnHttp10AnswerEndsItsConnectionUnlessItSaysKeepAlive) {
    origin().answer("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    exchange(get("/1"));
    origin().answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
    exchange(get("/2"));
    exchange(get("/3"));
    const auto used = connections_used();
    ASSERT_EQ(used.size(), 3U);
    EXPECT_NE(used[0], used[1]);
    EXPECT_EQ(used[1], used[2]);
}

TEST_F(PoolTest, AnAnswerToAnUnfinishedRequestEndsItsConnection) {
    origin().script([](OriginConnection& connection) {
        connection.receive_head();
        connection.send(Origin::ok_answer());
        connection.await_end();
        connection.close();
    });
    Client client = connect();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    EXPECT_EQ(client.response().status(), 200);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(exchange(get("/next")).status(), 200);
    ASSERT_EQ(origin().requests().size(), 2U);
    EXPECT_EQ(origin().requests()[1].start_line, "GET /next HTTP/1.1");
    EXPECT_NE(origin().requests()[0].connection, origin().requests()[1].connection);
}

TEST_F(PoolTest, NoIdleConnectionIsKeptWhereNoneMayBe) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(exchange(get("/unpooled")).status(), 200);
    EXPECT_THAT(connections_used(), ElementsAre(0, 1, 2));
}

TEST_F(PoolTest, AConnectionCarriesNoMoreRequestsThanItMay) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(exchange(get("/short-lived")).status(), 200);
    EXPECT_THAT(connections_used(), ElementsAre(0, 0, 1, 1, 2));
}

TEST_F(PoolTest, AnIdleConnectionIsClosedInTime) {
    const Event<End> ended;
    origin().script([ended](OriginConnection& connection) {
        connection.receive();
        connection.send(Origin::ok_answer());
        ended.set(connection.await_end());
        connection.close();
    });
    EXPECT_EQ(exchange(get("/short-idle")).status(), 200);
    EXPECT_EQ(ended.wait(), End::closed);
}

// BEHAVIOURS row 57
TEST_F(PoolTest, AnIdleConnectionThatTheServerClosedCostsTheClientNothing) {
    const Event<> close_now;
    const Event<> closed;
    for (const bool reset : {false, true}) {
        SCOPED_TRACE(reset);
        origin().script([=](OriginConnection& connection) {
            connection.receive();
            connection.send(Origin::ok_answer());
            close_now.wait();
            reset ? connection.reset() : connection.close();
            closed.set();
        });
        Client client = connect();
        EXPECT_EQ(client.exchange(get("/warm")).status(), 200);
        origin().answer(Origin::ok_answer());
        close_now.set();
        closed.wait();
        EXPECT_EQ(client.exchange(get("/")).status(), 200);
    }
}

// BEHAVIOURS row 57
TEST_F(PoolTest, AStaleConnectionCostsARepeatableRequestOneMoreTryAndNoOtherOne) {
    for (const std::string method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH"}) {
        SCOPED_TRACE(method);
        origin().start_over();
        Client client = connect();
        client.exchange(get("/warm"));
        const int pooled = origin().await_request().connection;
        origin().script([pooled](OriginConnection& connection) {
            connection.receive();
            if (connection.index() == pooled) {
                connection.close();
            } else {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        // DELETE would be idempotent, but at NSBoot's API it runs commands.
        const bool repeatable = method != "POST" && method != "PATCH" && method != "DELETE";
        EXPECT_EQ(client.exchange(method + " /again HTTP/1.1\r\nHost: a\r\n\r\n").status(), repeatable ? 200 : 502);
        EXPECT_EQ(origin().requests().size(), repeatable ? 3U : 2U);
    }
}

// BEHAVIOURS row 57: a body that has gone is not there to be sent a second time.
TEST_F(PoolTest, ARequestWhoseBodyCannotBeRepeatedIsNotSentTwice) {
    Client client = connect();
    client.exchange(get("/warm"));
    const int pooled = origin().await_request().connection;
    origin().script([pooled](OriginConnection& connection) {
        if (connection.index() == pooled) {
            connection.receive_head();
            connection.receive_exactly(500'000);
            connection.close();
        } else {
            connection.receive();
            connection.send(Origin::ok_answer());
        }
    });
    client.send("PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
    client.send(std::string(4'000'000, 'x'));
    EXPECT_EQ(client.response().status(), 502);
    for (const Message& request : origin().requests()) EXPECT_FALSE(request.target() == "/big" && request.complete);
}

TEST_F(PoolTest, ConnectionsAreCounted) {
    const Labels labels{{"pool", "counted"}, {"server", "s"}};
    for (int i = 0; i < 3; ++i) exchange(get("/counted"));
    daemon().await_metric("nsboot_lb_upstream_requests_total", labels, 3);
    daemon().await_metric("nsboot_lb_upstream_connections_opened_total", labels, 1);
    daemon().await_metric("nsboot_lb_upstream_connections_reused_total", labels, 2);
    daemon().await_metric("nsboot_lb_upstream_connections_active", labels, 0);
    daemon().await_metric("nsboot_lb_upstream_connections_idle", labels, 1);
}

TEST(PoolServers, MayBeNamesAndUnixSockets) {
    const TemporaryDirectory directory;
    const Origin named;
    const Origin local{(directory.path() / "server.sock").string()};
    const Daemon daemon{
        R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  named: {servers: ["localhost:$port"]}
  local: {servers: ["$local"]}
routes:
  - {match: {path: /named}, pool: named}
  - {match: {path: /local}, pool: local}
)",
        {{"$port", named.address().substr(named.address().rfind(':') + 1)}, {"$local", local.address()}}};
    Client client = daemon.connect();
    EXPECT_EQ(client.exchange(get("/named")).status(), 200);
    EXPECT_EQ(client.exchange(get("/local")).status(), 200);
    EXPECT_EQ(named.requests().size(), 1U);
    EXPECT_EQ(local.requests().size(), 1U);
}

}  // namespace
}  // namespace nsboot_lb::test
