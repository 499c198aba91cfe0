/// Clients that the kernel has told they are connected, and that the daemon has not accepted yet when it lets go of the
/// listener: by a stop, or by a reload that takes the listener away.
#include <atomic>
#include <chrono>
#include <functional>
#include <signal.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

#include "address.hpp"
#include "client.hpp"
#include "daemon.hpp"
#include "standstill.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* config = R"(
workers: $workers
listeners:
  - {address: "127.0.0.1:0", name: main}
$listener
pools: {none: {servers: ["127.0.0.1:1"]}}
routes: [{match: {path: /here}, respond: {body: here}}, {pool: none}]
admin: {address: "127.0.0.1:0"}
shutdown: {drain_timeout: 20s}
)";

std::string with(const std::string& listener, const std::string& workers = "1") {
    return substitute(config, {{"$listener", listener}, {"$workers", workers}});
}

/// That many clients who have connected and asked.
std::vector<Client> ask(std::uint16_t port, int count) {
    std::vector<Client> clients;
    for (int i = 0; i < count; ++i) {
        clients.emplace_back(port);
        clients.back().send(get("/here"));
    }
    return clients;
}

/// Clients who have connected already, and who ask so much at once that the worker has heard of the end before it has
/// looked at the backlog: they fill a batch of its events.
class Busy {
  public:
    explicit Busy(const Daemon& daemon) : clients_(ask(daemon.port(), 300)) {
        for (auto& client : clients_) EXPECT_EQ(client.response().body, "here");
    }
    void ask_much() {
        std::string many;
        for (int i = 0; i < 20; ++i) many += get("/here");
        for (auto& client : clients_) client.send(many);
    }

  private:
    std::vector<Client> clients_;
};

void expect_all_served(std::vector<Client>& clients) {
    std::size_t lost = 0;
    for (auto& client : clients) lost += client.response().body == "here" ? 0 : 1;
    EXPECT_EQ(lost, 0U) << "of " << clients.size();
}

TEST(Backlog, AllInItAreServedBeforeTheDaemonStops) {
    Daemon daemon{with("")};
    Busy busy{daemon};
    Standstill standstill{daemon};
    busy.ask_much();
    auto clients = ask(daemon.port(), 500);
    daemon.signal(SIGTERM);
    standstill.end();
    expect_all_served(clients);
    clients.clear();
    EXPECT_EQ(daemon.wait_exit(patience), 0);
}

TEST(Backlog, AllInItAreServedWhenAReloadTakesTheListenerAway) {
    Daemon daemon{with("  - {address: \"127.0.0.1:0\", name: other}")};
    Busy busy{daemon};
    Standstill standstill{daemon};
    busy.ask_much();
    auto clients = ask(daemon.port("other"), 500);
    daemon.rewrite_config(with(""));
    daemon.signal(SIGHUP);
    standstill.end();
    expect_all_served(clients);
    daemon.await_metric("nsboot_lb_config_last_reload_successful", {}, 1);
}

/// Clients who come all the time, while the listener comes and goes: refused, or served, and nothing between.
void expect_none_lost(const std::string& address, const std::function<Client()>& connect) {
    const auto there = substitute(with("  - {address: \"$other\", name: other}", "2"), {{"$other", address}});
    Daemon daemon{there};
    std::atomic<bool> stop = false;
    std::atomic<int> served = 0;
    std::atomic<int> lost = 0;
    const auto come = [&] {
        while (!stop) {
            try {
                Client client = connect();
                client.send("GET /here HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
                ++(client.response().body == "here" ? served : lost);
            } catch (const Failure&) {
                std::this_thread::sleep_for(1ms);  // refused: it is not there at the moment
            }
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) threads.emplace_back(come);
        for (int i = 0; i < 60; ++i) {
            daemon.rewrite_config(i % 2 == 0 ? with("", "2") : there);
            EXPECT_EQ(daemon.admin_post("/api/v1/reload").status(), 200);
            std::this_thread::sleep_for(5ms);
        }
        stop = true;
    }
    EXPECT_EQ(lost, 0) << "beside " << served << " who were served";
    EXPECT_GT(served, 0);
}

TEST(Backlog, WhoConnectsIsServedHoweverOftenTheListenerComesAndGoes) {
    // A loopback address of its own: an outgoing connection could have the port while the listener is away.
    const std::string host = "127.0.0.41";
    const int descriptor = listen_on("", 0, 1);
    const auto port = local_port(descriptor);
    ::close(descriptor);
    expect_none_lost(host + ":" + std::to_string(port), [=] { return Client::at(host, port); });
}

TEST(Backlog, WhoConnectsToAUnixSocketIsServedHoweverOftenItComesAndGoes) {
    const TemporaryDirectory directory;
    const auto path = (directory.path() / "other").string();
    expect_none_lost("unix:" + path, [=] { return Client{path}; });
}

}  // namespace
}  // namespace nsboot_lb::test
