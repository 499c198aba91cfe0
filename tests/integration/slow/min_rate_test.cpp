/// BEHAVIOURS row 52 in full: a peer that always moves a little, but less than `timeouts.min_rate` over 30 seconds, is
/// cut off in either direction. A program of its own, since it has to last that long.
#include <chrono>
#include <thread>

#include <gmock/gmock.h>

#include "client.hpp"
#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {p: {servers: ["$origin"]}}
routes: [{pool: p}]
timeouts: {min_rate: 256B/s, body: 30s, send: 30s}
)";

/// The rule looks at 30 seconds; a second such stretch is the most it may take.
constexpr auto longest = 65s;

TEST(MinimumRate, CutsOffUploadsAndDownloadsThatOnlyTrickle) {
    Origin origin;
    const Event<> download_ended;
    origin.script([download_ended](OriginConnection& connection) {
        const Message head = connection.receive_head();
        if (head.method() == "POST") {
            connection.await_end();
        } else {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
            // The buffers between here and there are full soon; from then on it is the client's pace.
            const std::string block(64 * 1024, 'x');
            while (!connection.readable_within(100ms)) connection.send_until_stuck(block, 0ms);
            download_ended.set();
        }
        connection.close();
    });
    const Daemon daemon{config, {{"$origin", origin.address()}}};
    const auto began = std::chrono::steady_clock::now();

    std::jthread downloading{[&daemon, download_ended] {
        Client client = Client::with_small_buffer(daemon.port());
        client.send(get("/down"));
        while (client.end() == End::open && !download_ended.happens_within(100ms)) client.sip(10);
    }};
    Client client = daemon.connect();
    client.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    client.dribble(std::string(1000, 'x'), 1, 100ms);
    EXPECT_EQ(client.response().status(), 408);
    EXPECT_NE(client.await_end(), End::open);
    const auto upload_took = std::chrono::steady_clock::now() - began;
    downloading.join();
    const auto download_took = std::chrono::steady_clock::now() - began;

    EXPECT_GE(upload_took, 25s);
    EXPECT_LE(upload_took, longest);
    EXPECT_GE(download_took, 25s);
    EXPECT_LE(download_took, longest);
}

}  // namespace
}  // namespace nsboot_lb::test
