#pragma once
/// The scanners of the head parser: each goes on while bytes are of its class, sixteen at a time where it can, and
/// gives the first that is not. Pure functions over [begin, end), for any thread.
#include <array>
#include <bit>
#include <cstdint>
#include <emmintrin.h>

namespace nsboot_lb::http::h1 {

/// RFC 9110 5.6.2: tchar.
inline constexpr std::array<bool, 256> token_table = [] {
    std::array<bool, 256> table{};
    for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();

inline bool is_token_char(char c) {
    return token_table[static_cast<unsigned char>(c)];
}

namespace detail {

/// A bit for each of sixteen bytes that lies in [low, high], as unsigned numbers.
inline unsigned in_range(__m128i bytes, char low, char high) {
    const auto above = _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(low)), bytes);
    const auto below = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(high)), bytes);
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_and_si128(above, below)));
}

inline __m128i load(const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

constexpr unsigned all = 0xffff;

}  // namespace detail

/// The first byte that is no tchar.
inline const char* scan_token(const char* at, const char* end) {
    while (end - at >= 16) {
        const auto bytes = detail::load(at);
        const auto letters = detail::in_range(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
        const auto dashes = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'))));
        const unsigned usual = letters | dashes | detail::in_range(bytes, '0', '9');
        if (usual != detail::all) {
            at += std::countr_one(usual);
            if (!is_token_char(*at)) return at;
            ++at;  // one of the rarer token characters
            continue;
        }
        at += 16;
    }
    while (at != end && is_token_char(*at)) ++at;
    return at;
}

/// The first byte that may not stand in a field value (RFC 9110 5.5): a control other than HTAB, or DEL.
inline const char* scan_value(const char* at, const char* end) {
    while (end - at >= 16) {
        const auto bytes = detail::load(at);
        const auto controls = detail::in_range(bytes, 0, 0x1f) &
                              ~static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'))));
        const auto deletes = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
        if (const unsigned stop = controls | deletes; stop != 0) return at + std::countr_zero(stop);
        at += 16;
    }
    for (; at != end; ++at) {
        const auto c = static_cast<unsigned char>(*at);
        if ((c < 0x20 && c != '\t') || c == 0x7f) return at;
    }
    return at;
}

/// The first byte that may not stand in a request target: white space, controls, DEL, and all above ASCII.
inline const char* scan_target(const char* at, const char* end) {
    while (end - at >= 16) {
        const auto good = detail::in_range(detail::load(at), 0x21, 0x7e);
        if (good != detail::all) return at + std::countr_one(good);
        at += 16;
    }
    while (at != end && *at > 0x20 && *at < 0x7f) ++at;
    return at;
}

}  // namespace nsboot_lb::http::h1
