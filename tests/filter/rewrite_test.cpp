#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using namespace testing;

/// The target that the server is asked for.
std::string rewritten(std::string_view strip, std::string_view add, std::string_view target) {
    auto route = forwarding();
    route.rewrite = {std::string(strip), std::string(add)};
    MadeExchange made{"OPTIONS " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n"};
    EXPECT_FALSE(ask(filters_of(route), made.exchange));
    return made.exchange.rewritten_target.empty() ? std::string(made.exchange.request.origin_target)
                                                  : made.exchange.rewritten_target;
}

struct Case {
    std::string_view name;
    std::string_view strip;
    std::string_view add;
    std::string_view target;
    std::string_view wanted;
};

class Rewrite : public ::testing::TestWithParam<Case> {};

TEST_P(Rewrite, ChangesThePath) {
    const auto& given = GetParam();
    EXPECT_EQ(rewritten(given.strip, given.add, given.target), given.wanted);
}

constexpr Case cases[] = {
    {"strips", "/old", "", "/old/a/b", "/a/b"},
    {"strips_with_query", "/old", "", "/old/a?x=/old/b", "/a?x=/old/b"},
    {"keeps_an_empty_query", "/old", "", "/old/a?", "/a?"},
    {"strips_all", "/old", "", "/old", "/"},
    {"strips_all_but_the_slash", "/old", "", "/old/", "/"},
    {"strips_all_but_the_query", "/old", "", "/old?x", "/?x"},
    {"strips_whole_segments", "/old", "", "/older/a", "/older/a"},
    {"strips_at_the_beginning_only", "/old", "", "/a/old/b", "/a/old/b"},
    {"strips_a_prefix_with_a_slash", "/old/", "", "/old/a", "/a"},
    {"strips_several_segments", "/a/b", "", "/a/b/c", "/c"},
    {"adds", "", "/new", "/a?x", "/new/a?x"},
    {"adds_a_prefix_with_a_slash", "", "/new/", "/a", "/new/a"},
    {"adds_to_the_root", "", "/new", "/", "/new/"},
    {"strips_and_adds", "/old", "/new", "/old/a", "/new/a"},
    {"strips_all_and_adds", "/old", "/new", "/old", "/new"},
    {"adds_though_nothing_is_stripped", "/old", "/new", "/a", "/new/a"},
    {"keeps_the_spelling", "/old", "/new", "/old/%7ea//b%2Fc;x=1", "/new/%7ea//b%2Fc;x=1"},
    {"keeps_names_with_dots", "", "/new", "/.well-known/a..b/...", "/new/.well-known/a..b/..."},
    {"takes_the_target_of_absolute_form", "/old", "", "http://a.test/old/a", "/a"},
    {"leaves_the_asterisk_alone", "/old", "/new", "*", "*"},
    // A route matches the normal form of a path, so the prefix may be spelled otherwise.
    {"strips_an_encoded_prefix", "/old", "", "/%6fld/a%20b", "/a%20b"},
    {"strips_behind_double_slashes", "/old", "", "//old//a", "/a"},
    {"strips_behind_dot_segments", "/old", "", "/x/../old/a", "/a"},
    {"strips_a_prefix_that_is_written_encoded", "/a%20b", "", "/a%20b/c", "/c"},
    // What a server resolves after the rewrite must not lead out of the prefix.
    {"dots_do_not_climb_out", "", "/public", "/../secret", "/public/secret"},
    {"encoded_dots_do_not_climb_out", "", "/public", "/a/%2e%2E/%2e./secret", "/public/secret"},
    {"encoded_slashes_do_not_climb_out", "", "/public", "/..%2f..%2Fsecret", "/public/secret"},
    {"backslashes_do_not_climb_out", "", "/public", "/..\\secret", "/public/secret"},
    {"dots_at_the_end_do_not_climb_out", "", "/public", "/a/../..", "/public/"},
    {"stripping_does_not_lay_dots_bare", "/old", "/public", "/old/../secret", "/public/secret"},
    {"what_was_decoded_is_encoded_again", "", "/public", "/x/../a%3Fb%23c%25d%20e%c3%bc",
     "/public/a%3Fb%23c%25d%20e%C3%BC"},
};
INSTANTIATE_TEST_SUITE_P(Paths, Rewrite, ::testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace nsboot_lb::filter
