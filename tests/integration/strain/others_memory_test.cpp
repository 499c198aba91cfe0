/// What a response waits for must not let anybody else write where it lies: workers share their memory between
/// exchanges, from one wait to the next.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "event.hpp"
#include "flow.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

class OthersMemoryTest : public SharedProxy<OthersMemoryTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0", name: main}, {address: "unix:$dir/door", name: door}]
pools: {servers: {servers: ["$origin"]}}
routes:
  - {name: constant, match: {path: /constant}, respond: {body: constant}}
  - {name: limited, match: {path_prefix: /limited}, pool: servers, bandwidth: {total: 256KiB/s}}
  - {name: all, pool: servers}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    void SetUp() override {
        SharedProxy::SetUp();
        origin().script([](OriginConnection& connection) {
            const auto request = connection.receive();
            const std::string body =
                request.target() == "/limited/large" ? std::string(300'000, 'x') : request.target();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        });
    }
};

TEST_F(OthersMemoryTest, AHeadThatWaitsForBandwidthStaysAsItIs) {
    Client large = connect();
    large.send(get("/limited/large"));
    std::vector<std::unique_ptr<Client>> waiting;
    for (int i = 0; i < 8; ++i) {
        waiting.push_back(std::make_unique<Client>(daemon().port()));
        waiting.back()->send(get("/limited/" + std::to_string(i)));
    }
    Client other = connect();
    for (bool all = false; !all;) {
        EXPECT_EQ(other.exchange(get("/constant")).body, "constant");
        all = true;
        for (const auto& client : waiting) all = all && client->has_input();
    }
    for (int i = 0; i < 8; ++i)
        EXPECT_EQ(waiting[static_cast<std::size_t>(i)]->response().body, "/limited/" + std::to_string(i));
    EXPECT_EQ(large.response().body, std::string(300'000, 'x'));
}

/// The client does not take an interim response, and behind it come the head and the first bytes of the body.
TEST_F(OthersMemoryTest, TheBeginningOfABodyBehindAHeldInterimResponseStaysAsItIs) {
    const Event<> heard;
    origin().script([heard](OriginConnection& connection) {
        const auto request = connection.receive();
        if (request.target() != "/hinted") {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nothers");
            return;
        }
        // More than the client's socket takes.
        for (int i = 0; i < 15; ++i)
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: " + std::string(24'000, 'l') + "\r\n\r\n");
        heard.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + std::string(60'000, 'A'));
    });
    Client slow{(daemon().directory() / "door").string()};
    slow.send(get("/hinted"));
    origin().await_request();
    Client other = connect();
    const auto exchange = [&other] {
        const std::string head = "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n";
        EXPECT_EQ(other.exchange(head + std::string(20'000, 'B')).body, "others");
    };
    for (int i = 0; i < 5; ++i) exchange();  // meanwhile the worker has read the hints
    heard.set();
    for (int i = 0; i < 20; ++i) exchange();
    auto response = slow.response();
    while (response.status() == 103) response = slow.response();
    EXPECT_EQ(response.body, std::string(60'000, 'A'));
}

}  // namespace
}  // namespace nsboot_lb::test
