/// The admin listener from outside: what it says must move with what happens.
#include <chrono>
#include <filesystem>
#include <signal.h>
#include <string>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "address.hpp"
#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using testing::HasSubstr;

class AdminTest : public SharedProxy<AdminTest> {
  public:
    static constexpr const char* config = R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0", name: front}
pools:
  servers: {servers: [{address: "$origin", name: s1}]}
routes:
  - {name: own, match: {path: /own}, respond: {status: 204}}
  - {name: denied, match: {path: /denied}, respond: {body: x}, deny: [0.0.0.0/0]}
  - {name: all, match: {path_prefix: /all}, pool: servers}
  - {name: counted, match: {path_prefix: /counted}, pool: servers}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    void SetUp() override {
        SharedProxy::SetUp();
        await_quiet();
    }
    static boost::json::value json(std::string_view target) {
        const Message response = daemon().admin_get(target);
        EXPECT_EQ(response.status(), 200) << target;
        EXPECT_THAT(response.field("Content-Type"), HasSubstr("application/json"));
        return boost::json::parse(response.body);
    }
};

TEST_F(AdminTest, MetricsAreThePrometheusText) {
    exchange(get("/all"));
    const Message response = daemon().admin_get("/metrics");
    EXPECT_EQ(response.status(), 200);
    EXPECT_THAT(response.field("Content-Type"), HasSubstr("text/plain"));
    for (const auto* line :
         {"# TYPE nsboot_lb_requests_total counter\n", "# TYPE nsboot_lb_request_duration_seconds histogram\n",
          "# TYPE nsboot_lb_client_connections gauge\n", "# TYPE nsboot_lb_upstream_up gauge\n",
          "# TYPE nsboot_lb_build_info gauge\n", "process_resident_memory_bytes ", "process_open_fds ",
          "process_cpu_seconds_total ", "nsboot_lb_config_last_reload_successful 1"}) {
        EXPECT_THAT(response.body, HasSubstr(line));
    }
}

// An exchange is counted when it has ended, which is after the client has its answer: a route of its own keeps what
// other tests did out of the sums.
TEST_F(AdminTest, RequestsAreCountedByRouteMethodAndCode) {
    for (int i = 0; i < 3; ++i) exchange(get("/counted"));
    origin().answer("HTTP/1.1 422 Unprocessable\r\nContent-Length: 0\r\n\r\n");
    exchange("POST /counted HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");

    const auto* const name = "nsboot_lb_requests_total";
    daemon().await_metric(name, {{"route", "counted"}, {"method", "GET"}, {"code", "2xx"}}, 3);
    daemon().await_metric(name, {{"route", "counted"}, {"method", "POST"}, {"code", "4xx"}}, 1);
    daemon().await_metric(name, {{"route", "counted"}}, 4);
    daemon().await_metric("nsboot_lb_request_duration_seconds_count", {{"route", "counted"}}, 4);
    daemon().await_metric(name, {{"route", "own"}}, 0);
    exchange(get("/own"));
    daemon().await_metric(name, {{"route", "own"}, {"code", "2xx"}}, 1);
}

TEST_F(AdminTest, RejectionsAreCountedByReason) {
    const auto rejected = [](const char* reason) {
        return daemon().metric("nsboot_lb_rejected_total", {{"reason", reason}});
    };
    const double no_route = rejected("no_route");
    const double bad_framing = rejected("bad_framing");
    const double denied = rejected("denied");
    exchange(get("/nowhere"));
    exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n");
    exchange(get("/denied"));
    daemon().await_metric("nsboot_lb_rejected_total", {{"reason", "no_route"}}, no_route + 1);
    daemon().await_metric("nsboot_lb_rejected_total", {{"reason", "bad_framing"}}, bad_framing + 1);
    daemon().await_metric("nsboot_lb_rejected_total", {{"reason", "denied"}}, denied + 1);
}

TEST_F(AdminTest, ConnectionsAndBytesAreCountedByListener) {
    const Labels front{{"listener", "front"}};
    const double total = daemon().metric("nsboot_lb_client_connections_total", front);
    const double received = daemon().metric("nsboot_lb_received_bytes_total", front);
    const double sent = daemon().metric("nsboot_lb_sent_bytes_total", front);
    const std::string request = get("/all");
    double response_size = 0;
    {
        Client client = connect();
        response_size = static_cast<double>(client.exchange(request).raw.size());
        daemon().await_metric("nsboot_lb_client_connections", front, 1);
    }
    daemon().await_metric("nsboot_lb_client_connections", front, 0);
    daemon().await_metric("nsboot_lb_client_connections_total", front, total + 1);
    daemon().await_metric("nsboot_lb_received_bytes_total", front, received + static_cast<double>(request.size()));
    daemon().await_metric("nsboot_lb_sent_bytes_total", front, sent + response_size);
}

TEST_F(AdminTest, FailuresOfServersAreCountedByReason) {
    const Labels labels{{"pool", "servers"}, {"server", "s1"}};
    const double before = daemon().metric("nsboot_lb_upstream_failures_total", labels);
    origin().answer("this is not HTTP\r\n\r\n");
    exchange("POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    daemon().await_metric("nsboot_lb_upstream_failures_total", labels, before + 1);
}

TEST_F(AdminTest, HealthAndReadiness) {
    EXPECT_EQ(daemon().admin_get("/healthz").status(), 200);
    EXPECT_EQ(daemon().admin_get("/readyz").status(), 200);
}

TEST_F(AdminTest, StatusShowsThePartsOfTheDaemon) {
    exchange(get("/all"));
    const auto status = json("/api/v1/status").as_object();
    EXPECT_THAT(boost::json::serialize(status), HasSubstr("\"front\""));
    EXPECT_THAT(boost::json::serialize(status), HasSubstr(origin().address()));
    ASSERT_TRUE(status.contains("pools"));
    ASSERT_TRUE(status.contains("version"));
}

TEST_F(AdminTest, PoolsShowTheirServers) {
    const std::string text = boost::json::serialize(json("/api/v1/pools"));
    EXPECT_THAT(text, HasSubstr("\"name\":\"servers\""));
    EXPECT_THAT(text, HasSubstr("\"name\":\"s1\""));
    EXPECT_THAT(text, HasSubstr("\"address\":\"" + origin().address() + "\""));
}

TEST_F(AdminTest, WhatDoesNotExistIsNotFound) {
    EXPECT_EQ(daemon().admin_get("/nothing").status(), 404);
    EXPECT_EQ(daemon().admin_get("/api/v1/nothing").status(), 404);
}

TEST(AdminReadiness, NeedsAServerInEveryPool) {
    const Origin origin;
    const Daemon daemon{R"(
listeners: [{address: "127.0.0.1:0"}]
pools:
  good: {servers: ["$origin"]}
  idle: {servers: [{address: "$origin", weight: 0}]}
routes: [{match: {path: /a}, pool: good}, {pool: idle}]
admin: {address: "127.0.0.1:0"}
)",
                        {{"$origin", origin.address()}}};
    EXPECT_EQ(daemon.admin_get("/readyz").status(), 503);
    EXPECT_EQ(daemon.admin_get("/healthz").status(), 200);
}

TEST(AdminAccess, IsForThoseOnTheListAlone) {
    const Origin origin;
    const Daemon daemon{R"(
listeners: [{address: "127.0.0.1:0"}]
pools: {p: {servers: ["$origin"]}}
routes: [{pool: p}]
admin: {address: "127.0.0.1:0", allow: [127.0.0.9]}
)",
                        {{"$origin", origin.address()}}};
    const Message refused = daemon.admin_get("/metrics");
    EXPECT_TRUE(refused.status() == 403 || refused.status() == 0) << testing::PrintToString(refused);
    EXPECT_EQ(refused.body.find("nsboot_lb_"), std::string::npos);
}

TEST(AdminAddress, MayBeAUnixSocket) {
    const Origin origin;
    const Daemon daemon{R"(
listeners: [{address: "127.0.0.1:0"}]
pools: {p: {servers: ["$origin"]}}
routes: [{pool: p}]
admin: {address: "unix:$dir/admin.sock"}
)",
                        {{"$origin", origin.address()}}};
    Client client{(daemon.directory() / "admin.sock").string()};
    EXPECT_EQ(client.exchange(get("/healthz")).status(), 200);
}

/// A reload that moves the admin listener: with everything else, or not at all.
class AdminReload : public testing::Test {
  protected:
    static std::string config(const std::string& version, const std::string& admin, const std::string& listeners = "") {
        return substitute(R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: front}
$listenerspools: {servers: {servers: ["127.0.0.1:81"]}}
routes:
  - {name: version, match: {path: /}, respond: {body: $version}}
  - {pool: servers}
admin: {address: "$admin"}
)",
                          {{"$version", version}, {"$admin", admin}, {"$listeners", listeners}});
    }
    std::string version() const { return daemon_.connect().exchange(get("/")).body; }
    /// A worker may serve one more request by the old configuration when the reload has been answered.
    void await_version(const std::string& wanted) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (version() != wanted) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
    std::filesystem::path file(const std::string& name) const { return daemon_.directory() / name; }
    void expect_old_configuration() const {
        EXPECT_EQ(version(), "one");
        EXPECT_EQ(daemon_.metric("nsboot_lb_config_last_reload_successful"), 0);
        EXPECT_THAT(daemon_.admin_get("/api/v1/config").body, HasSubstr("body: one"));
    }

    Daemon daemon_{config("one", "127.0.0.1:0")};
};

TEST_F(AdminReload, IsRefusedWholeIfTheAddressIsTaken) {
    const Origin taken;
    const auto before = daemon_.log_position();
    daemon_.rewrite_config(config("two", taken.address(), "  - {address: \"unix:$dir/new.sock\", name: new}\n"));
    const Message refused = daemon_.admin_post("/api/v1/reload");
    EXPECT_EQ(refused.status(), 422);
    const auto body = boost::json::parse(refused.body).as_object();
    EXPECT_FALSE(body.at("successful").as_bool());
    ASSERT_EQ(body.at("problems").as_array().size(), 1U) << refused.body;
    EXPECT_THAT(std::string{body.at("problems").as_array()[0].as_string()},
                HasSubstr("admin: cannot listen on " + taken.address()));
    EXPECT_TRUE(body.at("changes").as_array().empty());
    EXPECT_FALSE(std::filesystem::exists(file("new.sock")));
    expect_old_configuration();

    daemon_.await_log("configuration refused", before);
    const auto again = daemon_.log_position();
    daemon_.signal(SIGHUP);
    daemon_.await_log(taken.address(), again);
    daemon_.await_log("configuration refused", again);
    expect_old_configuration();
}

TEST_F(AdminReload, LeavesNothingBehindIfAListenerCannotBeHad) {
    const Origin taken;
    daemon_.rewrite_config(
        config("two", "unix:$dir/admin.sock", "  - {address: \"" + taken.address() + "\", name: taken}\n"));
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 422);
    EXPECT_FALSE(std::filesystem::exists(file("admin.sock")));
    expect_old_configuration();
}

TEST_F(AdminReload, MovesToAnotherAddressOrGoes) {
    const auto before = daemon_.log_position();
    daemon_.rewrite_config(config("two", "unix:$dir/admin.sock"));
    const Message moved = daemon_.admin_post("/api/v1/reload");
    EXPECT_EQ(moved.status(), 200);
    EXPECT_THAT(daemon_.await_log("admin listening on", before), HasSubstr("unix:" + file("admin.sock").string()));
    {
        Client client{file("admin.sock").string()};
        EXPECT_EQ(client.exchange(get("/healthz")).status(), 200);
    }
    await_version("two");
    EXPECT_THROW(daemon_.admin_get("/healthz"), Failure);

    // No admin listener at all is a wish like any other.
    Client client{file("admin.sock").string()};
    daemon_.rewrite_config(substitute(config("three", ""), {{"admin: {address: \"\"}\n", ""}}));
    EXPECT_EQ(client.exchange("POST /api/v1/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status(), 200);
    await_version("three");
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_FALSE(std::filesystem::exists(file("admin.sock")));
}

}  // namespace
}  // namespace nsboot_lb::test
