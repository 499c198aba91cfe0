/// What the admin listener says of a server that is not available: its standing and the reason, the one that was
/// logged, and nothing of it any more when the server is back.
#include "server_status.hpp"

#include <chrono>

#include <gmock/gmock.h>

#include "address.hpp"
#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ServerStatus : public SharedProxy<ServerStatus> {
  public:
    static constexpr const char* config = R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  checked:
    servers: [{address: "$origin", name: checked}]
    health_check: {path: /health, interval: 50ms, timeout: 500ms}
    passive_health: {max_fails: 0}
  trusted:
    servers: [{address: "$origin", name: trusted}, {address: "$origin", name: spare, backup: true}]
    passive_health: {fail_timeout: 1s}
    retries: {attempts: 0}
  recovering:
    servers: [{address: "$origin", name: recovering}]
    health_check: {path: /health, interval: 50ms, timeout: 500ms, rise: 2, fall: 1000}
    passive_health: {fail_timeout: 1h}
    retries: {attempts: 0}
  operated:
    servers: [{address: "$origin", name: operated}, {address: "$origin", name: unwanted, weight: 0}]
routes:
  - {match: {path_prefix: /checked}, pool: checked}
  - {match: {path_prefix: /trusted}, pool: trusted}
  - {match: {path_prefix: /recovering}, pool: recovering}
  - {pool: operated}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    static void await(const char* server, const char* standing, const char* reason) {
        EXPECT_EQ(await_standing(daemon(), server, standing).reason, reason);
    }
};

TEST_F(ServerStatus, AnAvailableServerHasNoReason) {
    await("checked", "available", "");
    await("trusted", "available", "");
    await("operated", "available", "");
}

TEST_F(ServerStatus, OfAFailedCheckIsItsReasonUntilChecksPass) {
    for (const auto& [answer, reason] : {std::pair{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "status 503"},
                                         std::pair{"", "timeout after 500ms"}}) {
        SCOPED_TRACE(reason);
        await("checked", "available", "");
        const auto before = daemon().log_position();
        origin().script([bytes = std::string{answer}](OriginConnection& connection) {
            connection.receive();
            if (bytes.empty()) connection.await_end();
            connection.send(bytes);
        });
        await("checked", "unhealthy", reason);
        EXPECT_THAT(daemon().await_log("server is down pool=checked", before), HasSubstr(reason));
        origin().answer(Origin::ok_answer());
        await("checked", "available", "");
        daemon().await_log("server is up pool=checked", before);
    }
}

TEST_F(ServerStatus, OneThatSaysWhenToComeBackIsWell) {
    await("trusted", "available", "");
    origin().answer("HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    for (int i = 0; i < 10; ++i) {
        const Message passed_on = exchange(get("/trusted"));
        EXPECT_EQ(passed_on.status(), 503);
        EXPECT_EQ(passed_on.field("Retry-After"), "1");
    }
    EXPECT_EQ(server_seen(daemon(), "trusted").standing, "available");
}

TEST_F(ServerStatus, OfAnEjectionIsHowManyFailuresAndTheLast) {
    const auto before = daemon().log_position();
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.reset();
    });
    Client client = connect();
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(client.exchange("POST /trusted HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status(), 502);
    const auto* const reason = "3 failures, last: connection reset";
    const auto seen = server_seen(daemon(), "trusted");
    EXPECT_THAT(seen.standing, testing::AnyOf("ejected", "probe_due"));
    EXPECT_EQ(seen.reason, reason);
    EXPECT_THAT(daemon().await_log("server is ejected pool=trusted", before), HasSubstr(reason));

    await("trusted", "probe_due", reason);
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(client.exchange(get("/trusted")).status(), 200);
    await("trusted", "available", "");
}

TEST_F(ServerStatus, OneThatLimitsTheProbingClientIsBack) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.reset();
    });
    const auto before = daemon().log_position();
    for (int i = 0; i < 3; ++i) exchange(get("/trusted"));
    daemon().await_log("server is ejected pool=trusted", before);
    await("trusted", "probe_due", "3 failures, last: connection reset");
    origin().answer("HTTP/1.1 429 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(exchange(get("/trusted")).status(), 429);
    await("trusted", "available", "");
}

// Without a request that would probe it, and long before its time is over.
TEST_F(ServerStatus, OneThatWasEjectedComesBackOnTrialWhenItsChecksPass) {
    const auto before = daemon().log_position();
    origin().script([](OriginConnection& connection) {
        if (connection.receive().target() == "/health")
            connection.send(Origin::ok_answer());
        else
            connection.reset();
    });
    Client client = connect();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.exchange(get("/recovering")).status(), 502);
    daemon().await_log("server is ejected pool=recovering", before);
    const auto readmitted = daemon().await_log("server is readmitted pool=recovering", before);
    EXPECT_THAT(readmitted, HasSubstr("its checks pass"));
    await("recovering", "available", "");

    const auto again = daemon().log_position();
    EXPECT_EQ(client.exchange(get("/recovering")).status(), 502);
    daemon().await_log("server is ejected pool=recovering", again);
    await("recovering", "available", "");
}

TEST_F(ServerStatus, OfADrainAndADownIsTheOperator) {
    for (const auto& [state, standing] : {std::pair{"drain", "draining"}, std::pair{"down", "down"}}) {
        change_server(daemon(), "operated", "operated", R"({"state": ")" + std::string{state} + R"("})");
        await("operated", standing, "operator");
    }
    change_server(daemon(), "operated", "operated", R"({"state": "up"})");
    await("operated", "available", "");
}

TEST_F(ServerStatus, OfAWeightOfZeroIsTheWeight) {
    await("unwanted", "draining", "weight 0");
    change_server(daemon(), "operated", "unwanted", R"({"weight": 2})");
    await("unwanted", "available", "");
    change_server(daemon(), "operated", "unwanted", R"({"weight": 0})");
    await("unwanted", "draining", "weight 0");
}

// Without the listener behind it there is nobody to answer a check.
TEST(ServerStatusRefused, OfARefusedConnectionIsThat) {
    const RefusingAddress refusing;
    const Daemon daemon{R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  p: {servers: [{address: "$refusing", name: s}], health_check: {interval: 50ms, timeout: 500ms}}
routes: [{pool: p}]
admin: {address: "127.0.0.1:0"}
)",
                        {{"$refusing", refusing.text()}}};
    EXPECT_EQ(await_standing(daemon, "s", "unhealthy").reason, "connection refused");
    const auto status = daemon.admin_get("/api/v1/status").body;
    EXPECT_THAT(status, HasSubstr(R"("standing":"unhealthy","reason":"connection refused")"));
}

}  // namespace
}  // namespace nsboot_lb::test
