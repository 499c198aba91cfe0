/// Every metric of the contract with the value that it has to have after what was done. Each test has routes and pools
/// of its own, so that the others' traffic is not in its sums.
#include <chrono>
#include <memory>
#include <ranges>
#include <vector>

#include <gmock/gmock.h>

#include "address.hpp"
#include "scrape.hpp"
#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class MetricsTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        origin_ = std::make_unique<Origin>();
        refusing_ = std::make_unique<RefusingAddress>();
        daemon_ = std::make_unique<Daemon>(
            R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0", name: front}
  - {address: "127.0.0.1:0", name: quiet}
pools:
  plain: {servers: [{address: "$origin", name: s1, weight: 3}]}
  failing:
    servers: [{address: "$refusing", name: gone}, {address: "$origin", name: backup, backup: true}]
    passive_health: {max_fails: 0}
  spent:
    servers: [{address: "$origin", name: one}, {address: "$origin", name: two}]
    passive_health: {max_fails: 0}
    retries: {attempts: 1, budget: 1%}
  narrow:
    servers: [{address: "$origin", name: only, max_connections: 1}]
    queue_size: 7
    timeouts: {queue: 200ms}
  tunnels: {servers: [{address: "$origin", name: ws}]}
  checked:
    servers: [{address: "$origin", name: well}, {address: "$refusing", name: ill}]
    health_check: {type: tcp, interval: 20ms, rise: 1, fall: 1}
  left: {servers: [{address: "$origin", name: s1, weight: 0}]}
routes:
  - {name: own, match: {path: /own}, respond: {status: 204}}
  - {name: plain, match: {path_prefix: /plain}, pool: plain}
  - {name: slow, match: {path_prefix: /slow}, pool: plain}
  - {name: odd, match: {path_prefix: /odd}, pool: plain}
  - {name: large, match: {path_prefix: /large}, pool: plain}
  - {name: failing, match: {path_prefix: /failing}, pool: failing}
  - {name: spent, match: {path_prefix: /spent}, pool: spent}
  - {name: narrow, match: {path_prefix: /narrow}, pool: narrow}
  - {name: tunnels, match: {path_prefix: /tunnels}, pool: tunnels}
  - {name: checked, match: {path_prefix: /checked}, pool: checked}
  - {name: left, match: {path_prefix: /left}, pool: left}
  - {name: denied, match: {path_prefix: /denied}, pool: plain, deny: [0.0.0.0/0]}
limits: {connections: 1000}
admin: {address: "127.0.0.1:0"}
)",
            Substitutions{{"$origin", origin_->address()}, {"$refusing", refusing_->text()}});
    }
    static void TearDownTestSuite() {
        daemon_.reset();
        refusing_.reset();
        origin_.reset();
    }
    void SetUp() override {
        origin().start_over();
        // Whatever earlier tests did is in the counters then.
        daemon().await_metric("nsboot_lb_client_connections", {}, 0);
    }
    void TearDown() override {
        for (const auto& failure : origin().failures()) ADD_FAILURE() << "in the origin's script: " << failure;
    }

    static Origin& origin() { return *origin_; }
    static Daemon& daemon() { return *daemon_; }
    static Message exchange(std::string_view request) { return daemon().connect().exchange(request); }

  private:
    static inline std::unique_ptr<Origin> origin_;
    static inline std::unique_ptr<RefusingAddress> refusing_;
    static inline std::unique_ptr<Daemon> daemon_;
};

TEST_F(MetricsTest, RequestsAndConnectionsOfAServer) {
    Client client = daemon().connect();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(client.exchange(get("/plain")).status(), 200);
    origin().answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(client.exchange("HEAD /plain HTTP/1.1\r\nHost: a\r\n\r\n").status(), 404);
    const auto scrape =
        await_samples(daemon(), {
                                    {R"(nsboot_lb_requests_total{route="plain",method="GET",code="2xx"})", 3},
                                    {R"(nsboot_lb_requests_total{route="plain",method="GET",code="5xx"})", 0},
                                    {R"(nsboot_lb_requests_total{route="plain",method="HEAD",code="4xx"})", 1},
                                    {R"(nsboot_lb_request_duration_seconds_count{route="plain"})", 4},
                                    {R"(nsboot_lb_request_duration_seconds_bucket{route="plain",le="+Inf"})", 4},
                                });
    // The pool is shared with the tests of /slow, /large and /odd.
    const std::string s1 = R"({pool="plain",server="s1")";
    const double opened = scrape["nsboot_lb_upstream_connections_opened_total" + s1 + "}"];
    EXPECT_GE(opened, 1);
    EXPECT_GE(scrape["nsboot_lb_upstream_connections_reused_total" + s1 + "}"], 3);
    EXPECT_EQ(scrape["nsboot_lb_upstream_connect_duration_seconds_count" + s1 + "}"], opened);
    EXPECT_EQ(scrape["nsboot_lb_upstream_connections_active" + s1 + "}"], 0);
    EXPECT_GE(scrape["nsboot_lb_upstream_connections_idle" + s1 + "}"], 1);
    EXPECT_GE(scrape["nsboot_lb_upstream_requests_total" + s1 + R"(,code="2xx"})"], 3);
    EXPECT_EQ(scrape["nsboot_lb_upstream_requests_total" + s1 + R"(,code="4xx"})"], 1);
    EXPECT_EQ(scrape["nsboot_lb_upstream_weight" + s1 + "}"], 3);
    EXPECT_EQ(scrape["nsboot_lb_upstream_up" + s1 + "}"], 1);
    EXPECT_EQ(scrape["nsboot_lb_upstream_draining" + s1 + "}"], 0);
    EXPECT_EQ(scrape[R"(nsboot_lb_pool_available{pool="plain"})"], 1);
}

TEST_F(MetricsTest, DurationsFallIntoTheirBuckets) {
    const Event<> release;
    origin().script([release](OriginConnection& connection) {
        connection.receive();
        release.wait();
        connection.send(Origin::ok_answer());
    });
    Client client = daemon().connect();
    client.send(get("/slow"));
    origin().await_request();
    const double active = daemon().metric("nsboot_lb_upstream_connections_active", {{"pool", "plain"}});
    EXPECT_EQ(active, 1);
    const auto began = std::chrono::steady_clock::now();
    EXPECT_FALSE(client.readable_within(60ms));
    release.set();
    EXPECT_EQ(client.response().status(), 200);
    const std::chrono::duration<double> at_most = std::chrono::steady_clock::now() - began + 1s;
    const auto scrape = await_samples(daemon(), {{R"(nsboot_lb_request_duration_seconds_count{route="slow"})", 1}});
    EXPECT_GE(scrape[R"(nsboot_lb_request_duration_seconds_sum{route="slow"})"], 0.06);
    EXPECT_LT(scrape[R"(nsboot_lb_request_duration_seconds_sum{route="slow"})"], at_most.count());
    EXPECT_EQ(scrape[R"(nsboot_lb_request_duration_seconds_bucket{route="slow",le="0.05"})"], 0);
    EXPECT_EQ(scrape[R"(nsboot_lb_request_duration_seconds_bucket{route="slow",le="60"})"], 1);
    const std::string s1 = R"({pool="plain",server="s1"})";
    EXPECT_GE(scrape["nsboot_lb_upstream_duration_seconds_sum" + s1], 0.06);

    std::vector<double> bounds;
    for (const auto& sample : scrape.samples | std::views::keys) {
        static constexpr std::string_view mark =
            R"(nsboot_lb_upstream_duration_seconds_bucket{pool="plain",server="s1",le=")";
        if (sample.starts_with(mark)) bounds.push_back(std::stod(sample.substr(mark.size())));
    }
    std::ranges::sort(bounds);
    ASSERT_GE(bounds.size(), 10U);
    EXPECT_EQ(bounds.front(), 0.0005);
    EXPECT_EQ(*(bounds.end() - 2), 60);
    EXPECT_TRUE(std::isinf(bounds.back()));
}

TEST_F(MetricsTest, ConnectionsAndBytesOfAListener) {
    const std::string front = R"({listener="front"})";
    const std::string quiet = R"({listener="quiet"})";
    await_samples(daemon(), {{"nsboot_lb_client_connections" + front, 0}});
    const Scrape before{daemon()};
    const std::string request = get("/own");
    double sent = 0;
    {
        Client one = daemon().connect();
        const Client two = daemon().connect();
        sent = static_cast<double>(one.exchange(request).raw.size());
        await_samples(daemon(), {{"nsboot_lb_client_connections" + front, 2}});
    }
    const double total = before["nsboot_lb_client_connections_total" + front];
    const double received = before["nsboot_lb_received_bytes_total" + front];
    await_samples(daemon(),
                  {
                      {"nsboot_lb_client_connections" + front, 0},
                      {"nsboot_lb_client_connections_total" + front, total + 2},
                      {"nsboot_lb_received_bytes_total" + front, received + static_cast<double>(request.size())},
                      {"nsboot_lb_sent_bytes_total" + front, before["nsboot_lb_sent_bytes_total" + front] + sent},
                      {"nsboot_lb_client_connections" + quiet, 0},
                      {"nsboot_lb_client_connections_total" + quiet, 0},
                      {"nsboot_lb_received_bytes_total" + quiet, 0},
                      {"nsboot_lb_sent_bytes_total" + quiet, 0},
                      {"nsboot_lb_client_connections_limit", 1000},
                  });
}

TEST_F(MetricsTest, BytesCountWhileTheyMove) {
    constexpr std::size_t half = 400'000;
    const Event<> release;
    origin().script([release](OriginConnection& connection) {
        connection.receive_head();
        connection.receive_exactly(half);
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(2 * half) + "\r\n\r\n" +
                        std::string(half, 'x'));
        release.wait();
        connection.receive_exactly(half);
        connection.send(std::string(half, 'x'));
    });
    const Labels front{{"listener", "front"}};
    const double sent = daemon().metric("nsboot_lb_sent_bytes_total", front);
    const double received = daemon().metric("nsboot_lb_received_bytes_total", front);
    Client client = daemon().connect();
    const std::string head =
        "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(2 * half) + "\r\n\r\n";
    client.send(head + std::string(half, 'x'));
    const auto response = client.response_head();
    client.receive_exactly(half);
    daemon().await_metric("nsboot_lb_sent_bytes_total", front, sent + half);
    daemon().await_metric("nsboot_lb_received_bytes_total", front, received + half);
    daemon().await_metric("nsboot_lb_requests_total", {{"route", "large"}}, 0);
    release.set();
    client.send(std::string(half, 'x'));
    client.receive_exactly(half);
    daemon().await_metric("nsboot_lb_requests_total", {{"route", "large"}, {"method", "POST"}, {"code", "2xx"}}, 1);
    daemon().await_metric("nsboot_lb_sent_bytes_total", front,
                          sent + 2 * half + static_cast<double>(response.head.size()));
    daemon().await_metric("nsboot_lb_received_bytes_total", front,
                          received + 2 * half + static_cast<double>(head.size()));
}

TEST_F(MetricsTest, RejectionsByReason) {
    const Scrape before{daemon()};
    const auto one_more = [&](const char* reason) {
        const std::string sample = std::string{"nsboot_lb_rejected_total{reason=\""} + reason + "\"}";
        return std::pair{sample, before[sample] + 1};
    };
    EXPECT_EQ(exchange(get("/nowhere")).status(), 404);
    EXPECT_EQ(exchange(get("/denied")).status(), 403);
    EXPECT_EQ(exchange("GET / HTTP/1.1\r\n\r\n").status(), 400);
    EXPECT_EQ(exchange("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 405);
    await_samples(daemon(),
                  {one_more("no_route"), one_more("denied"), one_more("bad_host"), one_more("method_refused")});
}

TEST_F(MetricsTest, FailuresAndRetries) {
    // More than the ten that any pool may retry: where no server was reached, the budget is not asked.
    for (int i = 0; i < 30; ++i) EXPECT_EQ(exchange(get("/failing")).status(), 200);
    await_samples(
        daemon(),
        {
            {R"(nsboot_lb_requests_total{route="failing",method="GET",code="2xx"})", 30},
            {R"(nsboot_lb_upstream_failures_total{pool="failing",server="gone",reason="connect_refused"})", 30},
            {R"(nsboot_lb_upstream_failures_total{pool="failing",server="gone",reason="connect_timeout"})", 0},
            {R"(nsboot_lb_upstream_requests_total{pool="failing",server="gone",code="2xx"})", 0},
            {R"(nsboot_lb_upstream_requests_total{pool="failing",server="backup",code="2xx"})", 30},
            {R"(nsboot_lb_upstream_connections_opened_total{pool="failing",server="gone"})", 0},
            {R"(nsboot_lb_upstream_retries_total{pool="failing"})", 30},
            {R"(nsboot_lb_upstream_retries_refused_total{pool="failing"})", 0},
        });
}

TEST_F(MetricsTest, RetriesThatTheBudgetDoesNotAllow) {
    origin().answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    // Ten retries are free.
    for (int i = 0; i < 12; ++i) EXPECT_EQ(exchange(get("/spent")).status(), 503);
    await_samples(daemon(), {
                                {R"(nsboot_lb_upstream_retries_total{pool="spent"})", 10},
                                {R"(nsboot_lb_upstream_retries_refused_total{pool="spent"})", 2},
                                {R"(nsboot_lb_requests_total{route="spent",method="GET",code="5xx"})", 12},
                            });
    EXPECT_EQ(daemon().metric("nsboot_lb_upstream_requests_total", {{"pool", "spent"}, {"code", "5xx"}}), 22);
}

TEST_F(MetricsTest, TheQueueOfAPool) {
    const double timeouts = daemon().metric("nsboot_lb_rejected_total", {{"reason", "queue_timeout"}});
    const Event<> release;
    origin().script([release](OriginConnection& connection) {
        connection.receive();
        release.wait();
        connection.send(Origin::ok_answer());
    });
    Client served = daemon().connect();
    served.send(get("/narrow"));
    origin().await_request();
    Client waiting = daemon().connect();
    waiting.send(get("/narrow"));
    await_samples(daemon(),
                  {{R"(nsboot_lb_queue_length{pool="narrow"})", 1}, {R"(nsboot_lb_queue_limit{pool="narrow"})", 7}});
    EXPECT_EQ(waiting.response().status(), 503);
    release.set();
    EXPECT_EQ(served.response().status(), 200);
    await_samples(daemon(), {
                                {R"(nsboot_lb_queue_length{pool="narrow"})", 0},
                                {R"(nsboot_lb_queue_timeouts_total{pool="narrow"})", 1},
                                {R"(nsboot_lb_rejected_total{reason="queue_timeout"})", timeouts + 1},
                            });
}

TEST_F(MetricsTest, ATunnelIsMeasuredUpToItsBeginning) {
    const Event<> release;
    origin().script([release](OriginConnection& connection) {
        connection.receive();
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
        connection.receive_exactly(1000);
        release.wait();
        connection.close();
    });
    const Labels front{{"listener", "front"}};
    Client client = daemon().connect();
    const std::string handshake =
        "GET /tunnels HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    EXPECT_EQ(client.exchange(handshake).status(), 101);
    await_samples(daemon(), {
                                {R"(nsboot_lb_tunnels_active{pool="tunnels"})", 1},
                                {R"(nsboot_lb_upstream_connections_active{pool="tunnels",server="ws"})", 1},
                                {R"(nsboot_lb_upstream_requests_total{pool="tunnels",server="ws",code="1xx"})", 1},
                                {R"(nsboot_lb_upstream_duration_seconds_count{pool="tunnels",server="ws"})", 1},
                            });
    const double received = daemon().metric("nsboot_lb_received_bytes_total", front);
    client.send(std::string(1000, 'x'));
    daemon().await_metric("nsboot_lb_received_bytes_total", front, received + 1000);
    EXPECT_FALSE(client.readable_within(sanitized ? 1000ms : 300ms));
    release.set();
    EXPECT_EQ(client.await_end(), End::closed);
    client.close();
    const auto scrape =
        await_samples(daemon(), {
                                    {R"(nsboot_lb_tunnels_active{pool="tunnels"})", 0},
                                    {R"(nsboot_lb_requests_total{route="tunnels",method="GET",code="1xx"})", 1},
                                    {R"(nsboot_lb_request_duration_seconds_count{route="tunnels"})", 1},
                                });
    EXPECT_LT(scrape[R"(nsboot_lb_request_duration_seconds_sum{route="tunnels"})"], sanitized ? 1.0 : 0.3);
}

TEST_F(MetricsTest, HealthAndStateOfServers) {
    await_samples(daemon(), {
                                {R"(nsboot_lb_upstream_up{pool="checked",server="well"})", 1},
                                {R"(nsboot_lb_upstream_up{pool="checked",server="ill"})", 0},
                                {R"(nsboot_lb_pool_available{pool="checked"})", 1},
                            });
    const Scrape scrape{daemon()};
    EXPECT_GE(scrape[R"(nsboot_lb_health_checks_total{pool="checked",server="ill",result="failure"})"], 1);
    EXPECT_EQ(scrape[R"(nsboot_lb_health_checks_total{pool="checked",server="ill",result="success"})"], 0);
    const std::string passed = R"(nsboot_lb_health_checks_total{pool="checked",server="well",result="success"})";
    EXPECT_EQ(scrape[R"(nsboot_lb_health_checks_total{pool="checked",server="well",result="failure"})"], 0);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (Scrape{daemon()}[passed] < scrape[passed] + 3) ASSERT_LT(std::chrono::steady_clock::now(), deadline);

    EXPECT_EQ(exchange(get("/left")).status(), 503);
    EXPECT_EQ(scrape[R"(nsboot_lb_upstream_draining{pool="left",server="s1"})"], 1);
    EXPECT_EQ(scrape[R"(nsboot_lb_upstream_weight{pool="left",server="s1"})"], 0);
    EXPECT_EQ(scrape[R"(nsboot_lb_pool_available{pool="left"})"], 0);
    await_samples(daemon(), {{R"(nsboot_lb_requests_total{route="left",method="GET",code="5xx"})", 1}});
}

/// Name, type and labels as the contract has them. TLS, caches and rate limits are refused by name in this version.
struct Family {
    const char* name;
    const char* type;
    std::set<std::string> labels;
};
const std::vector<Family> contract{
    {"requests_total", "counter", {"route", "method", "code"}},
    {"request_duration_seconds", "histogram", {"route"}},
    {"client_connections", "gauge", {"listener"}},
    {"client_connections_total", "counter", {"listener"}},
    {"received_bytes_total", "counter", {"listener"}},
    {"sent_bytes_total", "counter", {"listener"}},
    {"rejected_total", "counter", {"reason"}},
    {"upstream_requests_total", "counter", {"pool", "server", "code"}},
    {"upstream_duration_seconds", "histogram", {"pool", "server"}},
    {"upstream_connect_duration_seconds", "histogram", {"pool", "server"}},
    {"upstream_connections_active", "gauge", {"pool", "server"}},
    {"upstream_connections_idle", "gauge", {"pool", "server"}},
    {"upstream_connections_opened_total", "counter", {"pool", "server"}},
    {"upstream_connections_reused_total", "counter", {"pool", "server"}},
    {"upstream_failures_total", "counter", {"pool", "server", "reason"}},
    {"upstream_retries_total", "counter", {"pool"}},
    {"upstream_up", "gauge", {"pool", "server"}},
    {"upstream_draining", "gauge", {"pool", "server"}},
    {"upstream_weight", "gauge", {"pool", "server"}},
    {"health_checks_total", "counter", {"pool", "server", "result"}},
    {"queue_length", "gauge", {"pool"}},
    {"queue_timeouts_total", "counter", {"pool"}},
    {"tunnels_active", "gauge", {"pool"}},
    {"config_reloads_total", "counter", {"result"}},
    {"config_last_reload_success_timestamp_seconds", "gauge", {}},
    {"config_last_reload_successful", "gauge", {}},
    {"build_info", "gauge", {"version", "compiler"}},
};

TEST_F(MetricsTest, AllOfTheContractAreThereWithTheirTypesAndLabels) {
    const Scrape scrape{daemon()};
    for (const auto& [name, type, labels] : contract) {
        SCOPED_TRACE(name);
        const std::string family = std::string{"nsboot_lb_"} + name;
        const bool is_histogram = std::string_view{type} == "histogram";
        ASSERT_TRUE(scrape.types.contains(family));
        EXPECT_EQ(scrape.types.at(family), type);
        int seen = 0;
        for (const auto& sample : scrape.samples | std::views::keys) {
            const auto sample_name = sample.substr(0, sample.find('{'));
            auto expected = labels;
            if (is_histogram && sample_name == family + "_bucket") {
                expected.insert("le");
            } else if (sample_name != family &&
                       !(is_histogram && (sample_name == family + "_sum" || sample_name == family + "_count"))) {
                continue;
            }
            ++seen;
            EXPECT_EQ(label_names(sample), expected) << sample;
        }
        EXPECT_GT(seen, 0);
    }
    for (const char* name :
         {"process_cpu_seconds_total", "process_open_fds", "process_max_fds", "process_resident_memory_bytes",
          "process_virtual_memory_bytes", "process_start_time_seconds", "process_threads"}) {
        EXPECT_GT(scrape[name], 0) << name;
    }
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    EXPECT_NEAR(scrape["process_start_time_seconds"], now, 600);
    EXPECT_NEAR(scrape["nsboot_lb_config_last_reload_success_timestamp_seconds"], now, 600);
    EXPECT_EQ(scrape["nsboot_lb_config_last_reload_successful"], 1);
    EXPECT_EQ(scrape[R"(nsboot_lb_config_reloads_total{result="success"})"], 1);
}

TEST_F(MetricsTest, HostileRequestsMakeNoSeries) {
    const auto visit = [](std::string_view mark, int number) {
        const std::string name{std::string{mark} + std::to_string(number)};
        Client client = daemon().connect();
        EXPECT_EQ(client
                      .exchange("X" + name + " /odd/" + name + " HTTP/1.1\r\nHost: " + name + ".example\r\nX-" + name +
                                ": " + name + "\r\n\r\n")
                      .status(),
                  200);
        EXPECT_EQ(client.exchange("GET /" + name + " HTTP/1.1\r\nHost: " + name + ".example\r\n\r\n").status(), 404);
        EXPECT_EQ(client.exchange("G\"" + name + "{} / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 400);
    };
    const std::string other = R"(nsboot_lb_requests_total{route="odd",method="other",code="2xx"})";
    const std::string refused = R"(nsboot_lb_requests_total{route="none",method="other",code="4xx"})";
    const double earlier =
        daemon().metric("nsboot_lb_requests_total", {{"route", "none"}, {"method", "other"}, {"code", "4xx"}});
    visit("first", 0);
    const auto before = await_samples(daemon(), {{other, 1}, {refused, earlier + 1}});
    for (int number = 0; number < 200; ++number) visit("hostile", number);
    const auto after = await_samples(daemon(), {{other, 201}, {refused, before[refused] + 200}});
    EXPECT_EQ(after.samples.size(), before.samples.size());
    for (const auto& sample : after.samples | std::views::keys) EXPECT_THAT(sample, Not(HasSubstr("hostile")));
}

}  // namespace
}  // namespace nsboot_lb::test
