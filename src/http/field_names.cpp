#include "nsboot_lb/http/field_names.hpp"

#include <algorithm>
#include <array>
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
static_assert(names.size() + 1 == static_cast<std::size_t>(FieldId::count_));

constexpr std::size_t longest = [] {
    std::size_t size = 0;
    for (const auto& name : names) size = std::max(size, name.text.size());
    return size;
}();

/// A slot for each length and first letter: few names share both, so a look-up is one comparison or none.
struct Slot {
    std::uint8_t first = 0;
    std::uint8_t count = 0;
};
constexpr std::size_t letters = 32;

struct Index {
    std::array<Name, names.size()> sorted{};
    std::array<std::array<Slot, letters>, longest + 1> slots{};
};

constexpr Index index = [] {
    Index made;
    made.sorted = names;
    std::ranges::sort(made.sorted, [](const Name& a, const Name& b) {
        if (a.text.size() != b.text.size()) return a.text.size() < b.text.size();
        return a.text < b.text;
    });
    for (std::size_t i = 0; i < made.sorted.size(); ++i) {
        const auto text = made.sorted[i].text;
        auto& slot = made.slots[text.size()][static_cast<std::size_t>(text[0]) % letters];
        if (slot.count++ == 0) slot.first = static_cast<std::uint8_t>(i);
    }
    return made;
}();

/// `name` is a token and `lower` holds letters, digits and dashes only, so setting one bit folds the case exactly.
bool same_folded(std::string_view name, std::string_view lower) {
    std::size_t i = 0;
    const auto size = lower.size();
    for (; i + 8 <= size; i += 8) {
        std::uint64_t a = 0;
        std::uint64_t b = 0;
        std::memcpy(&a, name.data() + i, 8);
        std::memcpy(&b, lower.data() + i, 8);
        if ((a | 0x2020202020202020ULL) != b) return false;
    }
    for (; i < size; ++i) {
        if ((name[i] | 0x20) != lower[i]) return false;
    }
    return true;
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

}  // namespace

FieldId field_id(std::string_view name) {
    if (name.empty() || name.size() > longest) return FieldId::other;
    const auto slot = index.slots[name.size()][static_cast<std::size_t>(name[0] | 0x20) % letters];
    for (std::size_t i = 0; i < slot.count; ++i) {
        const auto& candidate = index.sorted[slot.first + i];
        if (same_folded(name, candidate.text)) return candidate.id;
    }
    return FieldId::other;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace nsboot_lb::http
