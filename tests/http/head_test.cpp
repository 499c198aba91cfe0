#include "nsboot_lb/http/head.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nsboot_lb::http {
namespace {

Field field(FieldId id, std::string_view value) {
    return {.name = "Name", .value = value, .id = id};
}

std::vector<std::string_view> values_of(const Fields& fields, FieldId id) {
    std::vector<std::string_view> values;
    for (const auto& one : fields.all(id)) values.push_back(one.value);
    return values;
}

TEST(Fields, KnowWhichIdsAreAmongThem) {
    Fields fields;
    EXPECT_FALSE(fields.has(FieldId::host));
    EXPECT_EQ(fields.find(FieldId::host), nullptr);
    fields.push_back(field(FieldId::other, "a"));
    fields.push_back(field(FieldId::host, "b"));
    fields.push_back(field(FieldId::server, "c"));
    EXPECT_TRUE(fields.has(FieldId::host));
    EXPECT_TRUE(fields.has(FieldId::server));
    EXPECT_FALSE(fields.has(FieldId::connection));
    EXPECT_FALSE(fields.repeats(FieldId::host));
    EXPECT_EQ(fields.find(FieldId::host), &fields[1]);
    fields.push_back(field(FieldId::host, "d"));
    EXPECT_TRUE(fields.repeats(FieldId::host));
    EXPECT_FALSE(fields.repeats(FieldId::server));
    EXPECT_EQ(fields.find(FieldId::host), &fields[1]);
}

TEST(Fields, GiveAllOfAnIdInTheirOrder) {
    Fields fields;
    for (const auto value : {"", "a", "b"}) {
        fields.push_back(field(FieldId::via, value));
        fields.push_back(field(FieldId::other, "x"));
    }
    EXPECT_EQ(values_of(fields, FieldId::via), (std::vector<std::string_view>{"", "a", "b"}));
    EXPECT_EQ(values_of(fields, FieldId::te), std::vector<std::string_view>{});
    EXPECT_EQ(fields.value(FieldId::via), "a");
    EXPECT_EQ(fields.value(FieldId::te), "");
    for (auto& one : fields.all(FieldId::via)) one.dropped = true;
    EXPECT_EQ(std::ranges::count(fields, true, &Field::dropped), 3);
}

TEST(Fields, AreForgottenWithTheirIds) {
    Fields fields;
    for (int i = 0; i < 2; ++i) fields.push_back(field(FieldId::host, "a"));
    fields.clear();
    EXPECT_TRUE(fields.empty());
    EXPECT_EQ(fields.begin(), fields.end());
    EXPECT_FALSE(fields.has(FieldId::host));
    EXPECT_FALSE(fields.repeats(FieldId::host));
    fields.push_back(field(FieldId::host, "b"));
    EXPECT_FALSE(fields.repeats(FieldId::host));
    EXPECT_EQ(fields.value(FieldId::host), "b");
}

TEST(Fields, StayWhatTheyAreWhenTheyGrow) {
    Fields fields;
    std::vector<std::string> texts;
    for (int i = 0; i < 500; ++i) texts.push_back(std::to_string(i));
    for (const auto& text : texts) fields.push_back(field(FieldId::other, text));
    EXPECT_TRUE(std::ranges::equal(fields, texts, {}, &Field::value));
    const auto copied = fields;
    fields.clear();
    EXPECT_EQ(copied.size(), texts.size());
    EXPECT_EQ(copied[499].value, "499");
}

TEST(RequestHead, IsAfterItWasClearedLikeANewOne) {
    RequestHead head;
    head.method = Method::post;
    head.method_text = head.target = head.origin_target = head.path = head.query = head.host = head.bytes = "x";
    head.minor_version = 0;
    head.framing = Framing::chunked;
    head.content_length = 1;
    head.keep_alive = false;
    head.expect_continue = head.accepts_trailers = true;
    head.upgrade = UpgradeKind::other;
    head.max_forwards = 1;
    head.made_target = "x";
    head.fields.push_back(field(FieldId::host, "x"));
    head.clear();
    const RequestHead fresh;
    EXPECT_EQ(head.method, fresh.method);
    for (const auto text :
         {head.method_text, head.target, head.origin_target, head.path, head.query, head.host, head.bytes})
        EXPECT_EQ(text, "");
    EXPECT_EQ(head.minor_version, fresh.minor_version);
    EXPECT_EQ(head.framing, fresh.framing);
    EXPECT_EQ(head.content_length, fresh.content_length);
    EXPECT_EQ(head.keep_alive, fresh.keep_alive);
    EXPECT_EQ(head.expect_continue, fresh.expect_continue);
    EXPECT_EQ(head.accepts_trailers, fresh.accepts_trailers);
    EXPECT_EQ(head.upgrade, fresh.upgrade);
    EXPECT_EQ(head.max_forwards, fresh.max_forwards);
    EXPECT_EQ(head.made_target, fresh.made_target);
    EXPECT_TRUE(head.fields.empty());
}

TEST(ResponseHead, IsAfterItWasClearedLikeANewOne) {
    ResponseHead head;
    head.status = 200;
    head.reason = head.upgrade_value = "x";
    head.minor_version = 0;
    head.framing = Framing::chunked;
    head.content_length = head.size = 1;
    head.has_content_length = head.length_in_fields = head.has_date = true;
    head.keep_alive = false;
    head.upgrade = UpgradeKind::other;
    head.keep_alive_timeout_s = 1;
    head.fields.push_back(field(FieldId::host, "x"));
    head.clear();
    const ResponseHead fresh;
    EXPECT_EQ(head.status, fresh.status);
    EXPECT_EQ(head.reason, "");
    EXPECT_EQ(head.upgrade_value, "");
    EXPECT_EQ(head.minor_version, fresh.minor_version);
    EXPECT_EQ(head.framing, fresh.framing);
    EXPECT_EQ(head.content_length, fresh.content_length);
    EXPECT_EQ(head.size, fresh.size);
    EXPECT_EQ(head.has_content_length, fresh.has_content_length);
    EXPECT_EQ(head.length_in_fields, fresh.length_in_fields);
    EXPECT_EQ(head.has_date, fresh.has_date);
    EXPECT_EQ(head.keep_alive, fresh.keep_alive);
    EXPECT_EQ(head.upgrade, fresh.upgrade);
    EXPECT_EQ(head.keep_alive_timeout_s, fresh.keep_alive_timeout_s);
    EXPECT_TRUE(head.fields.empty());
}

}  // namespace
}  // namespace nsboot_lb::http
