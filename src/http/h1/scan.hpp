#pragma once
/// The scanners of the head parser: each goes on while bytes are of its class and gives the first that is not. Sixteen
/// bytes at a time where there is SSE2, as on every x86-64; elsewhere one by one, with the same answers. Pure functions
/// over [begin, end), for any thread.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/// What may stand in a field value (RFC 9110 5.5): no control but HTAB, and no DEL.
inline bool is_value_char(char c) {
    const auto octet = static_cast<unsigned char>(c);
    return (octet >= 0x20 && octet != 0x7f) || octet == '\t';
}

/// What may stand in a request target: neither white space nor controls, DEL or anything above ASCII.
inline bool is_target_char(char c) {
    return c > 0x20 && c < 0x7f;
}

#ifdef __SSE2__
namespace detail {

inline constexpr std::ptrdiff_t block = 16;
inline constexpr unsigned all = 0xffff;

inline __m128i load(const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

inline unsigned mask(__m128i matches) {
    return static_cast<unsigned>(_mm_movemask_epi8(matches));
}

inline __m128i equal(__m128i bytes, char c) {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

/// Those in [low, high], as unsigned numbers, which may begin again at 0 in between. SSE2 has signed comparisons only:
/// the range is moved to where the signed numbers begin, so that one is enough.
inline __m128i in_range(__m128i bytes, unsigned char low, unsigned char high) {
    const auto moved = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(0x80 - low)));
    return _mm_cmpgt_epi8(_mm_set1_epi8(static_cast<char>(0x80 + high - low + 1)), moved);
}

/// Every byte that may not stand in a value, and those above ASCII, which may: with them it is one range.
inline __m128i suspicious(__m128i bytes) {
    return in_range(bytes, 0x7f, 0x1f);
}

/// A bit for each byte that may not stand in a value.
inline unsigned value_stops(__m128i bytes) {
    const unsigned suspects = mask(suspicious(bytes));
    if (suspects == 0) [[likely]]
        return 0;
    return suspects & ~mask(_mm_or_si128(bytes, equal(bytes, '\t')));  // the mask of a byte is its highest bit
}

inline bool has_suspicious(const char* at) {
    const auto first = _mm_or_si128(suspicious(load(at)), suspicious(load(at + block)));
    const auto second = _mm_or_si128(suspicious(load(at + 2 * block)), suspicious(load(at + 3 * block)));
    return mask(_mm_or_si128(first, second)) != 0;
}

}  // namespace detail
#endif

/// The first byte that is no tchar. `underscore` is set if there is a `_` before it, and stays as it is if not.
inline const char* scan_name(const char* at, const char* end, bool& underscore) {
#ifdef __SSE2__
    while (end - at >= detail::block) {
        const auto bytes = detail::load(at);
        const auto letters = detail::in_range(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
        const unsigned usual = detail::mask(_mm_or_si128(letters, detail::equal(bytes, '-')));
        if (usual == detail::all) {
            at += detail::block;
            continue;
        }
        at += std::countr_one(usual);
        if (!is_token_char(*at)) return at;
        underscore = underscore || *at == '_';
        ++at;  // a digit, or one of the rarer token characters
    }
#endif
    for (; at != end && is_token_char(*at); ++at) underscore = underscore || *at == '_';
    return at;
}

inline const char* scan_token(const char* at, const char* end) {
    bool underscore = false;
    return scan_name(at, end, underscore);
}

/// The first byte that may not stand in a field value. Most values end in one of the first blocks; of those that do
/// not, such as cookies, four blocks are looked at together.
[[gnu::always_inline]] inline const char* scan_value(const char* at, const char* end) {
#ifdef __SSE2__
    constexpr auto stride = 4 * detail::block;
    if (end - at >= stride) {
        for (int i = 0; i < 4; ++i, at += detail::block) {
            if (const auto stops = detail::value_stops(detail::load(at)); stops != 0)
                return at + std::countr_zero(stops);
        }
        while (end - at >= stride && !detail::has_suspicious(at)) at += stride;
    }
    for (; end - at >= detail::block; at += detail::block) {
        if (const auto stops = detail::value_stops(detail::load(at)); stops != 0) return at + std::countr_zero(stops);
    }
#endif
    return std::find_if_not(at, end, is_value_char);
}

/// The first byte that may not stand in a request target.
inline const char* scan_target(const char* at, const char* end) {
#ifdef __SSE2__
    while (end - at >= detail::block) {
        const unsigned good = detail::mask(detail::in_range(detail::load(at), 0x21, 0x7e));
        if (good != detail::all) return at + std::countr_one(good);
        at += detail::block;
    }
#endif
    return std::find_if_not(at, end, is_target_char);
}

}  // namespace nsboot_lb::http::h1
