/// A thousand reloads under traffic: nobody notices, and nothing grows. Servers, pools, routes and listener options
/// change from one to the next and some of their names never come back; every tenth file is broken. A program of its
/// own, since it has the machine to itself.
#include <algorithm>
#include <array>
#include <chrono>
#include <iostream>
#include <memory>
#include <signal.h>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "client.hpp"
#include "daemon.hpp"
#include "traffic.hpp"
#include "websocket.hpp"

namespace nsboot_lb::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t turns = sanitized ? 100 : 1000;
/// At the beginning, for what is made once: buffers, pools of memory, the first scrape, and the counters of names that
/// come no more, of which the latest 256 of each kind are remembered. Some come every third turn.
constexpr std::size_t warm_up = sanitized ? 5 : 3 * 256 + 32;
/// Compared with each other: the first after the warm-up and the last.
constexpr std::size_t compared = turns / 10;
constexpr std::size_t clients = 64;
constexpr std::size_t websockets = 50;
constexpr std::size_t servers = 6;
/// Of resident memory.
constexpr double most_growth = 1.05;
/// More or fewer of them to servers move the mean of the descriptors; one that leaked at each reload would be a
/// hundred.
constexpr double idle_connections = 30;

/// The configuration of a turn, in which "$port" is where the listener `main` is.
class Configurations {
  public:
    explicit Configurations(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {}

    std::string good(std::size_t turn) const {
        const auto number = std::to_string(turn);
        const auto chosen = [&](auto... values) { return std::array{values...}[turn % sizeof...(values)]; };
        std::string text = "workers: 2\nlisteners:\n";
        text += "  - {name: main, address: \"127.0.0.1:0\"" +
                std::string{chosen("}\n", ", proxy_protocol: [192.0.2.0/24]}\n")};
        text += "  - {name: front-" + std::to_string(turn % 3) + ", address: \"unix:$dir/front.sock\"}\n";
        if (turn % 2 == 0)
            text += "  - {name: guest-" + number + ", address: [\"unix:$dir/guest.sock\", \"127.0.0.1:0\"]}\n";
        text += "pools:\n  main:\n    servers: [" + members(turn) + "]\n    balance: " +
                chosen("round-robin", "weighted", "least-conn", "ip-hash", "cookie-sticky", "random-two", "uri-hash") +
                "\n    keepalive: {max_idle: " + chosen("64", "3", "0") + "}\n    slow_start: " + chosen("0s", "50ms") +
                "\n    timeouts: {response: " + chosen("20s", "21s", "22s") + "}\n";
        if (turn % 4 != 0) text += "    health_check: {path: /health, interval: 100ms}\n";
        text += "  side-" + std::to_string(turn % 5) + ": {servers: [\"" + addresses_[turn % servers] + "\"]}\n";
        if (turn % 3 == 0)
            text += "  guest-" + number + ": {servers: [\"" + addresses_[(turn + 1) % servers] + "\"]}\n";
        text += "routes:\n  - {name: turn, match: {path: /turn}, respond: {body: \"" + number + "\"}}\n";
        text += "  - {name: websockets, match: {websocket: true}, pool: main, timeouts: {tunnel_idle: 1h}}\n";
        text += "  - {name: side, match: {path_prefix: /traffic/1}, pool: side-" + std::to_string(turn % 5) +
                ", response_headers: {set: {X-Turn: \"" + number + "\"}}}\n";
        if (turn % 3 == 0)
            text += "  - {name: guest-" + number + ", match: {path_prefix: /traffic/2}, pool: guest-" + number + "}\n";
        text += "  - {name: all, pool: main" +
                std::string{chosen("}", ", bandwidth: {total: 1GiB/s}}", ", deny: [192.0.2.0/24]}")} + "\n";
        text += "admin: {address: \"127.0.0.1:0\"}\n";
        text += "limits: {connections_per_client: " + std::string{chosen("0", "10000")} + "}\n";
        text += "timeouts: {idle: " + std::string{chosen("75s", "76s", "77s", "78s")} + "}\n";
        text += chosen("", "logging: {access: {target: /dev/null, format: json}}\n",
                       "logging: {access: {target: /dev/null, format: combined}}\n",
                       "logging: {access: {target: /dev/null, format: \"{uri}\"}}\n");
        return text;
    }

    /// A file that must not be taken, and what is said of it.
    struct Broken {
        std::string text;
        std::string complaint;
    };
    Broken broken(std::size_t number) const {
        const auto whole = good(number);
        switch (number % 5) {
            case 0: return {whole + "nonsense: 1\n", "nonsense"};
            case 1: return {whole.substr(0, whole.size() / 2) + "\n  {", "error"};
            case 2: return {"", "error"};
            case 3: return {whole + "shutdown: {drain_timeout: soon}\n", "drain_timeout"};
            // Found out when all else is made: what is new must be let go of again.
            default: {
                const auto more = "listeners:\n  - {name: new-" + std::to_string(number) +
                                  ", address: \"unix:$dir/new.sock\"}\n  - {address: \"" + addresses_[0] + "\"}\n";
                return {substitute(whole, {{"listeners:\n", more}}), "in use"};
            }
        }
    }

  private:
    /// Two to four of the servers, under their own names or under ones that nobody else ever has.
    std::string members(std::size_t turn) const {
        std::string text;
        const auto count = 2 + turn % 3;
        for (std::size_t i = 0; i < count; ++i) {
            const auto server = (turn + i) % servers;
            const auto name = i + 1 == count ? "passing-" + std::to_string(turn) : "server-" + std::to_string(server);
            text += (i == 0 ? "{address: \"" : ", {address: \"") + addresses_[server] + "\", name: " + name +
                    ", weight: " + std::to_string(1 + turn % 2) + "}";
        }
        return text;
    }
    const std::vector<std::string> addresses_;
};

struct Sample {
    double resident_kib;
    double descriptors;
    double threads;
};

/// The mean of one of the numbers.
double mean(std::span<const Sample> samples, double Sample::* number) {
    double sum = 0;
    for (const auto& sample : samples) sum += sample.*number;
    return sum / static_cast<double>(samples.size());
}

double most(std::span<const Sample> samples, double Sample::* number) {
    return std::ranges::max(samples, {}, number).*number;
}

class ReloadStorm : public testing::Test {
  protected:
    /// Returns when new requests see it.
    void reload(std::size_t turn) {
        const auto from = daemon_.log_position();
        daemon_.rewrite_config(configurations_.good(turn));
        if (turn % 10 == 5) {
            const auto answer = daemon_.admin_post("/api/v1/reload", "");
            ASSERT_EQ(answer.status(), 200) << answer.body;
        } else {
            daemon_.signal(SIGHUP);
        }
        const auto before = std::to_string(last_good_);
        const auto now = std::to_string(turn);
        const auto deadline = std::chrono::steady_clock::now() + patience;
        for (std::string live = before; live != now;) {
            ASSERT_EQ(live, before);
            ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "turn " << turn << " does not come:\n"
                                                                  << daemon_.log().substr(from);
            live = asking_.exchange(get("/turn")).body;
        }
        last_good_ = turn;
        ++good_;
    }
    void reload_broken(std::size_t number) {
        const auto broken = configurations_.broken(number);
        daemon_.rewrite_config(broken.text);
        if (number % 2 == 0) {
            const auto answer = daemon_.admin_post("/api/v1/reload", "");
            ASSERT_EQ(answer.status(), 422) << answer.body;
            ASSERT_THAT(answer.body, HasSubstr(broken.complaint));
        } else {
            const auto from = daemon_.log_position();
            daemon_.signal(SIGHUP);
            daemon_.await_log("the old one goes on serving", from);
            ASSERT_THAT(daemon_.log().substr(from), HasSubstr(broken.complaint));
        }
        ASSERT_EQ(asking_.exchange(get("/turn")).body, std::to_string(last_good_));
        ++broken_;
    }
    Sample sample() const {
        return {static_cast<double>(daemon_.resident_bytes()) / 1024, static_cast<double>(daemon_.descriptors()),
                static_cast<double>(daemon_.threads())};
    }

    Traffic traffic_{servers};
    Configurations configurations_{traffic_.servers()};
    Daemon daemon_{configurations_.good(0)};
    Client asking_ = daemon_.connect();
    std::size_t last_good_ = 0;
    std::size_t good_ = 1;  ///< with the start
    std::size_t broken_ = 0;
};

TEST_F(ReloadStorm, NobodyNoticesAndNothingGrows) {
    const Door tcp{daemon_.port("main"), ""};
    const Door local{0, daemon_.directory() / "front.sock"};
    traffic_.add_clients(tcp, clients / 2);
    traffic_.add_clients(local, clients / 2);
    traffic_.add_websockets(tcp, websockets / 2);
    traffic_.add_websockets(local, websockets / 2);
    traffic_.start();

    std::vector<Sample> samples;
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t turn = 1; turn <= turns; ++turn) {
        turn % 10 == 0 ? reload_broken(turn / 10) : reload(turn);
        if (HasFatalFailure()) break;
        if (turn % 25 == 0) daemon_.admin_get("/metrics");
        samples.push_back(sample());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    EXPECT_THAT(traffic_.finish(), ElementsAre());
    ASSERT_EQ(samples.size(), turns);
    EXPECT_EQ(daemon_.metric("nsboot_lb_config_reloads_total", {{"result", "success"}}), good_);
    EXPECT_EQ(daemon_.metric("nsboot_lb_config_reloads_total", {{"result", "failure"}}), broken_);

    const auto first = std::span{samples}.subspan(warm_up, compared);
    const auto last = std::span{samples}.last(compared);
    std::cout << turns << " reloads in " << took.count() << " s under " << traffic_.exchanges() << " requests and "
              << traffic_.messages() << " messages; resident KiB " << mean(first, &Sample::resident_kib) << " to "
              << mean(last, &Sample::resident_kib) << ", descriptors " << mean(first, &Sample::descriptors) << " (most "
              << most(first, &Sample::descriptors) << ") to " << mean(last, &Sample::descriptors) << " (most "
              << most(last, &Sample::descriptors) << "), threads at most " << most(first, &Sample::threads) << " and "
              << most(last, &Sample::threads) << '\n';
    // What sanitizers keep of freed memory says nothing of the daemon's.
    if (!sanitized) EXPECT_LT(mean(last, &Sample::resident_kib), most_growth * mean(first, &Sample::resident_kib));
    EXPECT_NEAR(mean(last, &Sample::descriptors), mean(first, &Sample::descriptors), idle_connections);
    // The writer of an access log that was given up may take a moment to end.
    EXPECT_NEAR(mean(last, &Sample::threads), mean(first, &Sample::threads), 1);
}

/// Some hundred routes, so that a configuration that is kept is seen.
std::string large_config(const std::string& address, std::size_t turn) {
    std::string text = "workers: 2\nlisteners: [{name: main, address: \"127.0.0.1:0\"}]\npools: {p: {servers: [\"" +
                       address + "\"]}}\nroutes:\n  - {match: {path: /turn}, respond: {body: \"" +
                       std::to_string(turn) + "\"}}\n";
    for (int route = 0; route < 500; ++route)
        text += "  - {match: {path_prefix: /some/path/" + std::to_string(route) + "}, pool: p}\n";
    return text + "  - {pool: p}\n";
}

// They may last for days, and each may have begun under another configuration.
TEST(Reload, TunnelsDoNotKeepTheConfigurationThatTheyBeganWith) {
    constexpr std::size_t tunnels = 20;
    constexpr std::size_t most_bytes_each = 256 * 1024;  // a view of this configuration is three times that
    Traffic traffic{1};
    traffic.start();
    Daemon daemon{large_config(traffic.servers()[0], 0)};
    Client asking = daemon.connect();
    const auto reload = [&](std::size_t turn) {
        daemon.rewrite_config(large_config(traffic.servers()[0], turn));
        daemon.signal(SIGHUP);
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (asking.exchange(get("/turn")).body != std::to_string(turn))
            ASSERT_LT(std::chrono::steady_clock::now(), deadline) << daemon.log();
    };
    for (std::size_t turn = 1; turn <= tunnels; ++turn) reload(turn);
    const auto before = daemon.resident_bytes();
    std::vector<std::unique_ptr<Client>> held;
    for (std::size_t turn = tunnels + 1; turn <= 2 * tunnels; ++turn) {
        held.push_back(std::make_unique<Client>(daemon.port()));
        ASSERT_EQ(held.back()->exchange(websocket_request).status(), 101);
        reload(turn);
    }
    const auto after = daemon.resident_bytes();
    std::cout << tunnels << " tunnels of as many configurations: resident KiB " << before / 1024 << " to "
              << after / 1024 << "\n";
    for (const auto& tunnel : held) {
        tunnel->send(client_frame(text_frame, "still here"));
        EXPECT_EQ(receive_frame(*tunnel).payload, "still here");
    }
    if (!sanitized) EXPECT_LT(after, before + tunnels * most_bytes_each);
}

}  // namespace
}  // namespace nsboot_lb::test
