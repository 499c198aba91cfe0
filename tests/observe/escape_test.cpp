#include "escape.hpp"

#include <string>

#include <gtest/gtest.h>

namespace nsboot_lb::observe {
namespace {

using namespace std::string_literals;

template <Escape escape>
std::string escaped(std::string_view text, std::size_t limit = 1000) {
    std::string out(limit, '#');
    out.resize(static_cast<std::size_t>(append_escaped<escape>(out.data(), text, limit) - out.data()));
    return out;
}

TEST(Escape, the_word_scan_agrees_with_the_byte_scan_for_every_byte_at_every_place) {
    for (unsigned byte = 0; byte < 256; ++byte) {
        for (std::size_t place = 0; place < 8; ++place) {
            std::string text = "abcdefgh";
            text[place] = static_cast<char>(byte);
            std::uint64_t word = 0;
            std::memcpy(&word, text.data(), 8);
            EXPECT_EQ(needs_escape(word), needs_escape(text[place])) << byte << " at " << place;
        }
    }
}

TEST(Escape, harmless_text_of_any_length_is_copied) {
    const std::string text = "/images/vmlinuz?size=20M&x=~!$'()*,;:@[]{}|^` and more";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        EXPECT_EQ(escaped<Escape::json>(text.substr(0, size)), text.substr(0, size));
        EXPECT_EQ(escaped<Escape::hex>(text.substr(0, size)), text.substr(0, size));
    }
}

TEST(Escape, a_harmful_byte_is_found_at_any_place) {
    for (std::size_t place = 0; place < 40; ++place) {
        std::string text(40, 'a');
        text[place] = '\n';
        EXPECT_EQ(escaped<Escape::json>(text), std::string(place, 'a') + "\\u000a" + std::string(39 - place, 'a'));
        EXPECT_EQ(escaped<Escape::hex>(text), std::string(place, 'a') + "\\x0A" + std::string(39 - place, 'a'));
    }
}

TEST(Escape, json_escapes_quotes_backslashes_and_controls) {
    EXPECT_EQ(escaped<Escape::json>("a\"b\\c\r\n\t\x1b[2J\x7f"s + '\0'),
              "a\\\"b\\\\c\\u000d\\u000a\\u0009\\u001b[2J\\u007f\\u0000");
}

TEST(Escape, json_keeps_utf8) {
    EXPECT_EQ(escaped<Escape::json>("grüße 漢字 😀"), "grüße 漢字 😀");
}

TEST(Escape, json_replaces_what_is_not_utf8) {
    EXPECT_EQ(escaped<Escape::json>("a\x80z"), "a\\ufffdz");                               // continuation alone
    EXPECT_EQ(escaped<Escape::json>("\xc0\xaf"), "\\ufffd\\ufffd");                        // overlong
    EXPECT_EQ(escaped<Escape::json>("\xe0\x80\x80"), "\\ufffd\\ufffd\\ufffd");             // overlong
    EXPECT_EQ(escaped<Escape::json>("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd");             // surrogate
    EXPECT_EQ(escaped<Escape::json>("\xf4\x90\x80\x80"), "\\ufffd\\ufffd\\ufffd\\ufffd");  // over U+10FFFF
    EXPECT_EQ(escaped<Escape::json>("\xe6\xbc"), "\\ufffd\\ufffd");                        // cut short
    EXPECT_EQ(escaped<Escape::json>("\xff"), "\\ufffd");
}

TEST(Escape, json_escapes_unicode_that_ends_or_turns_lines) {
    EXPECT_EQ(escaped<Escape::json>("\u0085\u2028\u2029\u202e\u2066"), "\\u0085\\u2028\\u2029\\u202e\\u2066");
}

TEST(Escape, hex_leaves_only_harmless_ascii) {
    EXPECT_EQ(escaped<Escape::hex>("a\"b\\c\n\x7f"s), "a\\x22b\\x5Cc\\x0A\\x7F");
    EXPECT_EQ(escaped<Escape::hex>("ü"), "\\xC3\\xBC");
}

TEST(Escape, never_writes_past_the_limit_nor_cuts_an_escape) {
    for (const std::string& text :
         {std::string(100, 'a'), std::string(100, '\n'), "aaaa\n\"\\ü漢😀"s + std::string(90, 'b')}) {
        for (std::size_t limit = longest_escape_bytes; limit < 120; ++limit) {
            std::string room(limit + 1, '#');
            const char* const json_end = append_escaped<Escape::json>(room.data(), text, limit);
            ASSERT_LE(json_end, room.data() + limit);
            ASSERT_EQ(room[limit], '#');
            const char* const hex_end = append_escaped<Escape::hex>(room.data(), text, limit);
            ASSERT_LE(hex_end, room.data() + limit);
            ASSERT_EQ(room[limit], '#');
        }
    }
    EXPECT_EQ(escaped<Escape::json>("\n\n\n", 14), "\\u000a\\u000a");
    EXPECT_EQ(escaped<Escape::json>("漢漢漢", 8), "漢");
}

}  // namespace
}  // namespace nsboot_lb::observe
