/// Clients that have sent FIN: one that waits for an answer has most likely gone, one that takes it has not, and a
/// tunnel passes it on. And what finds out about peers that are gone without a word.
#include <chrono>
#include <fstream>
#include <optional>
#include <signal.h>
#include <sstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>

#include "flow.hpp"
#include "websocket.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0", name: main}]
pools:
  servers:
    servers: [{address: "$origin", name: s1, max_connections: 1}]
    timeouts: {queue: 20s, response: 60s, idle: 60s}
routes: [{pool: servers}]
timeouts: {send: 20s$time}
admin: {address: "127.0.0.1:0"}
)";

class HalfClosed : public testing::Test {
  protected:
    void start(const std::string& time = "") {
        daemon_ = std::make_unique<Daemon>(
            config,
            Substitutions{{"$origin", origin_.address()}, {"$time", time.empty() ? "" : ", half_closed: " + time}});
    }
    /// A server that takes its time for ever, and says when it is let go.
    Event<> answer_never() {
        const Event<> let_go;
        origin_.script([let_go](OriginConnection& connection) {
            if (connection.receive().target() == "/next") {
                connection.send(Origin::ok_answer());
                return;
            }
            connection.await_end();
            let_go.set();
            connection.close();
        });
        return let_go;
    }
    Origin origin_;
    std::unique_ptr<Daemon> daemon_;
};

TEST_F(HalfClosed, AClientThatHasClosedGivesItsSlotBack) {
    start("300ms");
    const auto let_go = answer_never();
    Client client = daemon_->connect();
    client.send(get("/never"));
    origin_.await_request();
    Client next = daemon_->connect();
    next.send(get("/next"));
    const auto began = std::chrono::steady_clock::now();
    client.half_close();
    ASSERT_TRUE(next.readable_within(5s)) << "the slot is still held";
    EXPECT_GE(std::chrono::steady_clock::now() - began, 250ms);
    EXPECT_EQ(next.response().status(), 200);
    EXPECT_TRUE(let_go.happens_within(5s));
    EXPECT_NE(client.await_end(), End::open);
}

TEST_F(HalfClosed, AClientThatHasClosedIsGoneAtOnceWhereThatIsWanted) {
    start("0s");
    const auto let_go = answer_never();
    Client client = daemon_->connect();
    client.send(get("/never"));
    origin_.await_request();
    client.half_close();
    EXPECT_TRUE(let_go.happens_within(5s));
}

/// Its FIN lies right behind the last byte of the body, so that no event tells of it once the body is read.
TEST_F(HalfClosed, AClientThatClosedBehindItsBodyIsGoneToo) {
    for (const auto* time : {"0s", "300ms"}) {
        SCOPED_TRACE(time);
        start(time);
        const auto let_go = answer_never();
        Client client = daemon_->connect();
        daemon_->await_metric("nsboot_lb_client_connections", {}, 1);
        ::kill(daemon_->pid(), SIGSTOP);  // so that it finds all of it at once
        client.send(post("/never", "Content-Length: 1000\r\n", std::string(1000, 'x')));
        client.half_close();
        ::kill(daemon_->pid(), SIGCONT);
        EXPECT_EQ(origin_.await_request().body.size(), 1000U);
        EXPECT_TRUE(let_go.happens_within(5s));
        origin_.start_over();
    }
}

TEST_F(HalfClosed, AClientThatClosedInTheQueueLeavesIt) {
    start("300ms");
    answer_never();
    Client holder = daemon_->connect();
    holder.send(get("/never"));
    origin_.await_request();
    Client queued = daemon_->connect();
    queued.send(get("/queued"));
    daemon_->await_metric("nsboot_lb_queue_length", {}, 1);
    queued.half_close();
    daemon_->await_metric("nsboot_lb_queue_length", {}, 0);
    EXPECT_EQ(origin_.requests().size(), 1U);
}

/// As `nc -N` reads a large file: it has closed its side from the beginning.
TEST_F(HalfClosed, AClientThatTakesItsAnswerGetsAllOfIt) {
    start("300ms");
    constexpr std::size_t pieces = 10;
    const std::string piece(mebibyte_bytes, 'x');
    origin_.script([=](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(pieces * piece.size()) + "\r\n\r\n");
        for (std::size_t i = 0; i < pieces; ++i) connection.send(piece);
    });
    Client client = Client::with_small_buffer(daemon_->port());
    client.send(get("/large"));
    client.half_close();
    client.response_head();
    // Slowly for as long as it takes to be a rule, then the rest.
    std::size_t taken = 0;
    for (const auto until = std::chrono::steady_clock::now() + 1s; std::chrono::steady_clock::now() < until;) {
        ASSERT_TRUE(client.readable_within(5s));
        taken += client.receive_exactly(1000).size();
        std::this_thread::sleep_for(20ms);
    }
    EXPECT_EQ(client.receive_exactly(pieces * piece.size() - taken).size(), pieces * piece.size() - taken);
    EXPECT_EQ(client.await_end(), End::closed);
}

TEST_F(HalfClosed, AnUploadThatHasEndedWithAFinIsAnswered) {
    start("5s");
    const Event<> closed;
    origin_.script([closed](OriginConnection& connection) {
        const Message request = connection.receive();
        closed.wait();
        connection.send(Origin::ok_answer());
    });
    Client client = daemon_->connect();
    client.send(post("/", "Content-Length: 5\r\n", "hello"));
    client.half_close();
    closed.set();
    EXPECT_EQ(client.response().status(), 200);
}

TEST_F(HalfClosed, ATunnelPassesItOnAndLivesOn) {
    start();
    const Event<> heard;
    const Event<> go_on;
    origin_.script([=](OriginConnection& connection) {
        connection.receive();
        connection.send(websocket_response);
        connection.await_end();
        heard.set();
        go_on.wait();
        connection.send("last words");
        connection.close();
    });
    Client client = daemon_->connect();
    EXPECT_EQ(client.exchange(websocket_request).status(), 101);
    client.half_close();
    heard.wait();
    EXPECT_FALSE(client.readable_within(900ms));
    go_on.set();
    EXPECT_EQ(client.receive_exactly(10), "last words");
    EXPECT_EQ(client.await_end(), End::closed);
}

TEST_F(HalfClosed, ATunnelDeliversWhatWasUnreadWhenBothHadClosed) {
    start();
    const std::string all(4 * mebibyte_bytes, 'x');
    const Event<> said;
    origin_.script([=](OriginConnection& connection) {
        connection.receive();
        connection.send(websocket_response);
        connection.await_end();
        connection.send(all);
        connection.half_close();
        said.set();
        connection.close();
    });
    Client client = Client::with_small_buffer(daemon_->port());
    EXPECT_EQ(client.exchange(websocket_request).status(), 101);
    client.half_close();
    (void)said.happens_within(300ms);  // or as soon as there is room
    std::size_t taken = 0;
    while (client.readable_within(5s)) {
        const auto sipped = client.sip(256UL * 1024);
        if (sipped == 0) break;
        taken += sipped;
    }
    EXPECT_EQ(taken + client.pending().size(), all.size());
    EXPECT_EQ(client.end(), End::closed);
}

TEST_F(HalfClosed, ATunnelDeliversToASlowServerWhatWasUnreadWhenBothHadClosed) {
    start();
    const std::string all(4 * mebibyte_bytes, 'x');
    const Event<> go_on;
    const Event<std::size_t> received;
    origin_.script([=](OriginConnection& connection) {
        connection.receive();
        connection.send(websocket_response);
        connection.half_close();
        go_on.wait();
        connection.await_end();
        received.set(connection.pending().size());
        connection.close();
    });
    Client client = daemon_->connect();
    EXPECT_EQ(client.exchange(websocket_request).status(), 101);
    EXPECT_EQ(client.await_end(), End::closed);
    client.send(all);
    client.half_close();
    std::this_thread::sleep_for(100ms);  // both have closed, and the server has taken nothing yet
    go_on.set();
    EXPECT_EQ(received.wait(), all.size());
}

/// The timer that the kernel shows for a connection at that local or remote port (proc_pid_net(5)): 2 is keep-alive.
/// Seconds until it fires; nothing if there is none.
std::optional<double> keepalive_due(std::uint16_t local, std::uint16_t remote, bool by_local) {
    std::ifstream table{"/proc/net/tcp"};
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
        std::istringstream words{line};
        std::string slot;
        std::string here;
        std::string there;
        std::string state;
        std::string queues;
        std::string timer;
        words >> slot >> here >> there >> state >> queues >> timer;
        const auto port_of = [](const std::string& address) {
            return std::stoul(address.substr(address.find(':') + 1), nullptr, 16);
        };
        constexpr const char* established = "01";
        if (state != established) continue;
        if (by_local ? port_of(here) != local : port_of(there) != remote) continue;
        if (!timer.starts_with("02:")) return std::nullopt;
        constexpr double ticks_per_second = 100;
        return static_cast<double>(std::stoul(timer.substr(3), nullptr, 16)) / ticks_per_second;
    }
    throw Failure("there is no such connection");
}

TEST_F(HalfClosed, PeersThatAreGoneWithoutAWordAreAskedFor) {
    start();
    Client client = daemon_->connect();
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    const auto port_of_origin = static_cast<std::uint16_t>(std::stoul(origin_.address().substr(10)));
    for (const bool of_client : {true, false}) {
        SCOPED_TRACE(of_client ? "client" : "server");
        const auto due = keepalive_due(daemon_->port(), port_of_origin, of_client);
        ASSERT_TRUE(due.has_value()) << "no keep-alive";
        EXPECT_LE(*due, 15.0);
    }
}

}  // namespace
}  // namespace nsboot_lb::test
