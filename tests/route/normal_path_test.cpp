#include "nsboot_lb/route/normal_path.hpp"

#include <gtest/gtest.h>

namespace nsboot_lb::route {
namespace {

struct Case {
    std::string_view name;
    std::string_view raw;
    std::string_view normal;
};

class NormalPath : public testing::TestWithParam<Case> {};

TEST_P(NormalPath, IsTheOneSpellingOfThePath) {
    std::string scratch;
    EXPECT_EQ(normal_path(GetParam().raw, scratch), GetParam().normal);
}

TEST_P(NormalPath, IsItsOwnNormalFormUnlessItHoldsAnEncodedPercentOrBackslash) {
    std::string scratch;
    const std::string once(normal_path(GetParam().raw, scratch));
    if (once.find('%') == std::string::npos) EXPECT_EQ(normal_path(once, scratch), once);
}

constexpr Case cases[] = {
    {"root", "/", "/"},
    {"empty", "", "/"},
    {"asterisk_form", "*", "*"},
    {"plain", "/images/debian.iso", "/images/debian.iso"},
    {"trailing_slash", "/images/", "/images/"},
    {"dots_in_names", "/a..b/c./.d", "/a..b/c./.d"},
    {"hidden_names", "/.well-known/..x/...", "/.well-known/..x/..."},
    {"unreserved", "/%7Eme/%41%2d", "/~me/A-"},
    {"other_octets", "/a%20b/%c3%bc", "/a b/\xc3\xbc"},
    {"once_only", "/%2541", "/%41"},
    {"encoded_slash", "/a%2Fb%2f%2fc", "/a/b/c"},
    {"encoded_dots", "/a/%2e%2E/b/%2e/c", "/b/c"},
    {"half_encoded_dots", "/a/.%2e/b", "/b"},
    {"malformed_percent", "/%zz/%4/%", "/%zz/%4/%"},
    {"percent_at_the_end", "/a%4", "/a%4"},
    {"merged_slashes", "//a///b//", "/a/b/"},
    {"backslash", "/a\\b\\..\\c", "/a/c"},
    {"encoded_backslash", "/a%5C%5cb", "/a/b"},
    {"single_dot", "/a/./b/.", "/a/b/"},
    {"double_dot", "/a/b/../c", "/a/c"},
    {"double_dot_at_the_end", "/a/b/..", "/a/"},
    {"double_dot_to_the_root", "/a/..", "/"},
    {"above_the_root", "/../../etc", "/etc"},
    {"dots_behind_merged_slashes", "/a//../b", "/b"},
    {"dot_alone", "/.", "/"},
    {"double_dot_alone", "/..", "/"},
};

INSTANTIATE_TEST_SUITE_P(Spellings, NormalPath, testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(NormalPathScratch, IsNotTouchedForAPathThatIsNormal) {
    std::string scratch = "untouched";
    const std::string_view path = "/images/debian.iso";
    EXPECT_EQ(normal_path(path, scratch).data(), path.data());
    EXPECT_EQ(scratch, "untouched");
}

TEST(NormalPathScratch, KeepsNulOctets) {
    std::string scratch;
    EXPECT_EQ(normal_path("/a%00b", scratch), std::string_view("/a\0b", 4));
}

}  // namespace
}  // namespace nsboot_lb::route
