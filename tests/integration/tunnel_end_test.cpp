/// How tunnels end when the daemon stops: the client is told with a close frame 1001 at the drain deadline, between two
/// frames of the server's (RFC 6455 5.4, 7.4.1).
#include <chrono>
#include <memory>
#include <signal.h>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "client.hpp"
#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"
#include "websocket.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::size_t mebibyte_bytes = 1024 * 1024;
/// What a tunnel is given to end in; see forward/end_tunnel.hpp.
constexpr auto grace = 1000ms;
/// More than that, on a busy machine, and less than what would be another rule.
constexpr auto soon = grace + (sanitized ? 9s : 4s);

constexpr const char* config = R"(
workers: $workers
listeners:
  - {address: "127.0.0.1:0"}
pools:
  servers: {servers: ["$origin"]}
routes:
  - pool: servers
admin: {address: "127.0.0.1:0"}
logging: {access: {target: stdout, format: "{uri} {reason}"}}
shutdown: {drain_timeout: $drain}
)";

using Clock = std::chrono::steady_clock;

/// A daemon with an origin, and a tunnel that shows when the daemon has told its tunnels: with one worker it is told in
/// the same moment as all others.
class TunnelEnd : public testing::Test {
  protected:
    void start(const std::string& workers = "1", const std::string& drain = "300ms") {
        daemon_ = std::make_unique<Daemon>(
            config, Substitutions{{"$origin", origin_.address()}, {"$drain", drain}, {"$workers", workers}});
    }
    void TearDown() override {
        for (const auto& failure : origin_.failures()) ADD_FAILURE() << "in the origin's script: " << failure;
    }

    /// A tunnel whose server, after the handshake, does what is given.
    Client open_tunnel(Script script, const std::string& behind_the_101 = "") {
        origin_.script([script = std::move(script), behind_the_101](OriginConnection& connection) {
            connection.receive();
            connection.send(websocket_response + behind_the_101);
            script(connection);
            connection.close();
        });
        Client client = daemon_->connect();
        EXPECT_EQ(client.exchange(websocket_request).status(), 101);
        return client;
    }
    static void expect_told(Client& client) {
        const auto told = receive_frame(client);
        EXPECT_EQ(told.close_code(), 1001);
        EXPECT_EQ(told.payload.substr(2), "going away, please reconnect");
    }
    /// As clients do: answers a close frame with the same one, and leaves the closing to the other side.
    static void answer(Client& client) { client.send(client_frame(close_frame, close_payload(1001, ""))); }
    /// As servers do: answers the client's close frame, and closes.
    static void close_when_asked(OriginConnection& connection) {
        const auto asked = receive_frame(connection);
        connection.send(server_frame(close_frame, asked.payload));
        connection.close();
    }
    /// Stops the daemon and returns when its tunnels have been told. Any tunnels of the test are there already.
    void stop_and_tell() {
        Client watch = open_tunnel([](OriginConnection& connection) { connection.await_end(); });
        told_from_ = Clock::now();
        daemon_->signal(SIGTERM);
        EXPECT_EQ(receive_frame(watch).close_code(), 1001);
    }
    void expect_exit() {
        EXPECT_EQ(daemon_->wait_exit(patience), 0);
        EXPECT_LT(Clock::now() - told_from_, 300ms + soon);
    }

    Origin origin_;
    std::unique_ptr<Daemon> daemon_;
    Clock::time_point told_from_;
};

TEST_F(TunnelEnd, AnIdleClientIsToldAndItsAnswerReachesTheServer) {
    start();
    const Event<Frame> heard;
    Client client = open_tunnel([heard](OriginConnection& connection) {
        const auto asked = receive_frame(connection);
        heard.set(asked);
        connection.send(server_frame(close_frame, asked.payload));
    });
    const auto began = Clock::now();
    daemon_->signal(SIGTERM);
    expect_told(client);
    EXPECT_GE(Clock::now() - began, 250ms);
    answer(client);
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(client.pending(), "");  // the server's answer is not the client's business
    EXPECT_EQ(heard.wait().close_code(), 1001);
    client.close();
    EXPECT_EQ(daemon_->wait_exit(patience), 0);
    EXPECT_THAT(daemon_->output(), HasSubstr("/ws shutting_down\n"));
}

TEST_F(TunnelEnd, AFrameThatHasBegunIsFinishedFirst) {
    const auto whole = server_frame(text_frame, "the first half, and the second half");
    // Cut in the header of one, in the payload of another; one came right behind the 101.
    for (const std::size_t cut : {std::size_t{1}, std::size_t{17}}) {
        for (const bool behind_the_101 : {false, true}) {
            SCOPED_TRACE(std::to_string(cut) + (behind_the_101 ? " behind the 101" : ""));
            start();
            const Event<> go_on;
            const auto first = whole.substr(0, cut);
            Client client = open_tunnel(
                [=](OriginConnection& connection) {
                    if (!behind_the_101) connection.send(first);
                    go_on.wait();
                    connection.send(whole.substr(cut) + server_frame(text_frame, "one frame too many"));
                    close_when_asked(connection);
                },
                behind_the_101 ? first : "");
            EXPECT_EQ(client.receive_exactly(cut), first);
            stop_and_tell();
            EXPECT_FALSE(client.readable_within(50ms));
            go_on.set();
            EXPECT_EQ(client.receive_exactly(whole.size() - cut), whole.substr(cut));
            expect_told(client);
            answer(client);
            EXPECT_EQ(client.await_end(), End::closed);
            EXPECT_EQ(client.pending(), "");
            client.close();
            expect_exit();
        }
    }
}

TEST_F(TunnelEnd, ALargeFrameIsFinishedFirst) {
    start();
    const Event<> go_on;
    const std::string half(4 * mebibyte_bytes, 'x');
    Client client = open_tunnel([=](OriginConnection& connection) {
        connection.send(frame_header(binary_frame, 2 * half.size()));
        connection.send(half);
        go_on.wait();
        connection.send(half + server_frame(text_frame, "one frame too many"));
        close_when_asked(connection);
    });
    client.receive_exactly(10 + half.size());
    stop_and_tell();
    go_on.set();
    EXPECT_EQ(client.receive_exactly(half.size()), half);
    expect_told(client);
    answer(client);
    EXPECT_EQ(client.await_end(), End::closed);
    client.close();
    expect_exit();
}

TEST_F(TunnelEnd, TheCloseFrameMayStandBetweenFragments) {
    start();
    Client client = open_tunnel([](OriginConnection& connection) {
        connection.send(server_frame(first_fragment, "Hel"));
        close_when_asked(connection);
    });
    EXPECT_EQ(receive_frame(client).payload, "Hel");
    daemon_->signal(SIGTERM);
    expect_told(client);
    answer(client);
    EXPECT_EQ(client.await_end(), End::closed);
    client.close();
    EXPECT_EQ(daemon_->wait_exit(patience), 0);
}

TEST_F(TunnelEnd, AFrameThatIsNeverFinishedEndsInAReset) {
    start();
    const Event<End> server_saw;
    Client client = open_tunnel([server_saw](OriginConnection& connection) {
        connection.send(frame_header(binary_frame, 1000) + "begun");
        server_saw.set(connection.await_end());
    });
    EXPECT_EQ(client.receive_exactly(9).substr(4), "begun");
    stop_and_tell();
    const auto told = Clock::now();
    EXPECT_EQ(client.await_end(), End::reset);
    EXPECT_EQ(client.pending(), "");
    EXPECT_GE(Clock::now() - told, grace / 2);
    EXPECT_EQ(server_saw.wait(), End::reset);
    expect_exit();
}

TEST_F(TunnelEnd, AClientThatDoesNotAnswerIsLetGoAfterTheGrace) {
    start();
    const Event<End> server_saw;
    Client client = open_tunnel([server_saw](OriginConnection& connection) { server_saw.set(connection.await_end()); });
    daemon_->signal(SIGTERM);
    expect_told(client);
    const auto told = Clock::now();
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_GE(Clock::now() - told, grace / 2);
    EXPECT_LT(Clock::now() - told, soon);
    EXPECT_EQ(server_saw.wait(), End::closed);
    EXPECT_EQ(daemon_->wait_exit(patience), 0);
}

TEST_F(TunnelEnd, AClientThatJustClosesEndsItAtOnce) {
    start();
    Client client = open_tunnel([](OriginConnection& connection) { connection.await_end(); });
    daemon_->signal(SIGTERM);
    expect_told(client);
    client.close();
    EXPECT_EQ(daemon_->wait_exit(patience), 0);
}

TEST_F(TunnelEnd, AServerThatHasSaidGoodbyeIsLeftToFinish) {
    start();
    const Event<> answered;
    Client client = open_tunnel([answered](OriginConnection& connection) {
        connection.send(server_frame(close_frame, close_payload(1000, "done")));
        EXPECT_EQ(receive_frame(connection).close_code(), 1000);
        answered.set();
        connection.await_end();
    });
    EXPECT_EQ(receive_frame(client).close_code(), 1000);
    stop_and_tell();
    client.send(client_frame(close_frame, close_payload(1000, "")));
    answered.wait();
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(client.pending(), "");
    expect_exit();
}

TEST_F(TunnelEnd, AServerThatClosesWithoutAWordStillHearsTheClient) {
    start();
    const Event<std::string> heard;
    Client client = open_tunnel([heard](OriginConnection& connection) {
        connection.half_close();
        connection.await_end();
        heard.set(connection.pending());
    });
    EXPECT_EQ(client.await_end(), End::closed);
    stop_and_tell();
    client.send("last words");
    client.half_close();
    EXPECT_EQ(heard.wait(), "last words");
    expect_exit();
}

/// Frames of all lengths as fast as they are taken: each that arrives is whole, and the last one says goodbye.
TEST_F(TunnelEnd, NoMessageIsCutInTheMiddleOfATorrent) {
    for (const std::size_t step : {std::size_t{7}, std::size_t{4099}, std::size_t{300'007}}) {
        SCOPED_TRACE(step);
        start("2");
        Client client = open_tunnel([step](OriginConnection& connection) {
            for (std::size_t size = 0;; size = (size + step) % mebibyte_bytes) {
                // Full of what could be taken for headers.
                if (!connection.send(server_frame(binary_frame, std::string(size, static_cast<char>(0x88))))) return;
                if (connection.has_input()) break;
            }
            close_when_asked(connection);
        });
        std::size_t messages = 0;
        auto deadline = Clock::now() + 100ms;
        while (Clock::now() < deadline) {
            ASSERT_EQ(receive_frame(client).first, binary_frame);
            ++messages;
        }
        daemon_->signal(SIGTERM);
        auto frame = receive_frame(client);
        for (; frame.first == binary_frame; frame = receive_frame(client)) {
            ++messages;
            ASSERT_EQ(frame.payload.find_first_not_of(static_cast<char>(0x88)), std::string::npos);
        }
        EXPECT_EQ(frame.close_code(), 1001);
        EXPECT_GT(messages, 1U);
        answer(client);
        EXPECT_EQ(client.await_end(), End::closed);
        EXPECT_EQ(client.pending(), "");
        client.close();
        EXPECT_EQ(daemon_->wait_exit(patience), 0);
    }
}

TEST_F(TunnelEnd, ManyAreToldAtOnce) {
    constexpr std::size_t count = sanitized ? 60 : 200;
    start("2");
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < count; ++i)
        clients.push_back(std::make_unique<Client>(open_tunnel(&TunnelEnd::close_when_asked)));
    daemon_->signal(SIGTERM);
    for (const auto& client : clients) {
        expect_told(*client);
        answer(*client);
    }
    for (const auto& client : clients) {
        EXPECT_EQ(client->await_end(), End::closed);
        client->close();
    }
    EXPECT_EQ(daemon_->wait_exit(patience), 0);
}

TEST_F(TunnelEnd, ASecondSignalLeavesAtOnce) {
    start("1", "60s");
    Client client = open_tunnel([](OriginConnection& connection) { connection.await_end(); });
    daemon_->signal(SIGTERM);
    daemon_->await_log("draining");
    const auto began = Clock::now();
    daemon_->signal(SIGTERM);
    EXPECT_EQ(daemon_->wait_exit(patience), 0);
    EXPECT_LT(Clock::now() - began, soon);
    EXPECT_EQ(client.await_end(), End::reset);
    EXPECT_EQ(client.pending(), "");
}

TEST_F(TunnelEnd, ASecondSignalDoesNotWaitForTheGrace) {
    start();
    Client client = open_tunnel([](OriginConnection& connection) { connection.await_end(); });
    stop_and_tell();
    expect_told(client);
    daemon_->signal(SIGTERM);
    EXPECT_EQ(daemon_->wait_exit(patience), 0);
    EXPECT_NE(client.await_end(), End::open);
}

/// Downloads that hardly ever have to wait for anybody, since there are enough of them to keep the worker busy, are
/// ended like any other.
TEST_F(TunnelEnd, DownloadsAreCutAsEver) {
    constexpr int count = 6;
    for (const bool at_once : {false, true}) {
        SCOPED_TRACE(at_once ? "by a second signal" : "by the deadline");
        start("1", at_once ? "60s" : "300ms");
        origin_.script([](OriginConnection& connection) {
            connection.receive();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
            const std::string block(mebibyte_bytes, 'x');
            while (connection.send(block)) {
            }
            connection.close();
        });
        std::vector<Event<End>> ends(count);
        std::vector<std::jthread> readers;
        for (const auto& ended : ends) {
            auto client = std::make_shared<Client>(daemon_->connect());
            client->send(get("/image"));
            EXPECT_EQ(client->response_head().status(), 200);
            readers.emplace_back([client, ended] {
                while (client->end() == End::open && client->readable_within(patience)) client->sip(mebibyte_bytes);
                ended.set(client->end());
            });
        }
        daemon_->signal(SIGTERM);
        daemon_->await_log("draining");
        const auto began = Clock::now();
        if (at_once) daemon_->signal(SIGTERM);
        for (const auto& ended : ends) EXPECT_EQ(ended.wait(), End::reset);
        EXPECT_EQ(daemon_->wait_exit(patience), 0);
        EXPECT_LT(Clock::now() - began, 300ms + soon);
        if (!at_once) EXPECT_THAT(daemon_->output(), HasSubstr("/image shutting_down\n"));
    }
}

}  // namespace
}  // namespace nsboot_lb::test
