#pragma once
/// Copies text that came from anywhere into a log line so that it can neither end the line, nor leave its quotes, nor
/// command a terminal. Free functions that touch only their arguments.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace nsboot_lb::observe {

enum class Escape : std::uint8_t {
    json,  ///< \" \\ \u000a; UTF-8 stays, what is not UTF-8 becomes \ufffd
    hex,   ///< \x22 \x5C \x0A as nginx does it; all that is not ASCII too
};

/// The longest escape of one byte.
inline constexpr std::size_t longest_escape_bytes = 6;

/// Appends `text` where some of it may need escapes, at most up to `end`; cuts between characters what does not fit.
template <Escape escape>
char* append_escaped_slowly(char* out, const char* end, std::string_view text);
template <>
char* append_escaped_slowly<Escape::json>(char* out, const char* end, std::string_view text);
template <>
char* append_escaped_slowly<Escape::hex>(char* out, const char* end, std::string_view text);

/// Whether any of the eight bytes is a control character, a quote, a backslash, DEL or not ASCII.
inline bool needs_escape(std::uint64_t word) {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t highs = 0x8080808080808080;
    const std::uint64_t quote = word ^ (ones * '"');
    const std::uint64_t backslash = word ^ (ones * '\\');
    const std::uint64_t low = (word - ones * 0x20) & ~word;
    const std::uint64_t quotes = (quote - ones) & ~quote;
    const std::uint64_t backslashes = (backslash - ones) & ~backslash;
    const std::uint64_t high = (word + ones) | word;
    return ((low | quotes | backslashes | high) & highs) != 0;
}

inline bool needs_escape(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\';
}

/// Appends `text`, at most `limit` bytes (at least longest_escape_bytes). Almost all text is harmless: it is copied
/// eight bytes at a time while looking for one that is not.
template <Escape escape>
inline char* append_escaped(char* out, std::string_view text, std::size_t limit) {
    const char* const end = out + limit;
    if (text.size() > limit) return append_escaped_slowly<escape>(out, end, text);
    const char* in = text.data();
    const char* const in_end = in + text.size();
    std::uint64_t word = 0;
    for (; in_end - in >= 8; in += 8, out += 8) {
        std::memcpy(&word, in, 8);
        if (needs_escape(word)) return append_escaped_slowly<escape>(out, end, {in, in_end});
        std::memcpy(out, &word, 8);
    }
    for (; in != in_end; ++in, ++out) {
        if (needs_escape(*in)) return append_escaped_slowly<escape>(out, end, {in, in_end});
        *out = *in;
    }
    return out;
}

}  // namespace nsboot_lb::observe
