#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include "nsboot_lb/observe/collector.hpp"

namespace nsboot_lb::observe {
namespace {

using namespace std::chrono_literals;
using prometheus::MetricType;

/// All that a daemon shows, with names that need escapes.
MetricFamilies everything(Statistics& statistics) {
    static const std::string nasty = "a\"b\\c\nd,e=f{}";
    const auto route = statistics.route(nasty);
    route->at(0).finished(Method::get, 200, 1234567ns);
    const auto listener = statistics.listener("https");
    const auto pool = statistics.pool("p");
    const auto server = statistics.server("p", "s");
    server->at(0).duration.observe(61s);
    server->at(0).failures[Reason::connect_refused].add();
    const auto limit = statistics.rate_limit("login");
    const auto checks = statistics.health_checks("p", "s");
    statistics.config_loaded(true, std::chrono::system_clock::time_point(1769904000123ms));
    MetricFamilies families;
    collect_statistics(statistics.view(std::chrono::steady_clock::now()), families);
    collect_logs(1, 2, families);
    collect_process(families);
    return families;
}

/// Each line as its name with labels (or its comment), and its value.
std::vector<std::pair<std::string, std::string>> lines(const std::string& text) {
    std::vector<std::pair<std::string, std::string>> result;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        const std::size_t space = line.starts_with('#') ? line.size() : line.rfind(' ');
        result.emplace_back(line.substr(0, space), line.substr(space));
    }
    return result;
}

TEST(MetricsText, is_what_the_library_would_write) {
    Statistics statistics(2);
    auto families = everything(statistics);
    auto& odd = families.emplace_back("odd_numbers", "Help.", MetricType::Gauge);
    for (const double value : {-1.5, 1e300, 1e-300, 12345678901234567.0, std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity()}) {
        odd.metric.emplace_back().gauge.value = value;
    }
    const auto ours = lines(to_text(families));
    const auto theirs = lines(prometheus::TextSerializer().Serialize(families));
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
        EXPECT_EQ(ours[i].first, theirs[i].first);
        // The library writes 16 digits, which is not always the same double; ours always is.
        const double value = std::strtod(theirs[i].second.c_str(), nullptr);
        if (std::isinf(value)) {
            EXPECT_EQ(ours[i].second, theirs[i].second) << ours[i].first;
        } else {
            EXPECT_NEAR(std::strtod(ours[i].second.c_str(), nullptr), value, std::abs(value) * 1e-15) << ours[i].first;
        }
    }
}

TEST(MetricsText, escapes_a_help_text_where_the_library_does_not) {
    MetricFamilies families{{"x", "one\ntwo \\ \"three\"", MetricType::Gauge, {}}};
    EXPECT_EQ(to_text(families), "# HELP x one\\ntwo \\\\ \"three\"\n# TYPE x gauge\n");
}

TEST(MetricsText, promtool_has_no_complaint) {
    if (std::system("command -v promtool >/dev/null") != 0) GTEST_SKIP() << "promtool (package prometheus) is absent";
    Statistics statistics(2);
    std::string path = std::filesystem::temp_directory_path() / "nsboot-lb-metrics-XXXXXX";
    const int descriptor = ::mkstemp(path.data());
    ASSERT_GE(descriptor, 0);
    ::close(descriptor);
    std::ofstream(path) << to_text(everything(statistics));
    EXPECT_EQ(std::system(("promtool check metrics < " + path).c_str()), 0);
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace nsboot_lb::observe
