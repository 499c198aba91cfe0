// The configuration checks templates that other floors expand. It may not ask them, so this does: what one accepts, the
// other does too.
#include <gtest/gtest.h>

#include "nsboot_lb/config/load.hpp"
#include "nsboot_lb/http/template.hpp"
#include "nsboot_lb/observe/access_log.hpp"

namespace nsboot_lb::config {
namespace {

bool loads(const std::string& route, const std::string& logging) {
    return load_text("listeners: [{address: 127.0.0.1:0}]\npools: {p: {servers: [a:1]}}\nroutes: [{" + route +
                         "}]\nlogging: {" + logging + "}\n",
                     "placeholders.yaml")
        .ok();
}

bool loads_format(const std::string& format) {
    return loads("pool: p", "access: {format: '" + format + "'}");
}

TEST(Placeholders, OfTheAccessLogAreAllAccepted) {
    for (const auto word : observe::access_log_placeholders())
        EXPECT_TRUE(loads_format("{" + std::string(word) + "}")) << word;
    EXPECT_FALSE(loads_format("{nonsense}"));
}

TEST(Placeholders, ThatAreAcceptedTheAccessLogKnows) {
    const auto result = load_text("logging: {access: {format: '{nonsense}'}}", "placeholders.yaml");
    std::string known;
    for (const auto& problem : result.problems)
        if (problem.what.find("nonsense") != std::string::npos) known = problem.hint;
    ASSERT_TRUE(known.starts_with("known are "));
    std::string expected = "known are";
    for (const auto word : observe::access_log_placeholders()) expected += " {" + std::string(word) + "}";
    EXPECT_EQ(known, expected);
}

TEST(Placeholders, OfRedirectsAndHeadersTheTemplateKnows) {
    for (const auto* text : {"https://{host}{uri}", "{path}?{query}", "{scheme}", "{{plain}}", "a}b"}) {
        EXPECT_TRUE(loads("redirect: {to: '" + std::string(text) + "'}", "")) << text;
        EXPECT_TRUE(http::Template::parse(text).has_value()) << text;
    }
    for (const auto* text : {"{client_ip}", "{host}{uri}", "{scheme}", "{request_id}", "{{}}"}) {
        EXPECT_TRUE(loads("pool: p, request_headers: {set: {X-A: '" + std::string(text) + "'}}", "")) << text;
        EXPECT_TRUE(http::Template::parse(text).has_value()) << text;
    }
}

TEST(Placeholders, WhatTheTemplateRefusesIsRefused) {
    for (const auto* text : {"{", "{}", "{nonsense}", "a{host", "{Host}", "{host }"}) {
        EXPECT_FALSE(loads("redirect: {to: '" + std::string(text) + "'}", "")) << text;
        EXPECT_FALSE(loads("pool: p, request_headers: {set: {X-A: '" + std::string(text) + "'}}", "")) << text;
        EXPECT_FALSE(http::Template::parse(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace nsboot_lb::config
