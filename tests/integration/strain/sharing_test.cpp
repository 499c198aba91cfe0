/// What is shared by many is not taken by one: bandwidth, and the pipes that bodies move through.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "flow.hpp"
#include "websocket.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {servers: {servers: ["$origin"], timeouts: {idle: 60s, tunnel_idle: 60s}}}
routes:
  - {match: {path_prefix: /limited}, pool: servers, bandwidth: {total: 4MiB/s}}
  - {pool: servers}
admin: {address: "127.0.0.1:0"}
)";

class SharingTest : public testing::Test {
  protected:
    /// Sends for as long as it is let, behind this head.
    void flood_behind(const std::string& head) {
        origin_.script([head](OriginConnection& connection) {
            connection.receive_head();
            connection.send(head);
            const std::string block(mebibyte_bytes, 'x');
            while (connection.send(block)) {
            }
            connection.close();
        });
    }
    std::size_t open_pipes() const {
        std::size_t pipes = 0;
        for (const auto& entry :
             std::filesystem::directory_iterator{"/proc/" + std::to_string(daemon_.pid()) + "/fd"}) {
            std::error_code gone;
            pipes += std::filesystem::read_symlink(entry.path(), gone).string().starts_with("pipe:") ? 1 : 0;
        }
        return pipes;
    }
    Origin origin_;
    Daemon daemon_{config, {{"$origin", origin_.address()}}};
};

TEST_F(SharingTest, WhoWaitForBandwidthShareIt) {
    flood_behind("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
    constexpr std::size_t clients = 4;
    std::vector<std::unique_ptr<Client>> readers;
    for (std::size_t i = 0; i < clients; ++i) {
        readers.push_back(std::make_unique<Client>(daemon_.port()));
        readers.back()->send(get("/limited"));
    }
    std::vector<std::size_t> taken(clients);
    for (const auto until = std::chrono::steady_clock::now() + 3s; std::chrono::steady_clock::now() < until;) {
        for (std::size_t i = 0; i < clients; ++i) {
            if (readers[i]->readable_within(1ms)) taken[i] += readers[i]->sip(mebibyte_bytes);
        }
    }
    const auto total = std::accumulate(taken.begin(), taken.end(), std::size_t{0});
    EXPECT_GT(total, 9 * mebibyte_bytes) << "nothing of the limit is lost by sharing it";
    for (const auto bytes : taken) EXPECT_GT(bytes, total / clients * 3 / 4) << testing::PrintToString(taken);
}

TEST_F(SharingTest, ATunnelWhosePeerStallsHoldsNoPipe) {
    flood_behind(websocket_response + frame_header(binary_frame, std::uint64_t{1} << 40));
    constexpr std::size_t tunnels = 40;
    std::vector<std::unique_ptr<Client>> readers;
    for (std::size_t i = 0; i < tunnels; ++i) {
        readers.push_back(std::make_unique<Client>(daemon_.port()));
        readers.back()->send(websocket_request);
    }
    daemon_.await_metric("nsboot_lb_tunnels_active", {}, static_cast<double>(tunnels));
    // Until nothing moves any more: both ends' buffers are full.
    for (double before = -1;;) {
        const auto moved = daemon_.metric("nsboot_lb_sent_bytes_total");
        if (moved == before) break;
        before = moved;
        std::this_thread::sleep_for(200ms);
    }
    EXPECT_LE(open_pipes(), 2U * 16 + 8) << "what idles in the pool, and what the test itself has";
    readers.clear();
    daemon_.await_metric("nsboot_lb_tunnels_active", {}, 0);
}

}  // namespace
}  // namespace nsboot_lb::test
