#include "nsboot_lb/observe/statistics.hpp"

#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace nsboot_lb::observe {
namespace {

using namespace std::chrono_literals;

constexpr Statistics::TimePoint noon{12h};

std::size_t bucket_that_took(std::chrono::nanoseconds duration) {
    Histogram histogram;
    histogram.observe(duration);
    for (std::size_t i = 0; i < Histogram::bucket_count; ++i) {
        if (histogram.bucket(i) == 1) return i;
    }
    return Histogram::bucket_count;
}

TEST(Histogram, bounds_are_inclusive_to_the_nanosecond) {
    for (std::size_t i = 0; i < Histogram::bounds_us.size(); ++i) {
        const std::chrono::nanoseconds bound = std::chrono::microseconds(Histogram::bounds_us[i]);
        EXPECT_EQ(bucket_that_took(bound - 1ns), i);
        EXPECT_EQ(bucket_that_took(bound), i);
        EXPECT_EQ(bucket_that_took(bound + 1ns), i + 1);
    }
}

TEST(Histogram, spans_half_a_millisecond_to_a_minute) {
    EXPECT_EQ(bucket_that_took(0ns), 0);
    EXPECT_EQ(bucket_that_took(500us), 0);
    EXPECT_EQ(bucket_that_took(60s), Histogram::bucket_count - 2);
    EXPECT_EQ(bucket_that_took(61s), Histogram::bucket_count - 1);
}

TEST(Histogram, a_tunnel_of_weeks_does_not_overflow) {
    EXPECT_EQ(bucket_that_took(24h * 365), Histogram::bucket_count - 1);
}

TEST(Histogram, a_clock_that_went_backwards_counts_as_nothing) {
    Histogram histogram;
    histogram.observe(-5s);
    EXPECT_EQ(histogram.bucket(0), 1);
    EXPECT_EQ(histogram.sum(), 0ns);
}

TEST(Histogram, counts_and_sums) {
    Histogram histogram;
    histogram.observe(1ms);
    histogram.observe(2s);
    EXPECT_EQ(histogram.count(), 2);
    EXPECT_EQ(histogram.sum(), 2001ms);
}

TEST(Method, tokens_are_case_sensitive_and_the_unknown_are_one) {
    for (std::size_t i = 0; i + 1 < method_count; ++i) {
        const auto method = static_cast<Method>(i);
        EXPECT_EQ(method_of(to_string(method)), method);
    }
    EXPECT_EQ(method_of("get"), Method::other);
    EXPECT_EQ(method_of("PROPFIND"), Method::other);
    EXPECT_EQ(method_of(""), Method::other);
}

TEST(CodeClass, follows_the_first_digit) {
    EXPECT_EQ(to_string(code_class(101)), "1xx");
    EXPECT_EQ(to_string(code_class(206)), "2xx");
    EXPECT_EQ(to_string(code_class(304)), "3xx");
    EXPECT_EQ(to_string(code_class(499)), "4xx");
    EXPECT_EQ(to_string(code_class(504)), "5xx");
    EXPECT_EQ(to_string(code_class(0)), "none");
    EXPECT_EQ(to_string(code_class(99)), "none");
    EXPECT_EQ(to_string(code_class(600)), "none");
}

TEST(PerWorker, workers_never_share_a_cache_line) {
    PerWorker<ListenerCounters> blocks(3);
    for (unsigned worker = 0; worker < 3; ++worker) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&blocks.at(worker)) % 64, 0);
    }
}

TEST(PerWorker, sums_what_each_worker_counted) {
    PerWorker<ListenerCounters> blocks(3);
    blocks.at(0).received_bytes.add(5);
    blocks.at(2).received_bytes.add(7);
    blocks.at(1).connections.add();
    blocks.at(2).connections.sub();
    EXPECT_EQ(blocks.sum([](const ListenerCounters& l) { return l.received_bytes.value(); }), 12);
    EXPECT_EQ(blocks.sum([](const ListenerCounters& l) { return l.connections.value(); }), 0);
}

TEST(Statistics, a_name_that_a_reload_keeps_keeps_its_counts) {
    Statistics statistics(2);
    auto before = statistics.route("images");
    before->at(1).finished(Method::get, 206, 3ms);
    auto after = statistics.route("images");
    before.reset();
    statistics.set_unused_aside(noon);
    EXPECT_EQ(after->at(1).requests[0][CodeClass::success].value(), 1);
    EXPECT_EQ(statistics.route("images"), after);
}

TEST(Statistics, what_no_snapshot_holds_is_not_shown) {
    Statistics statistics(1);
    const auto kept = statistics.server("nsboot", "a");
    statistics.server("nsboot", "b");
    statistics.route("r");
    statistics.listener("l");
    statistics.pool("nsboot");
    statistics.rate_limit("login");
    statistics.health_checks("nsboot", "b");
    statistics.set_unused_aside(noon);
    ASSERT_EQ(statistics.view(noon).servers.size(), 1);
    EXPECT_EQ(statistics.view(noon).servers.begin()->second, kept);
    EXPECT_TRUE(statistics.view(noon).routes.empty());
    EXPECT_TRUE(statistics.view(noon).listeners.empty());
    EXPECT_TRUE(statistics.view(noon).pools.empty());
    EXPECT_TRUE(statistics.view(noon).rate_limits.empty());
    EXPECT_TRUE(statistics.view(noon).health_checks.empty());
}

TEST(Statistics, a_name_that_comes_back_goes_on_counting) {
    Statistics statistics(2);
    statistics.server("nsboot", "a")->at(1).opened.add(5);
    statistics.server("other", "a")->at(1).opened.add(7);
    statistics.set_unused_aside(noon);
    EXPECT_TRUE(statistics.view(noon).servers.empty());
    statistics.set_unused_aside(noon + Statistics::remembered_for);
    const auto back = statistics.server("nsboot", "a");
    EXPECT_EQ(back->at(1).opened.value(), 5);
    EXPECT_EQ(statistics.view(noon).servers.size(), 1);
    EXPECT_EQ(statistics.server("nsboot", "a"), back);
}

TEST(Statistics, a_name_that_is_gone_for_long_is_forgotten) {
    Statistics statistics(1);
    statistics.route("r")->at(0).finished(Method::get, 200, 1ms);
    statistics.set_unused_aside(noon);
    statistics.set_unused_aside(noon + Statistics::remembered_for + 1ns);
    EXPECT_EQ(statistics.route("r")->at(0).duration.count(), 0);
}

TEST(Statistics, a_name_that_went_again_is_remembered_from_then_on) {
    Statistics statistics(1);
    statistics.pool("p")->at(0).retries.add();
    statistics.set_unused_aside(noon);
    statistics.pool("p");
    statistics.set_unused_aside(noon + 30min);
    statistics.set_unused_aside(noon + 80min);
    EXPECT_EQ(statistics.pool("p")->at(0).retries.value(), 1);
}

TEST(Statistics, of_names_that_never_come_back_the_latest_are_remembered) {
    Statistics statistics(1);
    for (std::size_t i = 0; i <= Statistics::most_remembered; ++i) {
        statistics.pool("p" + std::to_string(i))->at(0).retries.add();
        statistics.set_unused_aside(noon);
    }
    EXPECT_EQ(statistics.pool("p0")->at(0).retries.value(), 0);
    EXPECT_EQ(statistics.pool("p1")->at(0).retries.value(), 1);
    EXPECT_EQ(statistics.pool("p" + std::to_string(Statistics::most_remembered))->at(0).retries.value(), 1);
}

TEST(Statistics, servers_of_two_pools_are_two_even_under_one_name) {
    Statistics statistics(1);
    const auto one = statistics.server("a", "x");
    const auto other = statistics.server("b", "x");
    EXPECT_NE(one, other);
    EXPECT_EQ(statistics.server("a", "x"), one);
}

TEST(Statistics, a_listener_is_shown_while_connections_of_it_are_open) {
    Statistics statistics(2);
    auto& mine = statistics.listener("l")->at(1);
    mine.connections.add();
    statistics.set_unused_aside(noon);
    EXPECT_EQ(statistics.view(noon).listeners.size(), 1);
    mine.connections.sub();
    statistics.set_unused_aside(noon);
    EXPECT_TRUE(statistics.view(noon).listeners.empty());
}

TEST(Statistics, remembers_when_the_configuration_was_last_good) {
    Statistics statistics(1);
    const std::chrono::system_clock::time_point loaded{std::chrono::hours(12)};
    statistics.config_loaded(true, loaded);
    statistics.config_loaded(false, loaded + 1h);
    EXPECT_EQ(statistics.config_loads().success, 1);
    EXPECT_EQ(statistics.config_loads().failure, 1);
    EXPECT_FALSE(statistics.config_loads().last_successful);
    EXPECT_EQ(statistics.config_loads().last_success, loaded);
}

/// Under the thread sanitizer this is the proof of the contract: workers count and leave while the control thread sums
/// and drops.
TEST(Statistics, workers_count_while_the_control_thread_sums_and_drops) {
    constexpr unsigned workers = 4;
    constexpr std::uint64_t rounds = 20'000;
    Statistics statistics(workers);
    auto block = statistics.route("r");
    std::vector<std::thread> threads;
    for (unsigned worker = 0; worker < workers; ++worker) {
        threads.emplace_back([worker, mine = block]() mutable {
            for (std::uint64_t i = 0; i < rounds; ++i) mine->at(worker).finished(Method::get, 200, 1ms);
            mine.reset();
        });
    }
    const auto sum = [&] {
        return block->sum([](const RouteCounters& r) { return r.requests[0][CodeClass::success].value(); });
    };
    for (std::uint64_t last = 0; last < workers * rounds;) {
        const std::uint64_t now = sum();
        EXPECT_GE(now, last);
        last = now;
    }
    block.reset();
    while (!statistics.view(noon).routes.empty()) continue;
    for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nsboot_lb::observe
