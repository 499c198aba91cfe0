/// What must not be done twice: a request that a server has when it dies is answered with a 502 and reaches nobody
/// else.
#include <chrono>

#include <gmock/gmock.h>

#include "client.hpp"
#include "cluster.hpp"
#include "server_status.hpp"

namespace nsboot_lb::test {
namespace {

constexpr const char* config = R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0"}
pools:
  nsboot:
    balance: round-robin
    servers: [{address: "$1", name: nsboot-1}, {address: "$2", name: nsboot-2}, {address: "$3", name: nsboot-3}]
    health_check: {path: /health, interval: 100ms}
    passive_health: {fail_timeout: 300ms}
routes:
  - pool: nsboot
admin: {address: "127.0.0.1:0"}
)";

struct Command {
    const char* what;
    std::string request;
    bool on_an_idle_connection;
};

/// Servers that take a minute to answer anything but /health: what is sent to them is in their hands when they die.
class Once : public testing::TestWithParam<Command> {
  protected:
    std::size_t delivered(std::string_view begin) const {
        std::size_t count = 0;
        for (const auto& server : servers_) count += server->arrived(begin);
        return count;
    }
    /// The server that has it.
    StandIn& await_delivery(std::string_view begin) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < deadline)
            for (const auto& server : servers_)
                if (server->arrived(begin) != 0) return *server;
        throw Failure("no server got the request");
    }

    const std::vector<std::unique_ptr<StandIn>> servers_ = three_servers({"--delay", "60000"});
    const Daemon daemon_{config, addresses_of(servers_)};
};

TEST_P(Once, IsDeliveredAndThenABadGateway) {
    const auto& command = GetParam();
    Client client = daemon_.connect();
    // Each server answers on a connection that is idle afterwards.
    if (command.on_an_idle_connection)
        for (int i = 0; i < 6; ++i) EXPECT_EQ(client.exchange(get("/health")).status(), 200);
    const auto target = command.request.substr(0, command.request.find(" HTTP"));
    client.send(command.request);
    StandIn& server = await_delivery(target);
    server.kill();

    EXPECT_EQ(client.response().status(), 502);
    await_standing(daemon_, server.name(), "unhealthy");
    server.start();
    await_standing(daemon_, server.name(), "available");
    for (int i = 0; i < 6; ++i) EXPECT_EQ(client.exchange(get("/health")).status(), 200) << "the client goes on";
    EXPECT_EQ(delivered(target), 1U);
    EXPECT_EQ(daemon_.metric("nsboot_lb_upstream_retries_total"), 0);
}

std::string with_body(const std::string& line, const std::string& body) {
    return line + " HTTP/1.1\r\nHost: nsboot\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string login = R"({"username": "admin", "password": "nsboot"})";

INSTANTIATE_TEST_SUITE_P(
    Commands, Once,
    testing::Values(Command{"post", with_body("POST /api/auth/login", login), false},
                    Command{"post_on_an_idle_connection", with_body("POST /api/auth/login", login), true},
                    Command{"upload", with_body("POST /api/images/upload", std::string(1'000'000, 'x')), false},
                    Command{"delete", with_body("DELETE /api/machines/1", ""), true}),
    [](const auto& info) { return std::string{info.param.what}; });

}  // namespace
}  // namespace nsboot_lb::test
