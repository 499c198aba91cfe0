#include "nsboot_lb/http/template.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::http {
namespace {

using testing::HasSubstr;

constexpr TemplateValues values{.client_ip = "192.0.2.1",
                                .host = "nsboot.example.com",
                                .uri = "/images/a%20b?x=1",
                                .path = "/images/a%20b",
                                .query = "x=1",
                                .scheme = "https",
                                .request_id = "7f3a"};

std::string expanded(std::string_view text, const TemplateValues& of = values) {
    const auto parsed = Template::parse(text);
    EXPECT_TRUE(parsed.has_value()) << text;
    std::string out;
    if (parsed) parsed->expand(of, out);
    return out;
}

std::string error_of(std::string_view text) {
    const auto parsed = Template::parse(text);
    return parsed ? std::string() : parsed.error();
}

TEST(Template, EachPlaceholderStandsForItsValue) {
    EXPECT_EQ(expanded("https://{host}{uri}"), "https://nsboot.example.com/images/a%20b?x=1");
    EXPECT_EQ(expanded("{client_ip}|{path}|{query}|{scheme}|{request_id}"), "192.0.2.1|/images/a%20b|x=1|https|7f3a");
}

TEST(Template, TextWithoutPlaceholdersIsItself) {
    EXPECT_EQ(expanded("nosniff"), "nosniff");
    EXPECT_EQ(expanded(""), "");
}

TEST(Template, DoubledBracesAreBraces) {
    EXPECT_EQ(expanded("{{host}}"), "{host}");
    EXPECT_EQ(expanded("{{{host}}}"), "{nsboot.example.com}");
    EXPECT_EQ(expanded("a}b}}c"), "a}b}c");
}

TEST(Template, AppendsToWhatIsThere) {
    std::string out = "Location: ";
    Template::parse("/{host}")->expand(values, out);
    EXPECT_EQ(out, "Location: /nsboot.example.com");
}

TEST(Template, WhatIsWrongIsSaid) {
    EXPECT_THAT(error_of("{nost}"), HasSubstr("unknown placeholder {nost}; known are {client_ip} {host}"));
    EXPECT_THAT(error_of("{}"), HasSubstr("unknown placeholder {}"));
    EXPECT_THAT(error_of("x{Host}"), HasSubstr("unknown placeholder {Host}"));
    EXPECT_THAT(error_of("x{host"), HasSubstr("without }"));
    EXPECT_THAT(error_of("a\r\nb"), HasSubstr("control"));
    EXPECT_THAT(error_of(std::string_view("a\0b", 3)), HasSubstr("control"));
}

TEST(Template, ValuesCannotEndALine) {
    auto hostile = values;
    hostile.path = "/a\r\nSet-Cookie: x\x7f\tb";
    EXPECT_EQ(expanded("{path}", hostile), "/aSet-Cookie: xb");
}

TEST(Template, OctetsBeyondAsciiPass) {
    auto wide = values;
    wide.path = "/\xc3\xbc";
    EXPECT_EQ(expanded("{path}", wide), "/\xc3\xbc");
}

TEST(WithoutPort, CutsThePortAndNothingElse) {
    EXPECT_EQ(without_port("example.com"), "example.com");
    EXPECT_EQ(without_port("example.com:8080"), "example.com");
    EXPECT_EQ(without_port("[2001:db8::1]:8080"), "[2001:db8::1]");
    EXPECT_EQ(without_port("[2001:db8::1]"), "[2001:db8::1]");
    EXPECT_EQ(without_port(""), "");
}

}  // namespace
}  // namespace nsboot_lb::http
