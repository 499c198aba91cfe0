#include "api.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <unistd.h>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dashboard.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::admin {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A daemon of one pool that remembers what was asked of it.
class ApiTest : public testing::Test {
  protected:
    using Change = std::tuple<std::string, std::string, std::optional<ServerState>, std::optional<std::uint32_t>>;

    ApiTest() {
        PoolStatus pool{.name = "nsboot", .balance = "least-conn", .available = true, .queue_limit = 1024};
        pool.servers.push_back({.pool = "nsboot", .name = "one", .address = "10.0.0.1:80", .in_flight = 3});
        pool.servers.push_back({.pool = "nsboot",
                                .name = "two",
                                .address = "10.0.0.2:80",
                                .up = false,
                                .standing = "unhealthy",
                                .reason = "status 503",
                                .weight = 2});
        daemon_.pools.push_back(std::move(pool));
        daemon_.version = "1.2.3";
        daemon_.started = std::chrono::system_clock::now() - 90s;
        daemon_.workers = 4;
        daemon_.config_file = "/etc/nsboot-lb/nsboot-lb.yaml";
        daemon_.listeners.push_back({.name = "http", .address = "0.0.0.0:8080", .connections = 7});
    }

    AdminContext context() {
        return {.view = [this] { return view(); },
                .background = background_.get_executor(),
                .draining = [this] { return daemon_.draining; },
                .change_server =
                    [this](std::string_view pool, std::string_view server, const ServerChange& change) {
                        if (pool != "nsboot") return ChangeResult::no_such_pool;
                        if (server == "nobody") return ChangeResult::no_such_server;
                        if (server == "named") return ChangeResult::unresolved;
                        changes_.emplace_back(pool, server, change.state, change.weight);
                        return ChangeResult::changed;
                    },
                .reload = [this]() -> boost::asio::awaitable<ReloadResult> { co_return reload_result_; }};
    }

    View view() {
        return {.status = [this] { return daemon_; },
                .pools = [this] { return daemon_.pools; },
                .config_yaml = [] { return std::string("workers: 4\n"); },
                .metrics =
                    [] {
                        observe::MetricFamilies families;
                        observe::collect_logs(1, 2, families);
                        return families;
                    }};
    }

    ApiResponse ask(std::string_view method, std::string_view target, std::string_view body = "") {
        return handle(api(), {.method = method, .target = target, .host = "lb:8404", .body = body});
    }
    Api api() { return Api(context(), access_); }
    static ApiResponse handle(const Api& api, const ApiRequest& request) {
        boost::asio::io_context loop;
        auto response = boost::asio::co_spawn(loop, api.handle(request), boost::asio::use_future);
        loop.run();
        return response.get();
    }
    static boost::json::value json(const ApiResponse& response) {
        EXPECT_EQ(response.content_type, "application/json");
        return boost::json::parse(response.body);
    }

    Status daemon_;
    ReloadResult reload_result_{.successful = true, .problems = {}};
    std::vector<Change> changes_;
    config::Admin access_ = [] {
        config::Admin access;
        access.hosts = {"lb"};
        return access;
    }();
    boost::asio::thread_pool background_{1};
};

TEST_F(ApiTest, health_is_200_while_serving_and_503_while_draining) {
    EXPECT_EQ(ask("GET", "/healthz").status, 200);
    daemon_.draining = true;
    EXPECT_EQ(ask("GET", "/healthz").status, 503);
}

TEST_F(ApiTest, ready_when_every_pool_has_an_available_server) {
    EXPECT_EQ(ask("GET", "/readyz").status, 200);
    daemon_.pools.push_back({.name = "images"});
    const auto response = ask("GET", "/readyz");
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, "pool images has no available server\n");
}

TEST_F(ApiTest, not_ready_while_draining) {
    daemon_.draining = true;
    EXPECT_EQ(ask("GET", "/readyz").status, 503);
}

TEST_F(ApiTest, status_holds_what_the_dashboard_shows) {
    const auto response = ask("GET", "/api/v1/status");
    EXPECT_EQ(response.status, 200);
    const auto status = json(response).as_object();
    EXPECT_EQ(status.at("version"), "1.2.3");
    EXPECT_EQ(status.at("workers"), 4);
    EXPECT_GE(status.at("uptime_seconds").as_int64(), 90);
    EXPECT_TRUE(status.at("last_reload").is_null());
    EXPECT_EQ(status.at("listeners").at(0).at("address"), "0.0.0.0:8080");
    EXPECT_EQ(status.at("listeners").at(0).at("connections"), 7);
    EXPECT_EQ(status.at("pools").at(0).at("servers").at(1).at("reason"), "status 503");
}

TEST_F(ApiTest, every_field_that_the_dashboard_reads_is_in_the_status) {
    const auto status = json(ask("GET", "/api/v1/status")).as_object();
    const std::string script(dashboard_text(DashboardFile::script));
    const auto check = [&](const boost::json::object& object, const std::string& variable) {
        std::size_t found = 0;
        for (std::size_t at = script.find(variable); at != std::string::npos; at = script.find(variable, at + 1)) {
            if (at > 0 && (std::isalnum(script[at - 1]) != 0 || script[at - 1] == '.')) continue;
            const std::size_t begin = at + variable.size();
            const std::size_t end = script.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", begin);
            EXPECT_TRUE(object.contains(script.substr(begin, end - begin))) << script.substr(at, end - at);
            ++found;
        }
        EXPECT_GT(found, 0U) << variable;
    };
    const auto& pool = status.at("pools").at(0).as_object();
    check(pool, "p.");
    check(pool.at("servers").at(0).as_object(), "server.");
    check(status.at("listeners").at(0).as_object(), "l.");
    check(status.at("totals").as_object(), "s.totals.");
}

TEST_F(ApiTest, times_are_rfc_3339) {
    daemon_.last_reload = std::chrono::sys_days{std::chrono::year{2026} / 1 / 31} + 23h + 5min + 9s + 999ms;
    EXPECT_EQ(json(ask("GET", "/api/v1/status")).at("last_reload"), "2026-01-31T23:05:09Z");
}

TEST_F(ApiTest, pools_show_how_many_are_left_at_a_server) {
    const auto pools = json(ask("GET", "/api/v1/pools")).as_array();
    EXPECT_EQ(pools.at(0).at("name"), "nsboot");
    EXPECT_EQ(pools.at(0).at("servers").at(0).at("in_flight"), 3);
}

TEST_F(ApiTest, config_is_the_effective_one) {
    EXPECT_EQ(json(ask("GET", "/api/v1/config")).at("yaml"), "workers: 4\n");
}

TEST_F(ApiTest, metrics_are_the_counters_and_the_state_of_the_servers) {
    const auto response = ask("GET", "/metrics");
    EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_access_log_lost_lines_total 1\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_upstream_up{pool=\"nsboot\",server=\"one\"} 1\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_upstream_up{pool=\"nsboot\",server=\"two\"} 0\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_pool_available{pool=\"nsboot\"} 1\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_queue_limit{pool=\"nsboot\"} 1024\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_upstream_draining{pool=\"nsboot\",server=\"two\"} 0\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_upstream_weight{pool=\"nsboot\",server=\"two\"} 2\n"));
}

TEST_F(ApiTest, addresses_of_one_name_are_one_series) {
    auto& servers = daemon_.pools[0].servers;
    servers = {{.name = "dns", .address = "10.0.0.1:80", .up = false, .draining = true},
               {.name = "dns", .address = "10.0.0.2:80", .weight = 5}};
    const auto response = ask("GET", "/metrics");
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_upstream_up{pool=\"nsboot\",server=\"dns\"} 1\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_upstream_draining{pool=\"nsboot\",server=\"dns\"} 0\n"));
    EXPECT_THAT(response.body, HasSubstr("nsboot_lb_upstream_weight{pool=\"nsboot\",server=\"dns\"} 5\n"));
    const std::string series = "nsboot_lb_upstream_up{";
    EXPECT_EQ(response.body.find(series), response.body.rfind(series));
}

TEST_F(ApiTest, a_server_is_drained_and_weighed) {
    const auto response = ask("POST", "/api/v1/pools/nsboot/servers/one", R"({"state": "drain", "weight": 0})");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(json(response).at("servers").at(0).at("name"), "one");
    EXPECT_THAT(changes_, ElementsAre(Change{"nsboot", "one", ServerState::drain, 0}));
}

TEST_F(ApiTest, what_is_not_given_stays) {
    ask("POST", "/api/v1/pools/nsboot/servers/one", R"({"weight": 65535})");
    ask("POST", "/api/v1/pools/nsboot/servers/one", R"({"state": "up"})");
    ask("POST", "/api/v1/pools/nsboot/servers/one", R"({"state": "down"})");
    EXPECT_THAT(changes_, ElementsAre(Change{"nsboot", "one", std::nullopt, 65535},
                                      Change{"nsboot", "one", ServerState::up, std::nullopt},
                                      Change{"nsboot", "one", ServerState::down, std::nullopt}));
}

TEST_F(ApiTest, names_in_paths_may_be_percent_coded_or_hold_slashes) {
    ask("POST", "/api/v1/pools/nsb%6Fot/servers/%5B%3A%3A1%5D:80?x=1", R"({"weight": 1})");
    ask("POST", "/api/v1/pools/nsboot/servers/unix:/run/nsboot.sock", R"({"weight": 1})");
    EXPECT_THAT(changes_, ElementsAre(Change{"nsboot", "[::1]:80", std::nullopt, 1},
                                      Change{"nsboot", "unix:/run/nsboot.sock", std::nullopt, 1}));
    EXPECT_EQ(ask("POST", "/api/v1/pools/nsboot/servers/%zz", R"({"weight": 1})").status, 404);
    EXPECT_EQ(ask("POST", "/api/v1/pools/nsboot/servers/%4", R"({"weight": 1})").status, 404);
    EXPECT_EQ(ask("POST", "/api/v1/pools/nsboot/servers/", R"({"weight": 1})").status, 404);
}

TEST_F(ApiTest, a_change_of_nothing_known_is_404_and_says_what_is_missing) {
    auto response = ask("POST", "/api/v1/pools/other/servers/one", R"({"state": "up"})");
    EXPECT_EQ(response.status, 404);
    EXPECT_THAT(response.body, HasSubstr("other"));
    response = ask("POST", "/api/v1/pools/nsboot/servers/nobody", R"({"state": "up"})");
    EXPECT_EQ(response.status, 404);
    EXPECT_THAT(response.body, HasSubstr("nobody"));
    response = ask("POST", "/api/v1/pools/nsboot/servers/named", R"({"state": "up"})");
    EXPECT_EQ(response.status, 409);
    EXPECT_THAT(response.body, HasSubstr("named"));
}

TEST_F(ApiTest, a_malformed_change_is_400_and_changes_nothing) {
    for (const char* body : {"", "nonsense", "[]", "{}", R"({"state": "sideways"})", R"({"state": 1})",
                             R"({"weight": -1})", R"({"weight": 65536})", R"({"weight": 1.5})", R"({"weight": "1"})",
                             R"({"state": "up", "colour": "red"})", R"({"state": "up"} x)"}) {
        const auto response = ask("POST", "/api/v1/pools/nsboot/servers/one", body);
        EXPECT_EQ(response.status, 400) << body;
        EXPECT_TRUE(json(response).as_object().contains("error")) << body;
    }
    EXPECT_THAT(changes_, IsEmpty());
}

TEST_F(ApiTest, reload_answers_with_the_problems) {
    reload_result_ = {.successful = false, .problems = {"a.yaml:3:5: error: unknown key; did you mean \"pools\"?"}};
    const auto response = ask("POST", "/api/v1/reload");
    EXPECT_EQ(response.status, 422);
    EXPECT_EQ(json(response).at("successful"), false);
    EXPECT_EQ(json(response).at("problems").at(0), "a.yaml:3:5: error: unknown key; did you mean \"pools\"?");
    EXPECT_EQ(json(response).at("changes").as_array().size(), 0U);
}

TEST_F(ApiTest, reload_answers_with_what_changed) {
    reload_result_ = {.successful = true,
                      .problems = {},
                      .changes = {"changed key=workers from=1 to=2", "added key=routes.login"},
                      .restart_needed = {"workers"}};
    const auto response = ask("POST", "/api/v1/reload");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(json(response).at("changes"),
              (boost::json::array{"changed key=workers from=1 to=2", "added key=routes.login"}));
    EXPECT_EQ(json(response).at("restart_needed"), boost::json::array{"workers"});
    EXPECT_EQ(json(response).at("problems").as_array().size(), 0U);
}

TEST_F(ApiTest, the_log_level_is_set) {
    const auto before = observe::log::level();
    EXPECT_EQ(ask("PUT", "/api/v1/log-level", R"({"level": "error"})").status, 200);
    EXPECT_EQ(observe::log::level(), observe::log::Level::error);
    for (const char* body : {"", R"({"level": "loud"})", R"({"level": 3})", R"({"level": "info", "x": 1})"}) {
        EXPECT_EQ(ask("PUT", "/api/v1/log-level", body).status, 400) << body;
    }
    EXPECT_EQ(observe::log::level(), observe::log::Level::error);
    observe::log::set_level(before);
}

TEST_F(ApiTest, another_method_is_405_and_says_which_are_allowed) {
    auto response = ask("POST", "/metrics");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.allow, "GET, HEAD");
    response = ask("GET", "/api/v1/reload");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.allow, "POST");
    response = ask("POST", "/api/v1/log-level");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.allow, "PUT");
    EXPECT_EQ(ask("HEAD", "/metrics").status, 200);
}

TEST_F(ApiTest, what_is_not_there_is_404) {
    for (const char* target : {"/nothing", "", "*", "/metrics/", "/api/v1/pools/", "/api/v1/cache/images/purge"}) {
        EXPECT_EQ(ask("POST", target, "{}").status, 404) << target;
    }
}

TEST_F(ApiTest, the_dashboard_takes_nothing_from_elsewhere_and_no_name_for_markup) {
    const auto page = ask("GET", "/?from=bookmark");
    EXPECT_EQ(page.status, 200);
    EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
    const auto script = ask("GET", "/dashboard.js");
    EXPECT_EQ(script.content_type, "text/javascript; charset=utf-8");
    const auto style = ask("GET", "/dashboard.css");
    EXPECT_EQ(style.content_type, "text/css; charset=utf-8");
    for (const auto& text : {page.body, script.body, style.body}) {
        EXPECT_THAT(text, Not(IsEmpty()));
        EXPECT_THAT(text, Not(HasSubstr("://")));
        EXPECT_THAT(text, Not(HasSubstr("innerHTML")));
        EXPECT_THAT(text, Not(HasSubstr("onclick")));
        EXPECT_THAT(text, Not(HasSubstr("style=")));
    }
}

TEST_F(ApiTest, a_page_of_another_site_changes_nothing) {
    const Api api = this->api();
    ApiRequest request{.method = "POST",
                       .target = "/api/v1/pools/nsboot/servers/one",
                       .host = "lb:8404",
                       .origin = "http://evil.example",
                       .body = R"({"state": "down"})"};
    EXPECT_EQ(handle(api, request).status, 403);
    request.origin = "null";
    EXPECT_EQ(handle(api, request).status, 403);
    EXPECT_THAT(changes_, IsEmpty());
    request.origin = "http://lb:8404";
    EXPECT_EQ(handle(api, request).status, 200);
}

TEST_F(ApiTest, what_a_browser_says_of_where_it_comes_from_is_looked_at) {
    ApiRequest request{.method = "POST", .target = "/api/v1/reload", .host = "127.0.0.1:8404"};
    for (const char* site : {"", "same-origin", "none"}) {
        request.fetch_site = site;
        EXPECT_EQ(handle(api(), request).status, 200) << site;
    }
    for (const char* site : {"cross-site", "same-site", "anything"}) {
        request.fetch_site = site;
        EXPECT_EQ(handle(api(), request).status, 403) << site;
    }
    request.method = "GET";
    request.target = "/api/v1/status";
    EXPECT_EQ(handle(api(), request).status, 200) << "reading is not for the other site to see";
}

/// DNS rebinding: a page of evil.example, whose name now stands for this address, is of the same origin.
TEST_F(ApiTest, a_name_that_is_not_its_own_is_taken_for_reading_what_all_may_read) {
    const auto ask_as = [&](std::string_view host, std::string_view method, std::string_view target) {
        const std::string origin = "http://" + std::string(host);
        return handle(api(), {.method = method,
                              .target = target,
                              .host = host,
                              .origin = method == "GET" ? std::string_view{} : origin,
                              .fetch_site = "same-origin",
                              .body = R"({"state": "down"})"})
            .status;
    };
    const std::string server = "/api/v1/pools/nsboot/servers/one";
    for (const char* host : {"evil.example", "evil.example:8404", "", "lb.evil.example", "127.0.0.1.evil.example",
                             "localhost.evil.example", "[::1", "[evil]", "2130706433"}) {
        EXPECT_EQ(ask_as(host, "POST", server), 403) << host;
        EXPECT_EQ(ask_as(host, "POST", "/api/v1/reload"), 403) << host;
        EXPECT_EQ(ask_as(host, "GET", "/api/v1/config"), 403) << host;
        for (const char* open : {"/api/v1/status", "/api/v1/pools", "/metrics", "/healthz", "/readyz", "/"}) {
            EXPECT_EQ(ask_as(host, "GET", open), 200) << host << ' ' << open;
        }
    }
    EXPECT_THAT(changes_, IsEmpty());
    for (const char* host : {"127.0.0.1", "127.0.0.1:8404", "[::1]:8404", "[::1]", "10.0.0.1:8404", "localhost",
                             "LocalHost:8404", "localhost.", "lb", "LB:8404", "lb.:8404"}) {
        EXPECT_EQ(ask_as(host, "POST", server), 200) << host;
        EXPECT_EQ(ask_as(host, "GET", "/api/v1/config"), 200) << host;
    }
}

class ApiTokenTest : public ApiTest {
  protected:
    void SetUp() override {
        access_.token_file = std::filesystem::temp_directory_path() / "nsboot-lb-token-XXXXXX";
        const int descriptor = ::mkstemp(access_.token_file.data());
        ASSERT_GE(descriptor, 0);
        ::close(descriptor);
        write_token("  secret-1 \n");
    }
    void TearDown() override { std::filesystem::remove(access_.token_file); }
    void write_token(std::string_view text) { std::ofstream(access_.token_file, std::ios::trunc) << text; }

    int change_with(std::string_view authorization) {
        return handle(api(), {.method = "POST",
                              .target = "/api/v1/pools/nsboot/servers/one",
                              .host = "elsewhere",
                              .authorization = authorization,
                              .body = R"({"state": "up"})"})
            .status;
    }
};

TEST_F(ApiTokenTest, changes_need_the_token_and_reading_does_not) {
    EXPECT_EQ(change_with("Bearer secret-1"), 200);
    EXPECT_EQ(change_with("bearer   secret-1"), 200);
    for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer secret-2", "Bearer secret-11", "Bearer secret-",
                              "Bearer ssecret-1", "Basic secret-1", "secret-1"}) {
        EXPECT_EQ(change_with(wrong), 401) << wrong;
    }
    EXPECT_TRUE(ask("POST", "/api/v1/reload").authenticate);
    EXPECT_EQ(ask("PUT", "/api/v1/log-level", R"({"level": "off"})").status, 401);
    EXPECT_EQ(ask("GET", "/api/v1/status").status, 200);
    EXPECT_EQ(changes_.size(), 2U);
}

TEST_F(ApiTokenTest, who_has_it_may_come_by_any_name) {
    ApiRequest request{.method = "GET", .target = "/api/v1/config", .host = "elsewhere"};
    EXPECT_EQ(handle(api(), request).status, 403);
    request.authorization = "Bearer secret-2";
    EXPECT_EQ(handle(api(), request).status, 403);
    request.authorization = "Bearer secret-1";
    EXPECT_EQ(handle(api(), request).status, 200);
}

TEST_F(ApiTokenTest, a_new_token_counts_at_once) {
    write_token("secret-2\n");
    EXPECT_EQ(change_with("Bearer secret-1"), 401);
    EXPECT_EQ(change_with("Bearer secret-2"), 200);
}

TEST_F(ApiTokenTest, without_a_readable_token_nothing_changes) {
    write_token("\nsecret\n");
    EXPECT_EQ(change_with("Bearer "), 503);
    std::filesystem::remove(access_.token_file);
    EXPECT_EQ(change_with("Bearer secret-1"), 503);
    EXPECT_THAT(changes_, IsEmpty());
}

TEST(Totals, are_sums_over_routes_methods_and_workers) {
    observe::Statistics statistics(2);
    const auto a = statistics.route("a");
    const auto b = statistics.route("b");
    a->at(0).finished(observe::Method::get, 200, 1ms);
    a->at(1).finished(observe::Method::post, 404, 1ms);
    b->at(1).finished(observe::Method::get, 502, 1ms);
    b->at(1).finished(observe::Method::get, 0, 1ms);
    statistics.worker(0).rejected[observe::Reason::no_route].add(2);
    const Totals totals = totals_of(statistics.view(std::chrono::steady_clock::now()));
    EXPECT_EQ(totals.requests, 4);
    EXPECT_EQ(totals.client_errors, 1);
    EXPECT_EQ(totals.server_errors, 1);
    EXPECT_EQ(totals.rejected, 2);
}

}  // namespace
}  // namespace nsboot_lb::admin
