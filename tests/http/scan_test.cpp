#include "h1/scan.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace nsboot_lb::http::h1 {
namespace {

/// What stands in front of `stop` in all tests below: long enough for every stride, and nothing unusual in it.
constexpr std::size_t longest = 70;
/// Behind it there is as much as the strides could look at, or nothing.
constexpr std::size_t tails[] = {0, 1, 15, 16, 17, 40};

/// For each octet, at each place of a text: whether the scanner stops at it just where `goes_on` says.
template <class Scan, class GoesOn>
void expect_stops(Scan scan, GoesOn goes_on) {
    for (int octet = 0; octet < 256; ++octet) {
        const char c = static_cast<char>(octet);
        for (std::size_t before = 0; before <= longest; ++before) {
            for (const auto behind : tails) {
                const auto text = std::string(before, 'a') + c + std::string(behind, 'b');
                const auto* const end = text.data() + text.size();
                const auto expected = goes_on(static_cast<unsigned char>(c)) ? text.size() : before;
                ASSERT_EQ(static_cast<std::size_t>(scan(text.data(), end) - text.data()), expected)
                    << "octet " << octet << " behind " << before << " and before " << behind;
            }
        }
    }
}

bool in_token(unsigned char c) {
    const bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return letter_or_digit ||
           (c != 0 && std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(c)) != std::string_view::npos);
}

TEST(Scan, OfATokenEndsAtTheFirstOctetThatIsNoTchar) {
    expect_stops(scan_token, in_token);
}

TEST(Scan, OfANameTellsOfAnUnderscoreInFrontOfItsEndAlone) {
    for (std::size_t before = 0; before <= longest; ++before) {
        for (const auto behind : tails) {
            const auto name = std::string(before, 'a') + '_' + std::string(behind, 'b');
            for (const auto& text : {name + ":", name + ":" + std::string(40, 'x'), name}) {
                bool underscore = false;
                EXPECT_EQ(scan_name(text.data(), text.data() + text.size(), underscore), text.data() + name.size());
                EXPECT_TRUE(underscore) << text;
            }
            const auto later = std::string(before, 'a') + ':' + std::string(behind, 'b') + "_";
            bool underscore = false;
            EXPECT_EQ(scan_name(later.data(), later.data() + later.size(), underscore), later.data() + before);
            EXPECT_FALSE(underscore) << later;
        }
    }
}

TEST(Scan, OfAValueEndsAtControlsButTabsAndAtDel) {
    expect_stops(scan_value, [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
}

TEST(Scan, OfAValueFindsItsEndBehindOctetsAboveAsciiAndTabs) {
    for (std::size_t size = 0; size <= longest; ++size) {
        for (const std::string_view text : {"\xc3\xa4", "\t", "\xff\x80", "a\t\xe4"}) {
            std::string value;
            while (value.size() < size) value += text;
            const auto line = value + "\r\n" + std::string(40, 'x');
            EXPECT_EQ(scan_value(line.data(), line.data() + line.size()), line.data() + value.size());
        }
    }
}

TEST(Scan, OfATargetEndsAtWhiteSpaceControlsAndAboveAscii) {
    expect_stops(scan_target, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace
}  // namespace nsboot_lb::http::h1
