/// Servers that die, freeze and break connections while clients ask, each server in turn: no client notices.
#include <chrono>
#include <iostream>
#include <signal.h>

#include <gmock/gmock.h>

#include "closed_loop.hpp"
#include "cluster.hpp"
#include "server_status.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;

constexpr std::size_t clients = 8;
/// Of a run; and between one event and the next, so that each happens in the midst of traffic.
constexpr std::size_t least_requests = sanitized ? 2'000 : 20'000;
constexpr std::size_t between = least_requests / 16;

/// As an operator would have it, but with shorter times. Sanitized programs on a busy machine take theirs.
constexpr const char* response_time = sanitized ? "2s" : "500ms";
constexpr const char* check_time = sanitized ? "1s" : "250ms";

struct Setting {
    std::string faults = "0";   ///< the share of exchanges that a server breaks when it is told to
    std::string server_keys{};  ///< of each server, beside address and name
    std::string passive_health = "{fail_timeout: 300ms}";
};

std::string pool_of_three(const Setting& setting) {
    return substitute(R"(
workers: 3
listeners:
  - {address: "127.0.0.1:0"}
pools:
  nsboot:
    servers:
      - {address: "$1", name: nsboot-1$keys}
      - {address: "$2", name: nsboot-2$keys}
      - {address: "$3", name: nsboot-3$keys}
    health_check: {path: /health, interval: 100ms, timeout: $check}
    passive_health: $passive
    timeouts: {connect: $response, response: $response}
routes:
  - pool: nsboot
admin: {address: "127.0.0.1:0"}
)",
                      {{"$keys", setting.server_keys},
                       {"$passive", setting.passive_health},
                       {"$check", check_time},
                       {"$response", response_time}});
}

/// Three servers, a daemon and eight clients that never stop asking. The servers take a millisecond for an answer, so
/// that there is hardly a moment at which one of them has nothing to do.
class Trial {
  public:
    explicit Trial(const Setting& setting = {})
        : servers_(three_servers({"--delay", "1", "--faults", setting.faults})),
          daemon_(pool_of_three(setting), addresses_of(servers_)),
          expected_({servers_[0]->name(), servers_[1]->name(), servers_[2]->name()}),
          loop_(daemon_.port(), clients, expected_) {}

    const std::vector<std::unique_ptr<StandIn>>& servers() const { return servers_; }
    const Daemon& daemon() const { return daemon_; }
    const ClosedLoop& loop() const { return loop_; }

    double failures(const StandIn& server) const {
        return daemon_.metric("nsboot_lb_upstream_failures_total", {{"server", server.name()}});
    }
    void await_failures(const StandIn& server, double more_than) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (failures(server) <= more_than) {
            if (std::chrono::steady_clock::now() > deadline) throw Failure("nobody felt what befell " + server.name());
        }
    }

    /// Requests that reached a server and were not answered by it: it had them when something befell it.
    std::size_t lost(const ClosedLoop::Tally& tally, const StandIn& server) const {
        const auto found = tally.by_server.find(server.name());
        return server.arrived("GET /boot/") + server.arrived("GET /images/") -
               (found == tally.by_server.end() ? 0 : found->second);
    }

    /// Ends the run and says how it went. No request may have failed.
    void expect_nobody_noticed(const std::string& event, int events, std::size_t least = least_requests) {
        loop_.await_answers(least);
        const auto tally = loop_.stop();
        std::size_t lost_at_servers = 0;
        for (const auto& server : servers_) lost_at_servers += lost(tally, *server);
        const auto retries = daemon_.metric("nsboot_lb_upstream_retries_total");
        std::cout << "[ figures  ] " << tally.answered << " of " << tally.answered + tally.failed
                  << " requests answered whole, " << tally.failed << " failed; " << events << " times " << event << "; "
                  << lost_at_servers << " requests lost at a server, " << retries << " retries; longest wait "
                  << tally.slowest.count() << " ms; " << tally.took.count() << " ms\n";
        EXPECT_EQ(tally.failed, 0U) << testing::PrintToString(tally.failures) << "\n" << daemon_.log();
        EXPECT_GE(tally.answered, least);
        EXPECT_GT(lost_at_servers, 0U) << "nothing was under way when it happened: this shows nothing";
        EXPECT_GT(retries, 0);
    }

  private:
    std::vector<std::unique_ptr<StandIn>> servers_;
    Daemon daemon_;
    ExpectedAnswers expected_;
    ClosedLoop loop_;
};

/// What arrives at a server from its clients, and not from the health checks.
constexpr const char* from_clients = "GET /boot/";

/// Kills a server in the midst of its work, and starts it again when the daemon has found out.
void kill_and_restart(const Trial& trial, StandIn& server) {
    SCOPED_TRACE(server.name());
    trial.loop().await_more(between);
    const auto failures = trial.failures(server);
    server.await_request(from_clients);
    server.kill();
    trial.await_failures(server, failures);
    EXPECT_EQ(await_standing(trial.daemon(), server.name(), "unhealthy").reason, "connection refused");
    trial.loop().await_more(between);
    server.start();
    EXPECT_EQ(await_standing(trial.daemon(), server.name(), "available").reason, "");
    server.await_request(from_clients);
}

TEST(Death, OfEachServerInTurnCostsNoRequest) {
    Trial trial;
    for (int round = 0; round < 2; ++round)
        for (const auto& server : trial.servers()) kill_and_restart(trial, *server);
    trial.expect_nobody_noticed("a server was killed", 6);
}

/// Stops a server as a debugger would: its kernel goes on taking connections and requests, and nothing answers.
void freeze_and_thaw(const Trial& trial, StandIn& server) {
    SCOPED_TRACE(server.name());
    trial.loop().await_more(between);
    const auto failures = trial.failures(server);
    server.await_request(from_clients);
    server.signal(SIGSTOP);
    trial.await_failures(server, failures);
    EXPECT_EQ(await_standing(trial.daemon(), server.name(), "unhealthy").reason,
              "timeout after " + std::string{check_time});
    trial.loop().await_more(between);
    server.signal(SIGCONT);
    EXPECT_EQ(await_standing(trial.daemon(), server.name(), "available").reason, "");
    server.await_request(from_clients);
}

TEST(Freezing, OfEachServerInTurnCostsNoRequest) {
    Trial trial;
    for (const auto& server : trial.servers()) freeze_and_thaw(trial, *server);
    trial.expect_nobody_noticed("a server was frozen", 3);
}

// Eight clients want six slots: there is always somebody in the queue, also when a frozen server holds two of them.
TEST(Freezing, OfAServerWhileRequestsQueueCostsNoRequest) {
    Trial trial{{.server_keys = ", max_connections: 2"}};
    for (const auto& server : trial.servers()) freeze_and_thaw(trial, *server);
    trial.expect_nobody_noticed("a server was frozen while requests queued", 3, least_requests / 4);
}

/// Makes a server break its share of exchanges, the health checks' too, before, within and after the answer.
void break_connections(const Trial& trial, StandIn& server) {
    SCOPED_TRACE(server.name());
    const auto failures = trial.failures(server);
    server.await_request(from_clients);
    server.signal(SIGUSR1);
    trial.await_failures(server, failures + 20);
    trial.loop().await_more(between * 2);
    server.signal(SIGUSR1);
    await_standing(trial.daemon(), server.name(), "available");
    server.await_request(from_clients);
}

TEST(Resets, OfEachServerInTurnCostNoRequest) {
    Trial trial{{.faults = "0.33"}};
    for (const auto& server : trial.servers()) break_connections(trial, *server);
    trial.expect_nobody_noticed("a server began to break connections", 3);
}

// Live traffic ejects such a server soon, so that few requests meet it. Here they meet it all the time.
TEST(Resets, OfAServerThatIsNeverEjectedCostNoRequest) {
    Trial trial{{.faults = "0.33", .passive_health = "{max_fails: 0}"}};
    for (const auto& server : trial.servers()) break_connections(trial, *server);
    trial.expect_nobody_noticed("a server began to break connections and stayed in service", 3);
}

}  // namespace
}  // namespace nsboot_lb::test
