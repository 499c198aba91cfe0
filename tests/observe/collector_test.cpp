#include "nsboot_lb/observe/collector.hpp"

#include <fcntl.h>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsboot_lb/observe/access_log.hpp"

namespace nsboot_lb::observe {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

std::string scrape(Statistics& statistics) {
    MetricFamilies families;
    collect_statistics(statistics.view(std::chrono::steady_clock::now()), families);
    collect_logs(4, 5, families);
    collect_process(families);
    return to_text(families);
}

/// The value of the sample that has exactly this name and these labels.
double sample(const std::string& text, const std::string& name) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(name + " ")) return std::stod(line.substr(name.size() + 1));
    }
    ADD_FAILURE() << "no sample " << name;
    return -1;
}

TEST(Collector, sums_what_the_workers_counted) {
    Statistics statistics(2);
    const auto route = statistics.route("images");
    route->at(0).finished(Method::get, 200, 3ms);
    route->at(1).finished(Method::get, 206, 70s);
    route->at(1).finished(Method::head, 404, 400us);
    const std::string text = scrape(statistics);
    EXPECT_EQ(sample(text, R"(nsboot_lb_requests_total{route="images",method="GET",code="2xx"})"), 2);
    EXPECT_EQ(sample(text, R"(nsboot_lb_requests_total{route="images",method="HEAD",code="4xx"})"), 1);
    EXPECT_THAT(text, Not(HasSubstr(R"(method="PUT")")));
    EXPECT_EQ(sample(text, R"(nsboot_lb_requests_total{route="images",method="GET",code="5xx"})"), 0);
    EXPECT_THAT(text, Not(HasSubstr(R"(code="none")")));
    EXPECT_EQ(sample(text, R"(nsboot_lb_request_duration_seconds_count{route="images"})"), 3);
    EXPECT_NEAR(sample(text, R"(nsboot_lb_request_duration_seconds_sum{route="images"})"), 70.0034, 1e-9);
    EXPECT_EQ(sample(text, R"(nsboot_lb_request_duration_seconds_bucket{route="images",le="0.0005"})"), 1);
    EXPECT_EQ(sample(text, R"(nsboot_lb_request_duration_seconds_bucket{route="images",le="60"})"), 2);
    EXPECT_EQ(sample(text, R"(nsboot_lb_request_duration_seconds_bucket{route="images",le="+Inf"})"), 3);
}

TEST(Collector, shows_from_the_start_what_will_be_asked_for) {
    Statistics statistics(1);
    const auto route = statistics.route("images");
    const auto server = statistics.server("p", "s");
    const std::string text = scrape(statistics);
    EXPECT_EQ(sample(text, R"(nsboot_lb_requests_total{route="images",method="GET",code="5xx"})"), 0);
    EXPECT_EQ(sample(text, R"(nsboot_lb_upstream_requests_total{pool="p",server="s",code="5xx"})"), 0);
    EXPECT_EQ(sample(text, R"(nsboot_lb_upstream_failures_total{pool="p",server="s",reason="connect_refused"})"), 0);
}

TEST(Collector, has_the_names_labels_and_types_of_the_contract) {
    Statistics statistics(2);
    const auto route = statistics.route("r");
    const auto listener = statistics.listener("https");
    const auto pool = statistics.pool("p");
    const auto server = statistics.server("p", "s");
    const auto limit = statistics.rate_limit("login");
    const auto checks = statistics.health_checks("p", "s");
    listener->at(0).connections.add(3);
    listener->at(1).connections.sub(1);
    listener->at(1).connections_total.add(9);
    listener->at(0).received_bytes.add(100);
    listener->at(0).sent_bytes.add(200);
    server->at(0).requests[code_class(502)].add();
    server->at(1).duration.observe(2ms);
    server->at(1).connect_duration.observe(1ms);
    server->at(0).connections_active.add(2);
    server->at(0).connections_idle.add(4);
    server->at(0).opened.add(6);
    server->at(1).reused.add(7);
    server->at(1).failures[Reason::connect_refused].add(8);
    pool->at(0).retries.add(10);
    pool->at(0).retries_refused.add(20);
    pool->at(0).queue_length.add(11);
    pool->at(0).queue_timeouts.add(12);
    pool->at(0).tunnels_active.add(13);
    limit->at(1).limited.add(14);
    checks->success.add(15);
    checks->failure.add(16);
    statistics.worker(1).rejected[Reason::bad_host].add(17);
    statistics.config_loaded(true, std::chrono::system_clock::time_point(1000s));
    const std::string text = scrape(statistics);

    const std::map<std::string, double> expected{
        {R"(client_connections{listener="https"})", 2},
        {R"(client_connections_total{listener="https"})", 9},
        {R"(received_bytes_total{listener="https"})", 100},
        {R"(sent_bytes_total{listener="https"})", 200},
        {R"(rejected_total{reason="bad_host"})", 17},
        {R"(upstream_requests_total{pool="p",server="s",code="5xx"})", 1},
        {R"(upstream_requests_total{pool="p",server="s",code="2xx"})", 0},
        {R"(upstream_duration_seconds_count{pool="p",server="s"})", 1},
        {R"(upstream_connect_duration_seconds_count{pool="p",server="s"})", 1},
        {R"(upstream_connections_active{pool="p",server="s"})", 2},
        {R"(upstream_connections_idle{pool="p",server="s"})", 4},
        {R"(upstream_connections_opened_total{pool="p",server="s"})", 6},
        {R"(upstream_connections_reused_total{pool="p",server="s"})", 7},
        {R"(upstream_failures_total{pool="p",server="s",reason="connect_refused"})", 8},
        {R"(upstream_failures_total{pool="p",server="s",reason="upstream_timeout"})", 0},
        {R"(upstream_retries_total{pool="p"})", 10},
        {R"(upstream_retries_refused_total{pool="p"})", 20},
        {R"(queue_length{pool="p"})", 11},
        {R"(queue_timeouts_total{pool="p"})", 12},
        {R"(tunnels_active{pool="p"})", 13},
        {R"(rate_limited_total{limit="login"})", 14},
        {R"(health_checks_total{pool="p",server="s",result="success"})", 15},
        {R"(health_checks_total{pool="p",server="s",result="failure"})", 16},
        {R"(config_reloads_total{result="success"})", 1},
        {R"(config_reloads_total{result="failure"})", 0},
        {R"(config_last_reload_successful)", 1},
        {R"(config_last_reload_success_timestamp_seconds)", 1000},
        {R"(access_log_lost_lines_total)", 4},
        {R"(event_log_lost_lines_total)", 5},
    };
    for (const auto& [name, value] : expected) EXPECT_EQ(sample(text, "nsboot_lb_" + name), value) << name;
    for (const char* type : {"requests_total counter", "request_duration_seconds histogram", "client_connections gauge",
                             "upstream_connections_active gauge", "upstream_failures_total counter",
                             "tunnels_active gauge", "config_last_reload_successful gauge", "build_info gauge"}) {
        EXPECT_THAT(text, HasSubstr("# TYPE nsboot_lb_" + std::string(type) + "\n"));
    }
}

TEST(Collector, forgets_what_no_snapshot_holds) {
    Statistics statistics(1);
    statistics.route("gone")->at(0).finished(Method::get, 200, 1ms);
    EXPECT_THAT(scrape(statistics), Not(HasSubstr("gone")));
}

TEST(Collector, names_from_the_configuration_cannot_break_the_format) {
    Statistics statistics(1);
    const auto pool = statistics.pool("a\"b\\c\nd");
    EXPECT_THAT(scrape(statistics), HasSubstr(R"(queue_length{pool="a\"b\\c\nd"} 0)"));
}

TEST(Collector, every_family_has_a_help_and_a_name_of_its_own) {
    Statistics statistics(1);
    MetricFamilies families;
    collect_statistics(statistics.view(std::chrono::steady_clock::now()), families);
    collect_logs(0, 0, families);
    collect_process(families);
    std::set<std::string> names;
    for (const auto& family : families) {
        EXPECT_FALSE(family.help.empty()) << family.name;
        EXPECT_TRUE(names.insert(family.name).second) << family.name << " twice";
        EXPECT_TRUE(family.name.starts_with("nsboot_lb_") || family.name.starts_with("process_")) << family.name;
    }
}

TEST(Collector, tells_of_the_process_what_is_true) {
    wait_for_access_logs();  // of other tests: their descriptors are closed by threads that end by themselves
    Statistics statistics(1);
    const std::string text = scrape(statistics);
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(sample(text, "process_max_fds"), static_cast<double>(limit.rlim_cur));
    EXPECT_GE(sample(text, "process_threads"), 1);
    EXPECT_GT(sample(text, "process_resident_memory_bytes"), 1e6);
    EXPECT_GT(sample(text, "process_virtual_memory_bytes"), sample(text, "process_resident_memory_bytes"));
    const double spent = sample(text, "process_cpu_seconds_total");
    EXPECT_GT(spent, 0);
    EXPECT_GT(sample(scrape(statistics), "process_cpu_seconds_total"), spent) << "that of a scrape is seen";
    const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    EXPECT_NEAR(sample(text, "process_start_time_seconds"), now, 600);

    const double before = sample(text, "process_open_fds");
    const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(descriptor, 0);
    EXPECT_EQ(sample(scrape(statistics), "process_open_fds"), before + 1);
    ::close(descriptor);
}

}  // namespace
}  // namespace nsboot_lb::observe
