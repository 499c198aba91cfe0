/// Nothing that one peer can do makes others wait: whoever keeps a worker busy gives others their turn.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client.hpp"
#include "daemon.hpp"
#include "origin.hpp"
#include "standstill.hpp"
#include "torrent.hpp"
#include "traffic.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Ten times what is promised, for a busy machine; where a peer holds the loop it is seconds.
constexpr auto soon = sanitized ? 2000ms : 500ms;

const std::string upload_head = "POST /sink HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string unwanted_head = "POST /here HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string chunked_answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string long_answer = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
const std::string chunks_of_one_byte = repeated("1\r\nx\r\n");
const std::string large_chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
const std::string zeros = repeated("0");

class TurnsTest : public testing::Test {
  protected:
    /// The daemon, with a server that says nothing but takes what it is sent, and one that says this without end.
    void start(const std::string& begin = "", const std::string& unit = "") {
        daemon_ = std::make_unique<Daemon>(R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {sink: {servers: ["$sink"]}, torrent: {servers: ["$torrent"]}, traffic: {servers: ["$traffic"]}}
routes:
  - {match: {path: /here}, respond: {body: here}}
  - {match: {path: /sink}, pool: sink}
  - {match: {path: /torrent}, pool: torrent}
  - {pool: traffic}
logging: {access: {target: stdout, format: "{uri}"}}
shutdown: {drain_timeout: 50ms}
)",
                                           Substitutions{{"$sink", torrent_.serve("", "")},
                                                         {"$torrent", torrent_.serve(begin, unit)},
                                                         {"$traffic", traffic_.servers().front()}});
    }
    /// Asks again and again while the torrent goes on, and says how long each time took, the shortest first.
    std::vector<std::chrono::milliseconds> waits() {
        Client client = daemon_->connect();
        EXPECT_EQ(client.exchange(get("/here")).body, "here");
        torrent_.start();
        std::vector<std::chrono::milliseconds> all;
        for (const auto begin = Clock::now(); all.size() < 10 || Clock::now() - begin < 300ms;) {
            const auto asked = Clock::now();
            client.send(get("/here"));
            if (client.readable_within(4 * soon)) EXPECT_EQ(client.response().body, "here");
            all.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - asked));
            if (all.back() > soon) break;  // enough is seen
        }
        std::ranges::sort(all);
        return all;
    }
    void expect_short_waits() { EXPECT_LT(waits().back(), soon); }

    Torrent torrent_;
    Traffic traffic_{1};
    std::unique_ptr<Daemon> daemon_;
};

TEST_F(TurnsTest, AClientWithAnEndlessChunkSize) {
    start();
    torrent_.ask(daemon_->port(), upload_head, zeros);
    expect_short_waits();
}

TEST_F(TurnsTest, AClientWithChunksOfOneByte) {
    start();
    torrent_.ask(daemon_->port(), upload_head, chunks_of_one_byte);
    expect_short_waits();
}

TEST_F(TurnsTest, AClientWithALargeUpload) {
    start();
    torrent_.ask(daemon_->port(), upload_head, large_chunk);
    expect_short_waits();
}

TEST_F(TurnsTest, AClientWhoseBodyIsNotWanted) {
    for (const auto& body : {chunks_of_one_byte, large_chunk, zeros}) {
        SCOPED_TRACE(body.substr(0, 10));
        Torrent another;
        start();
        another.ask(daemon_->port(), unwanted_head, body);
        another.start();
        Client client = daemon_->connect();
        for (int i = 0; i < 10; ++i) {
            client.send(get("/here"));
            ASSERT_TRUE(client.readable_within(soon));
            ASSERT_EQ(client.response().body, "here");
        }
    }
}

TEST_F(TurnsTest, AClientThatGoesOnBehindARefusal) {
    start();
    torrent_.ask(daemon_->port(), "nonsense\r\n\r\n", zeros);
    expect_short_waits();
}

TEST_F(TurnsTest, AClientThatPipelinesWithoutEnd) {
    start();
    torrent_.ask(daemon_->port(), "", repeated(get("/here")));
    expect_short_waits();
}

TEST_F(TurnsTest, AServerWithAnEndlessChunkSize) {
    start(chunked_answer, zeros);
    torrent_.ask(daemon_->port(), get("/torrent"), "");
    expect_short_waits();
}

TEST_F(TurnsTest, AServerWithChunksOfOneByte) {
    start(chunked_answer, chunks_of_one_byte);
    torrent_.ask(daemon_->port(), get("/torrent"), "");
    expect_short_waits();
}

TEST_F(TurnsTest, AServerWithInterimResponsesWithoutEnd) {
    start("", repeated("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"));
    torrent_.ask(daemon_->port(), get("/torrent"), "");
    expect_short_waits();
}

TEST_F(TurnsTest, TwoHundredDownloadsAtFullSpeed) {
    start(long_answer, std::string(256UL * 1024, 'x'));
    torrent_.ask(daemon_->port(), get("/torrent"), "", 200);
    const auto all = waits();
    EXPECT_LT(all[all.size() / 2], 200ms);
}

TEST_F(TurnsTest, TwoHundredClientsAtFullSpeed) {
    start();
    traffic_.add_clients({daemon_->port(), ""}, 200);
    traffic_.start();
    const auto all = waits();
    EXPECT_LT(all[all.size() / 2], 200ms);
    for (const auto& wrong : traffic_.finish()) ADD_FAILURE() << wrong;
}

/// The order in which the worker served them stands in its access log.
TEST_F(TurnsTest, HundredsOfNewConnections) {
    constexpr int newcomers = 600;
    start();
    Client open = daemon_->connect();
    EXPECT_EQ(open.exchange(get("/here?first")).body, "here");
    Standstill standstill{*daemon_};
    std::vector<Client> clients;
    for (int i = 0; i < newcomers; ++i) {
        clients.push_back(daemon_->connect());
        clients.back().send(get("/here?new"));
        if (i == 0) open.send(get("/here?open"));
    }
    standstill.end();
    for (auto& client : clients) ASSERT_EQ(client.response().body, "here");
    EXPECT_EQ(open.response().body, "here");
    daemon_->signal(SIGUSR1);  // writes what is in the log's buffers
    daemon_->await_output("/here?open");
    int before = 0;
    const std::string log = daemon_->output();
    const auto mine = log.find("/here?open");
    for (auto at = log.find("/here?new"); at < mine; at = log.find("/here?new", at + 1)) ++before;
    EXPECT_LT(before, newcomers / 4);
}

}  // namespace
}  // namespace nsboot_lb::test
