#include "escape.hpp"

#include <algorithm>
#include <array>

namespace nsboot_lb::observe {

namespace {

struct Character {
    std::uint32_t code_point = 0;
    std::size_t size_bytes = 0;  ///< 0: not UTF-8
};

/// The character at the start of `text`, which is not empty, strictly by RFC 3629: no overlong forms, no surrogates.
Character decode_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return {first, 1};
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < size) return {};
    std::uint32_t code_point = first & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code_point = code_point << 6 | (byte(i) & 0x3fU);
    }
    constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < smallest[size] || surrogate || code_point > 0x10ffff) return {};
    return {code_point, size};
}

/// Controls (C0, DEL, C1), line and paragraph separators, and what turns the direction of the text around it.
bool is_harmful(std::uint32_t code_point) {
    return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f) ||
           (code_point >= 0x2028 && code_point <= 0x202e) || (code_point >= 0x2066 && code_point <= 0x2069);
}

char* append_hex(char* out, std::uint32_t value, int digits, std::string_view alphabet) {
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) *out++ = alphabet[(value >> shift) & 0xf];
    return out;
}

char* append_unicode_escape(char* out, std::uint32_t code_point) {
    *out++ = '\\';
    *out++ = 'u';
    return append_hex(out, code_point, 4, "0123456789abcdef");
}

}  // namespace

template <>
char* append_escaped_slowly<Escape::json>(char* out, const char* end, std::string_view text) {
    while (!text.empty() && end - out >= static_cast<std::ptrdiff_t>(longest_escape_bytes)) {
        const Character character = decode_utf8(text);
        if (character.size_bytes == 0) {
            out = append_unicode_escape(out, 0xfffd);
        } else if (is_harmful(character.code_point)) {
            out = append_unicode_escape(out, character.code_point);
        } else {
            if (text[0] == '"' || text[0] == '\\') *out++ = '\\';
            out = std::copy_n(text.data(), character.size_bytes, out);
        }
        text.remove_prefix(std::max<std::size_t>(character.size_bytes, 1));
    }
    return out;
}

template <>
char* append_escaped_slowly<Escape::hex>(char* out, const char* end, std::string_view text) {
    for (; !text.empty() && end - out >= static_cast<std::ptrdiff_t>(longest_escape_bytes); text.remove_prefix(1)) {
        if (needs_escape(text[0])) {
            *out++ = '\\';
            *out++ = 'x';
            out = append_hex(out, static_cast<unsigned char>(text[0]), 2, "0123456789ABCDEF");
        } else {
            *out++ = text[0];
        }
    }
    return out;
}

}  // namespace nsboot_lb::observe
