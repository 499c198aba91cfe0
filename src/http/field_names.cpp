#include "nsboot_lb/http/field_names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace nsboot_lb::http {

namespace {

struct Name {
    std::string_view text;
    FieldId id;
};

constexpr std::array names{
    Name{"connection", FieldId::connection},
    Name{"keep-alive", FieldId::keep_alive},
    Name{"proxy-connection", FieldId::proxy_connection},
    Name{"te", FieldId::te},
    Name{"transfer-encoding", FieldId::transfer_encoding},
    Name{"upgrade", FieldId::upgrade},
    Name{"trailer", FieldId::trailer},
    Name{"http2-settings", FieldId::http2_settings},
    Name{"content-length", FieldId::content_length},
    Name{"host", FieldId::host},
    Name{"expect", FieldId::expect},
    Name{"max-forwards", FieldId::max_forwards},
    Name{"via", FieldId::via},
    Name{"x-forwarded-for", FieldId::x_forwarded_for},
    Name{"x-forwarded-proto", FieldId::x_forwarded_proto},
    Name{"x-forwarded-host", FieldId::x_forwarded_host},
    Name{"x-real-ip", FieldId::x_real_ip},
    Name{"x-request-id", FieldId::x_request_id},
    Name{"forwarded", FieldId::forwarded},
    Name{"authorization", FieldId::authorization},
    Name{"cookie", FieldId::cookie},
    Name{"user-agent", FieldId::user_agent},
    Name{"referer", FieldId::referer},
    Name{"content-type", FieldId::content_type},
    Name{"date", FieldId::date},
    Name{"set-cookie", FieldId::set_cookie},
    Name{"retry-after", FieldId::retry_after},
    Name{"server", FieldId::server},
};
static_assert(names.size() + 1 == field_id_count);

constexpr std::size_t longest = [] {
    std::size_t size = 0;
    for (const auto& name : names) size = std::max(size, name.text.size());
    return size;
}();
constexpr std::size_t letters = 32;

/// By length and first letter, which no two names share: a look-up is one comparison, or none. Numbers count from 1.
constexpr auto numbers = [] {
    std::array<std::array<std::uint8_t, letters>, longest + 1> made{};
    for (std::uint8_t number = 1; number <= names.size(); ++number) {
        const auto text = names[number - 1].text;
        auto& place = made[text.size()][static_cast<std::size_t>(text[0]) % letters];
        if (place != 0) throw "two names of one length begin alike";  // does not compile then
        place = number;
    }
    return made;
}();

template <class Word>
bool same_word(const char* name, const char* lower, Word fold) {
    Word a = 0;
    Word b = 0;
    std::memcpy(&a, name, sizeof a);
    std::memcpy(&b, lower, sizeof b);
    return (a | fold) == b;
}

/// `name` is a token and `lower`, which is as long, holds letters, digits and dashes only, so setting one bit folds the
/// case exactly. The last word may overlap the one before.
bool same_folded(std::string_view name, std::string_view lower) {
    const auto same = [&](std::size_t at, auto fold) { return same_word(name.data() + at, lower.data() + at, fold); };
    const auto size = lower.size();
    if (size >= 8) {
        for (std::size_t at = 0; at + 8 < size; at += 8) {
            if (!same(at, std::uint64_t{0x2020202020202020})) return false;
        }
        return same(size - 8, std::uint64_t{0x2020202020202020});
    }
    if (size >= 4) return same(0, std::uint32_t{0x20202020}) && same(size - 4, std::uint32_t{0x20202020});
    return same(0, std::uint16_t{0x2020}) && same(size - 2, std::uint16_t{0x2020});
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

}  // namespace

FieldId field_id(std::string_view name) {
    if (name.empty() || name.size() > longest) return FieldId::other;
    const auto number = numbers[name.size()][static_cast<std::size_t>(name[0]) % letters];
    if (number == 0) return FieldId::other;
    const auto& known = names[number - 1U];
    return same_folded(name, known.text) ? known.id : FieldId::other;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace nsboot_lb::http
