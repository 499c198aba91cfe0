#include "selection.hpp"

#include <string>

#include <gtest/gtest.h>

namespace nsboot_lb::standin {
namespace http = boost::beast::http;
namespace {

constexpr const char* changed = "Tue, 01 Jul 2025 00:00:00 GMT";
constexpr const char* before = "Mon, 30 Jun 2025 23:59:59 GMT";
constexpr const char* after = "Tue, 01 Jul 2025 00:00:01 GMT";

struct Case {
    const char* situation;
    std::vector<std::pair<http::field, const char*>> fields;
    http::status status;
    std::uint64_t first = 0;
    std::uint64_t length = 0;
    http::verb method = http::verb::get;
};

// Short names, so that a case stands on one line.
constexpr auto ok = http::status::ok;
constexpr auto partial_content = http::status::partial_content;
constexpr auto not_modified = http::status::not_modified;
constexpr auto precondition_failed = http::status::precondition_failed;
constexpr auto range_not_satisfiable = http::status::range_not_satisfiable;
constexpr auto range = http::field::range;
constexpr auto if_range = http::field::if_range;
constexpr auto if_match = http::field::if_match;
constexpr auto if_none_match = http::field::if_none_match;
constexpr auto if_modified_since = http::field::if_modified_since;
constexpr auto if_unmodified_since = http::field::if_unmodified_since;

class SelectTest : public testing::TestWithParam<Case> {};

TEST_P(SelectTest, gives_status_and_bytes) {
    const auto& expected = GetParam();
    http::fields request;
    for (const auto& [name, value] : expected.fields) request.insert(name, value);
    const Representation representation{.size_bytes = 1000, .etag = "\"v1\"", .last_modified = 1'751'328'000};
    const auto selection = select(expected.method, request, representation);
    EXPECT_EQ(selection.status, expected.status);
    EXPECT_EQ(selection.first, expected.first);
    EXPECT_EQ(selection.length_bytes, expected.length);
}

INSTANTIATE_TEST_SUITE_P(
    Ranges, SelectTest,
    testing::Values(
        Case{"no_range", {}, ok, 0, 1000}, Case{"first_block", {{range, "bytes=0-511"}}, partial_content, 0, 512},
        Case{"open_end", {{range, "bytes=900-"}}, partial_content, 900, 100},
        Case{"last_bytes", {{range, "bytes=-10"}}, partial_content, 990, 10},
        Case{"more_last_bytes_than_there_are", {{range, "bytes=-5000"}}, partial_content, 0, 1000},
        Case{"end_beyond_the_end", {{range, "bytes=990-2000"}}, partial_content, 990, 10},
        Case{"start_beyond_the_end", {{range, "bytes=1000-"}}, range_not_satisfiable},
        Case{"no_last_bytes", {{range, "bytes=-0"}}, range_not_satisfiable},
        Case{"backwards", {{range, "bytes=5-4"}}, ok, 0, 1000}, Case{"other_unit", {{range, "lines=1-2"}}, ok, 0, 1000},
        Case{"several", {{range, "bytes=0-1,5-6"}}, ok, 0, 1000}, Case{"nonsense", {{range, "bytes=a-b"}}, ok, 0, 1000},
        Case{"head_has_no_ranges", {{range, "bytes=0-1"}}, ok, 0, 1000, http::verb::head},
        Case{"if_range_holds", {{range, "bytes=0-1"}, {if_range, "\"v1\""}}, partial_content, 0, 2},
        Case{"if_range_fails", {{range, "bytes=0-1"}, {if_range, "\"v0\""}}, ok, 0, 1000},
        Case{"if_range_is_weak", {{range, "bytes=0-1"}, {if_range, "W/\"v1\""}}, ok, 0, 1000},
        Case{"if_range_date_holds", {{range, "bytes=0-1"}, {if_range, changed}}, partial_content, 0, 2},
        Case{"if_range_date_fails", {{range, "bytes=0-1"}, {if_range, before}}, ok, 0, 1000}),
    [](const auto& info) { return info.param.situation; });

INSTANTIATE_TEST_SUITE_P(
    Preconditions, SelectTest,
    testing::Values(
        Case{"if_match_holds", {{if_match, "\"v0\", \"v1\""}}, ok, 0, 1000},
        Case{"if_match_any", {{if_match, "*"}}, ok, 0, 1000},
        Case{"if_match_fails", {{if_match, "\"v0\""}}, precondition_failed},
        Case{"if_match_is_weak", {{if_match, "W/\"v1\""}}, precondition_failed},
        Case{"if_match_before_range", {{if_match, "\"v0\""}, {range, "bytes=0-1"}}, precondition_failed},
        Case{"unmodified_since_change", {{if_unmodified_since, changed}}, ok, 0, 1000},
        Case{"modified_since_then", {{if_unmodified_since, before}}, precondition_failed},
        Case{"if_match_beats_date", {{if_match, "\"v1\""}, {if_unmodified_since, before}}, ok, 0, 1000},
        Case{"if_none_match_known", {{if_none_match, "W/\"v1\""}}, not_modified},
        Case{"if_none_match_known_on_post", {{if_none_match, "\"v1\""}}, precondition_failed, 0, 0, http::verb::post},
        Case{"if_none_match_unknown", {{if_none_match, "\"v0\""}}, ok, 0, 1000},
        Case{"if_none_match_beats_date", {{if_none_match, "\"v0\""}, {if_modified_since, after}}, ok, 0, 1000},
        Case{"not_modified_since", {{if_modified_since, changed}}, not_modified},
        Case{
            "not_modified_since_obsolete_form", {{if_modified_since, "Tuesday, 01-Jul-25 00:00:00 GMT"}}, not_modified},
        Case{"modified_since", {{if_modified_since, before}}, ok, 0, 1000},
        Case{"a_date_that_is_none", {{if_modified_since, "yesterday"}}, ok, 0, 1000}),
    [](const auto& info) { return info.param.situation; });

TEST(HttpDateTest, is_read_as_it_is_written) {
    EXPECT_EQ(http_date(1'751'328'000), changed);
    EXPECT_EQ(parse_http_date(changed), 1'751'328'000);
    EXPECT_EQ(parse_http_date("Tue Jul  1 00:00:00 2025"), 1'751'328'000);
    EXPECT_EQ(parse_http_date(""), std::nullopt);
}

}  // namespace
}  // namespace nsboot_lb::standin
