/// The one request that finds out whether an ejected server is well again, and whose client does not wait for it.
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client.hpp"
#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"
#include "server_status.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

constexpr auto fail_timeout = 2s;
constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  p:
    balance: round-robin
    servers: [{address: "$ill", name: ill}, {address: "$well", name: well}]
    passive_health: {max_fails: 1, fail_timeout: 2s}
routes: [{pool: p}]
admin: {address: "127.0.0.1:0"}
)";

TEST(Probe, WhoseClientLeavesSaysNothingAndTheNextOneIsTried) {
    Origin ill;
    const Origin well;
    const Daemon daemon{config, {{"$ill", ill.address()}, {"$well", well.address()}}};
    ill.script([](OriginConnection& connection) {
        connection.receive();
        connection.reset();
    });
    for (int i = 0; i < 3; ++i) EXPECT_EQ(daemon.connect().exchange(get("/")).status(), 200);
    EXPECT_EQ(server_seen(daemon, "ill").standing, "ejected");

    // It is well again, though slow at first.
    const Event<> probed;
    const Event<> again;
    ill.script([=](OriginConnection& connection) {
        if (connection.receive().target() == "/slow") {
            probed.set();
            connection.await_end();
            connection.close();
        } else {
            again.set();
            connection.send(Origin::ok_answer());
        }
    });
    std::vector<Client> clients;
    while (!probed.happens_within(20ms)) {
        clients.push_back(daemon.connect());
        clients.back().send(get("/slow"));
        ASSERT_LT(clients.size(), 1000U);
    }
    for (auto& client : clients) client.reset();
    const auto left = std::chrono::steady_clock::now();
    while (!again.happens_within(10ms)) {
        EXPECT_EQ(daemon.connect().exchange(get("/next")).status(), 200);
        ASSERT_LT(std::chrono::steady_clock::now() - left, patience);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - left, fail_timeout / 2);
}

}  // namespace
}  // namespace nsboot_lb::test
