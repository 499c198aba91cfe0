/// Time limits and cancellations that come while nobody waits for what they end, and time in which the daemon itself
/// stood still.
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "flow.hpp"
#include "server_status.hpp"
#include "standstill.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class DeadlineCancelTest : public SharedProxy<DeadlineCancelTest> {
  public:
    static constexpr auto limit = 300ms;  ///< of everything that has one of its own
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
  - {address: "unix:$dir/door", name: door}
pools:
  servers:
    servers: ["$origin"]
    timeouts: {connect: 300ms, response: 300ms, idle: 300ms}
    passive_health: {max_fails: 0}
    retries: {attempts: 0}
routes:
  - {name: patient, match: {path_prefix: /patient}, pool: servers, timeouts: {response: 20s, idle: 20s}}
  - {name: all, pool: servers}
timeouts: {header: 300ms, body: 20s, send: 20s}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    /// Behind all interim responses; 0 if none comes in time.
    static int status_of_final_response(Client& client, std::chrono::milliseconds time) {
        while (client.has_input() || !client.pending().empty() || client.readable_within(time)) {
            const Message response = client.response();
            if (response.status() / 100 != 1) return response.status();
        }
        return 0;
    }
};

// The client takes nothing, so that it is the client who is waited for when the server's time runs out. By a unix
// socket, whose buffer is small and does not grow.
TEST_F(DeadlineCancelTest, TheServersTimeRunsOutWhileTheClientTakesAnInterimResponse) {
    const Event<> asked;
    const Event<> over;
    origin().script([asked, over](OriginConnection& connection) {
        connection.receive();
        asked.set();
        const std::string hint = "HTTP/1.1 103 Early Hints\r\nLink: " + std::string(62'000, 'x') + "\r\n\r\n";
        for (int i = 0; i < 15 && connection.send(hint); ++i) {
        }
        connection.await_end();
        over.set();
        connection.close();
    });
    Client client{(daemon().directory() / "door").string()};
    client.send(get("/"));
    asked.wait();
    Standstill::last(2 * limit);
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(status_of_final_response(client, 3s), 504);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
    EXPECT_TRUE(over.happens_within(3s)) << "the server is waited for without end";
}

/// The server answers early, and takes so much of the upload meanwhile that the rest could be sent: both at once. How
/// much finds room on its way, and is then all that there is, depends on the kernel.
TEST_F(DeadlineCancelTest, AnEarlyAnswerEndsAnUploadThatCouldJustGoOn) {
    const TemporaryDirectory directory;
    Origin origin{(directory.path() / "server").string()};
    const Daemon daemon{config, {{"$origin", origin.address()}}};
    for (std::size_t size = 100'000; size < 500'000; size += 20'000) {
        SCOPED_TRACE(size);
        const Event<> stuck;
        const Event<> answered;
        const Event<> closed;
        origin.script([=](OriginConnection& connection) {
            connection.receive_head();
            stuck.wait();
            take_what_is_there(connection);
            connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nnope");
            answered.set();
            while (connection.await_readable() && connection.sip(mebibyte_bytes) != 0) {
            }
            closed.set();
            connection.close();
        });
        Client client = daemon.connect();
        client.send(post("/patient", "Content-Length: 500000000\r\n", std::string(size, 'x')));
        Standstill::last(20ms);  // it goes as far as it can
        Standstill standstill{daemon};
        stuck.set();
        answered.wait();
        standstill.end();
        EXPECT_EQ(client.response().status(), 413);
        ASSERT_TRUE(closed.happens_within(3s)) << "the server's connection is held though nothing goes on";
        ASSERT_TRUE(client.readable_within(3s)) << "the client's connection is held though its end was announced";
    }
}

// What comes while the daemon stands still finds the time limit over; that nobody looked was not the peer's silence.
TEST_F(DeadlineCancelTest, AnAnswerThatCameWhileTheDaemonStoodStillIsInTime) {
    const Event<> go_on;
    origin().script([go_on](OriginConnection& connection) {
        connection.receive();
        go_on.wait();
        connection.send(Origin::ok_answer());
    });
    std::vector<Client> clients;
    for (std::size_t i = 0; i < 8; ++i) {
        clients.push_back(connect());
        clients.back().send(get("/"));
    }
    for (std::size_t i = 0; i < clients.size(); ++i) origin().await_request(i);
    Standstill standstill{daemon()};
    Standstill::last(2 * limit);
    go_on.set();
    origin().settle();
    standstill.end();
    for (auto& client : clients) EXPECT_EQ(client.response().status(), 200);
}

TEST_F(DeadlineCancelTest, ABodyThatCameWhileTheDaemonStoodStillIsWhole) {
    const Event<> go_on;
    origin().script([go_on](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        go_on.wait();
        connection.send("world");
    });
    Client client = connect();
    client.send(get("/"));
    client.receive_until("hello");
    Standstill standstill{daemon()};
    Standstill::last(2 * limit);
    go_on.set();
    origin().settle();
    standstill.end();
    EXPECT_EQ(client.receive_exactly(5), "world");
}

TEST_F(DeadlineCancelTest, AHeadThatCameWhileTheDaemonStoodStillIsInTime) {
    std::vector<Client> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(connect());
        clients.back().send("GET / HTTP/1.1\r\n");
    }
    EXPECT_EQ(exchange(get("/the-worker-has-seen-them")).status(), 200);
    Standstill standstill{daemon()};
    Standstill::last(2 * limit);
    for (auto& client : clients) client.send("Host: example.com\r\n\r\n");
    standstill.end();
    for (auto& client : clients) EXPECT_EQ(client.response().status(), 200);
}

TEST(HealthCheck, WhoseOwnLoopStoodStillSaysNothing) {
    Origin origin;
    const Event<> first;
    const Event<> go_on;
    origin.script([=](OriginConnection& connection) {
        connection.receive();
        first.set();
        go_on.wait();
        connection.send(Origin::ok_answer());
    });
    const Daemon daemon{R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  p:
    servers: [{address: "$origin", name: s1}]
    health_check: {path: /health, interval: 100ms, timeout: 300ms, rise: 1, fall: 1}
routes: [{pool: p}]
admin: {address: "127.0.0.1:0"}
)",
                        {{"$origin", origin.address()}}};
    first.wait();
    Standstill standstill{daemon};
    Standstill::last(600ms);
    standstill.end();
    Standstill::last(100ms);  // it finds the check's time over, and then has the answer
    go_on.set();
    origin.await_request(2);  // checks go on
    EXPECT_THAT(daemon.log(), Not(HasSubstr("is down")));
    EXPECT_EQ(server_seen(daemon, "s1").standing, "available");
    EXPECT_EQ(daemon.metric("nsboot_lb_health_checks_total", {{"result", "timeout"}}), 0);
}

}  // namespace
}  // namespace nsboot_lb::test
