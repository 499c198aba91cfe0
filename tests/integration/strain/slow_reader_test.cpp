/// Who takes little, but steadily, is not who takes nothing: progress is what the peer has acknowledged, and not when
/// the socket has room for a new piece.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "flow.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

class SlowReaderTest : public SharedProxy<SlowReaderTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
  - {address: "unix:$dir/door", name: door}
pools: {servers: {servers: ["$origin"], timeouts: {idle: 60s}}}
routes: [{name: all, pool: servers}]
timeouts: {send: 1s, body: 60s}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    void SetUp() override {
        SharedProxy::SetUp();
        origin().script([](OriginConnection& connection) {
            connection.receive();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
            const std::string block(mebibyte_bytes, 'x');
            while (connection.send(block)) {
            }
            connection.close();
        });
    }
    /// Takes so much a second, for longer than `send`, and is not cut off.
    static void expect_to_live(Client& client, std::size_t bytes_per_second) {
        client.send(get("/"));
        const auto began = std::chrono::steady_clock::now();
        std::size_t taken = 0;
        for (auto time = 0ms; time < 3000ms;) {
            ASSERT_TRUE(client.readable_within(5s));
            const auto due = bytes_per_second * static_cast<std::size_t>(time.count()) / 1000 + 1;
            const auto sipped = client.sip(due - std::min(due, taken) + 1);
            ASSERT_NE(sipped, 0U) << "the connection is " << to_string(client.end());
            taken += sipped;
            std::this_thread::sleep_for(50ms);
            time = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
        }
    }
};

TEST_F(SlowReaderTest, LivesLongerThanTheTimeForWhoTakesNothing) {
    Client client = Client::with_small_buffer(daemon().port());
    expect_to_live(client, 16'000);
}

TEST_F(SlowReaderTest, LivesAtAUnixSocketToo) {
    Client client{(daemon().directory() / "door").string()};
    expect_to_live(client, 100'000);
}

/// What the kernel has taken for clients of that port and they have not: the column tx_queue of /proc/net/tcp.
std::vector<std::size_t> unsent_from(std::uint16_t port) {
    std::vector<std::size_t> found;
    std::ifstream table{"/proc/net/tcp"};
    std::string line;
    for (std::getline(table, line); std::getline(table, line);) {
        std::istringstream fields{line};
        std::string number, local, remote, state, queues;
        fields >> number >> local >> remote >> state >> queues;
        const bool established = state == "01";
        const auto local_port = std::stoul(local.substr(local.find(':') + 1), nullptr, 16);
        if (established && local_port == port) found.push_back(std::stoul(queues.substr(0, 8), nullptr, 16));
    }
    return found;
}

/// A thousand of them would fill the kernel's memory. It takes megabytes for each before it says that one is slow.
TEST_F(SlowReaderTest, HasLittleLyingInTheKernelFromTheBeginning) {
    constexpr std::size_t count = 10;
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < count; ++i) {
        clients.push_back(std::make_unique<Client>(daemon().port()));
        clients.back()->send(get("/"));
    }
    for (const auto& client : clients) client->response_head();
    // Until nothing moves any more.
    for (double before = -1;;) {
        const auto moved = daemon().metric("nsboot_lb_sent_bytes_total");
        if (moved == before) break;
        before = moved;
        std::this_thread::sleep_for(100ms);
    }
    const auto unsent = unsent_from(daemon().port());
    EXPECT_EQ(unsent.size(), count);
    for (const auto bytes : unsent) EXPECT_LT(bytes, 448U * 1024);
}

}  // namespace
}  // namespace nsboot_lb::test
