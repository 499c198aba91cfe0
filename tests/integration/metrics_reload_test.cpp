/// Metrics over a reload: what stays counts on, and what is gone counts to its end.
#include <array>
#include <chrono>
#include <optional>
#include <signal.h>
#include <string>

#include <gtest/gtest.h>

#include "client.hpp"
#include "event.hpp"
#include "origin.hpp"
#include "scrape.hpp"

namespace nsboot_lb::test {
namespace {

constexpr const char* reloaded_config = R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0", name: front}
$listeners
pools:
  web: {servers: [{address: "$origin", name: s1}$servers]}
routes:
  - {name: all, pool: web}
admin: {address: "127.0.0.1:0"}
)";

/// A daemon whose configuration loses a listener and a server.
class MetricsReloadTest : public testing::Test {
  protected:
    static std::string config(std::string_view listeners, std::string_view servers) {
        return substitute(reloaded_config,
                          {{"$listeners", std::string{listeners}}, {"$servers", std::string{servers}}});
    }
    void reload(const std::string& text) {
        const auto position = daemon.log_position();
        daemon.rewrite_config(text);
        daemon.signal(SIGHUP);
        daemon.await_log("configuration re", position);
    }
    static constexpr std::string_view second_listener = "  - {address: \"127.0.0.1:0\", name: second}";
    static constexpr std::string_view second_server = ", {address: \"$other\", name: s2}";

    Origin origin;
    std::optional<Origin> other{std::in_place};
    Daemon daemon{config(second_listener, second_server),
                  {{"$origin", origin.address()}, {"$other", other->address()}}};
};

TEST_F(MetricsReloadTest, CountersSurviveIt) {
    for (int i = 0; i < 4; ++i) daemon.connect().exchange(get("/"));
    await_samples(daemon, {{R"(nsboot_lb_requests_total{route="all",method="GET",code="2xx"})", 4}});
    const Scrape before{daemon};
    reload(config(second_listener, second_server));
    const auto after = await_samples(daemon, {
                                                 {R"(nsboot_lb_config_reloads_total{result="success"})", 2},
                                                 {R"(nsboot_lb_config_reloads_total{result="failure"})", 0},
                                                 {"nsboot_lb_config_last_reload_successful", 1},
                                             });
    for (const auto& [sample, value] : before.samples) {
        if (sample.starts_with("nsboot_lb_") && sample.find("_total{") != sample.npos) {
            EXPECT_GE(after[sample], value) << sample;
        }
    }
    const auto* const timestamp = "nsboot_lb_config_last_reload_success_timestamp_seconds";
    EXPECT_GT(after[timestamp], before[timestamp]);
    reload("nonsense");
    const auto failed = await_samples(daemon, {
                                                  {R"(nsboot_lb_config_reloads_total{result="success"})", 2},
                                                  {R"(nsboot_lb_config_reloads_total{result="failure"})", 1},
                                                  {"nsboot_lb_config_last_reload_successful", 0},
                                              });
    EXPECT_EQ(failed[timestamp], after[timestamp]);
}

TEST_F(MetricsReloadTest, ConnectionsOfAListenerThatIsGoneCountToTheirEnd) {
    Client client{daemon.port("second")};
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    const std::string gauge = R"(nsboot_lb_client_connections{listener="second"})";
    await_samples(daemon, {{gauge, 1}});
    reload(config("", second_server));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Scrape{daemon}[gauge], 1);
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    client.close();
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (Scrape{daemon}.samples.contains(gauge)) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

/// A connection that comes free when its server is not in the configuration any more.
TEST_F(MetricsReloadTest, ConnectionsToAServerThatIsGoneAreNotKept) {
    const Event<> release;
    for (Origin* each : {&origin, &*other}) {
        each->script([release](OriginConnection& connection) {
            connection.receive();
            release.wait();
            connection.send(Origin::ok_answer());
        });
    }
    std::array<Client, 2> clients{daemon.connect(), daemon.connect()};
    for (auto& client : clients) client.send(get("/"));
    other->await_request();
    reload(config(second_listener, ""));
    release.set();
    for (auto& client : clients) EXPECT_EQ(client.response().status(), 200);
    const std::string idle = R"(nsboot_lb_upstream_connections_idle{pool="web",server="s2"})";
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (Scrape{daemon}.samples.contains(idle)) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    other.reset();  // ends every connection that the daemon still has to it
    EXPECT_EQ(clients[0].exchange(get("/")).status(), 200);
    await_samples(daemon, {{R"(nsboot_lb_client_connections{listener="front"})", 2}});
}

}  // namespace
}  // namespace nsboot_lb::test
