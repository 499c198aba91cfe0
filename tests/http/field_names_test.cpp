#include "nsboot_lb/http/field_names.hpp"

#include <cctype>
#include <string>

#include <gtest/gtest.h>

namespace nsboot_lb::http {
namespace {

struct Known {
    std::string_view name;
    FieldId id;
};
constexpr Known known[] = {
    {"Connection", FieldId::connection},
    {"Keep-Alive", FieldId::keep_alive},
    {"Proxy-Connection", FieldId::proxy_connection},
    {"TE", FieldId::te},
    {"Transfer-Encoding", FieldId::transfer_encoding},
    {"Upgrade", FieldId::upgrade},
    {"Trailer", FieldId::trailer},
    {"HTTP2-Settings", FieldId::http2_settings},
    {"Content-Length", FieldId::content_length},
    {"Host", FieldId::host},
    {"Expect", FieldId::expect},
    {"Max-Forwards", FieldId::max_forwards},
    {"Via", FieldId::via},
    {"X-Forwarded-For", FieldId::x_forwarded_for},
    {"X-Forwarded-Proto", FieldId::x_forwarded_proto},
    {"X-Forwarded-Host", FieldId::x_forwarded_host},
    {"X-Real-IP", FieldId::x_real_ip},
    {"X-Request-ID", FieldId::x_request_id},
    {"Forwarded", FieldId::forwarded},
    {"Authorization", FieldId::authorization},
    {"Cookie", FieldId::cookie},
    {"User-Agent", FieldId::user_agent},
    {"Referer", FieldId::referer},
    {"Content-Type", FieldId::content_type},
    {"Date", FieldId::date},
    {"Set-Cookie", FieldId::set_cookie},
    {"Retry-After", FieldId::retry_after},
    {"Server", FieldId::server},
};
static_assert(std::size(known) + 1 == field_id_count);

std::string changed(std::string_view text, int (*change)(int)) {
    std::string out(text);
    for (auto& c : out) c = static_cast<char>(change(c));
    return out;
}

TEST(FieldId, IsFoundInAnyCase) {
    for (const auto& [name, id] : known) {
        EXPECT_EQ(field_id(name), id) << name;
        EXPECT_EQ(field_id(changed(name, std::tolower)), id) << name;
        EXPECT_EQ(field_id(changed(name, std::toupper)), id) << name;
    }
}

TEST(FieldId, OfANameThatDiffersInOneCharacterIsOther) {
    for (const auto& [name, id] : known) {
        for (std::size_t i = 0; i < name.size(); ++i) {
            std::string other(name);
            other[i] = '~';
            EXPECT_EQ(field_id(other), FieldId::other) << other;
        }
        EXPECT_EQ(field_id(std::string(name) + "s"), FieldId::other) << name;
        EXPECT_EQ(field_id(name.substr(1)), FieldId::other) << name;
    }
}

TEST(FieldId, OfADashWrittenAsAnotherTokenCharacterIsOther) {
    EXPECT_EQ(field_id("content_length"), FieldId::other);
    EXPECT_EQ(field_id("x_forwarded_for"), FieldId::other);
    EXPECT_EQ(field_id(""), FieldId::other);
    EXPECT_EQ(field_id(std::string(1000, 'a')), FieldId::other);
}

TEST(FieldRules, SayWhatCrossesAndWhatConnectionMayTakeAway) {
    EXPECT_TRUE(is_hop_by_hop(FieldId::connection));
    EXPECT_TRUE(is_hop_by_hop(FieldId::http2_settings));
    EXPECT_FALSE(is_hop_by_hop(FieldId::content_length));
    EXPECT_FALSE(is_hop_by_hop(FieldId::other));
    EXPECT_TRUE(is_protected(FieldId::host));
    EXPECT_TRUE(is_protected(FieldId::content_length));
    EXPECT_TRUE(is_protected(FieldId::transfer_encoding));
    EXPECT_FALSE(is_protected(FieldId::cookie));
}

TEST(EqualIgnoringCase, FoldsLettersOnly) {
    EXPECT_TRUE(equal_ignoring_case("aZ-09", "Az-09"));
    EXPECT_FALSE(equal_ignoring_case("[", "{"));
    EXPECT_FALSE(equal_ignoring_case("@", "`"));
    EXPECT_FALSE(equal_ignoring_case("a", "ab"));
    EXPECT_TRUE(equal_ignoring_case("", ""));
}

}  // namespace
}  // namespace nsboot_lb::http
