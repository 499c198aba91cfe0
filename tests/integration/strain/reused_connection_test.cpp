/// A kept connection to a server that is taken again: closed in that moment, too old, with bytes in it that nobody
/// asked for, or one that the server takes long to break.
#include <chrono>
#include <functional>
#include <string>

#include <gmock/gmock.h>

#include "flow.hpp"
#include "standstill.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

std::string answer(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class ReusedConnectionTest : public SharedProxy<ReusedConnectionTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0", name: main}]
pools:
  servers:
    servers: [{address: "$origin", name: s1}]
    passive_health: {max_fails: 0}
    retries: {attempts: 0}
routes: [{name: all, pool: servers}]
admin: {address: "127.0.0.1:0"}
)";

  protected:
    /// A client whose exchange has left one idle connection to the origin, which runs `then` on it when it is told to;
    /// every other connection answers with the target that was asked for.
    static Client with_idle_connection(std::function<void(OriginConnection&)> then, const Event<>& when,
                                       const Event<>& done) {
        origin().script([=](OriginConnection& connection) {
            const Message request = connection.receive();
            connection.send(answer(request.target() + request.body));
            if (request.target() != "/first") return;
            when.wait();
            then(connection);
            done.set();
        });
        Client client = connect();
        EXPECT_EQ(client.exchange(get("/first")).body, "/first");
        daemon().await_metric("nsboot_lb_upstream_connections_idle", {}, 1);
        return client;
    }
    /// The request and what the server does, in one batch of events, the request first.
    static Message exchange_meanwhile(Client& client, std::string_view request, const Event<>& when,
                                      const Event<>& done) {
        Standstill standstill{daemon()};
        client.send(request);
        when.set();
        done.wait();
        standstill.end();
        return client.response();
    }
    void SetUp() override {
        // Connections that earlier tests left behind are none of this one's.
        SharedProxy::SetUp();
        origin().script([](OriginConnection& connection) { connection.close(); });
        while (daemon().metric("nsboot_lb_upstream_connections_idle") != 0)
            exchange(post("/", "Content-Length: 0\r\n"));
        origin().start_over();
    }
};

TEST_F(ReusedConnectionTest, WhatIsSafeToRepeatIsSentAgainWhenItWasClosed) {
    for (const std::string method : {"GET", "PUT", "DELETE", "OPTIONS"}) {
        for (const std::string body : {"", "hello"}) {
            SCOPED_TRACE(method + " with a body of " + std::to_string(body.size()));
            SetUp();
            const Event<> when;
            const Event<> done;
            Client client = with_idle_connection([](OriginConnection& c) { c.close(); }, when, done);
            const auto request =
                method + " /second HTTP/1.1\r\nHost: example.com\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body;
            EXPECT_EQ(exchange_meanwhile(client, request, when, done).body, "/second" + body);
        }
    }
}

TEST_F(ReusedConnectionTest, WhatLayInItBeforeNeverBecomesAnAnswer) {
    const Event<> when;
    const Event<> done;
    Client client = with_idle_connection([](OriginConnection& c) { c.send(answer("poison")); }, when, done);
    EXPECT_EQ(exchange_meanwhile(client, get("/second"), when, done).body, "/second");
}

TEST_F(ReusedConnectionTest, WhatLayInItIsNotTakenForAnAnswerToAPost) {
    const Event<> when;
    const Event<> done;
    Client client = with_idle_connection([](OriginConnection& c) { c.send(answer("poison")); }, when, done);
    EXPECT_EQ(exchange_meanwhile(client, post("/second", "Content-Length: 5\r\n", "hello"), when, done).body,
              "/secondhello");
}

TEST_F(ReusedConnectionTest, AServerThatGaveUpWaitingForARequestIsAskedAnew) {
    const Event<> when;
    const Event<> done;
    Client client = with_idle_connection(
        [](OriginConnection& c) {
            c.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            c.close();
        },
        when, done);
    EXPECT_EQ(exchange_meanwhile(client, get("/second"), when, done).body, "/second");
}

/// It comes after the request was sent, though before the server has read it.
TEST_F(ReusedConnectionTest, A408ThatCrossedTheRequestCountsAsStale) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/first")).status(), 200);
    const int first = origin().await_request().connection;
    origin().script([first](OriginConnection& connection) {
        const Message request = connection.receive();
        if (connection.index() == first) {
            connection.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.close();
        } else {
            connection.send(answer(request.target()));
        }
    });
    EXPECT_EQ(client.exchange(get("/second")).body, "/second");
}

/// On a connection that nobody had closed it is the server's answer to this request, whatever it means by it.
TEST_F(ReusedConnectionTest, A408OnANewConnectionOrAfterWorkIsAnAnswer) {
    origin().script([](OriginConnection& connection) {
        if (connection.receive().target() == "/work")
            EXPECT_FALSE(connection.readable_within(1300ms)) << "it works for longer than a second";
        connection.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nslow");
    });
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/new")).body, "slow");
    EXPECT_EQ(client.exchange(get("/work")).body, "slow");
    EXPECT_EQ(origin().requests().size(), 2U);
}

TEST_F(ReusedConnectionTest, AServerThatDiesAtWorkIsBlamedAndNotAskedAgainForNothing) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/first")).status(), 200);
    const double failures = daemon().metric("nsboot_lb_upstream_failures_total");
    origin().script([](OriginConnection& connection) {
        const Message request = connection.receive();
        if (origin().requests().size() == 2) {
            EXPECT_FALSE(connection.readable_within(1300ms)) << "it works for longer than a second";
            connection.reset();
        } else {
            connection.send(answer(request.target()));
        }
    });
    EXPECT_EQ(client.exchange(get("/second")).status(), 502);
    EXPECT_EQ(origin().requests().size(), 2U);
    daemon().await_metric("nsboot_lb_upstream_failures_total", {}, failures + 1);
}

class LifetimeTest : public SharedProxy<LifetimeTest> {
  public:
    static constexpr auto lifetime = 500ms;
    static constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0", name: main}]
pools: {servers: {servers: ["$origin"], keepalive: {max_lifetime: 500ms, idle_timeout: 60s}}}
routes: [{name: all, pool: servers}]
admin: {address: "127.0.0.1:0"}
)";
};

TEST_F(LifetimeTest, AnIdleConnectionIsClosedWhenItIsOver) {
    const Event<> ended;
    origin().script([ended](OriginConnection& connection) {
        connection.receive();
        connection.send(Origin::ok_answer());
        connection.await_end();
        ended.set();
        connection.close();
    });
    EXPECT_EQ(exchange(get("/")).status(), 200);
    EXPECT_TRUE(ended.happens_within(3s)) << "it is kept";
}

/// It has become too old in the moment in which it is wanted.
TEST_F(LifetimeTest, AConnectionThatIsTooOldIsNotTaken) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/first")).status(), 200);
    Standstill standstill{daemon()};
    Standstill::last(2 * lifetime);
    client.send(get("/second"));
    standstill.end();
    EXPECT_EQ(client.response().status(), 200);
    const auto requests = origin().requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_NE(requests[0].connection, requests[1].connection);
}

}  // namespace
}  // namespace nsboot_lb::test
