#include "coverage.hpp"

#include <gtest/gtest.h>

#include "nsboot_lb/config/load.hpp"

namespace nsboot_lb::config {
namespace {

/// The match of a route written as in a file.
Match match(const std::string& text) {
    const auto result = load_text(
        "listeners: [{address: 127.0.0.1:0}]\npools: {p: {servers: [127.0.0.1:1]}}\nroutes: [{pool: p, match: " + text +
            "}]\n",
        "coverage.yaml");
    EXPECT_TRUE(result.ok()) << text;
    return result.ok() ? result.config->routes.front().match : Match{};
}

bool covers(const std::string& wide, const std::string& narrow) {
    Coverage coverage;
    coverage.add(match(wide), 0);
    return coverage.add(match(narrow), 1) == 0U;
}

TEST(Coverage, NoConditionTakesEverything) {
    EXPECT_TRUE(covers("{}", "{}"));
    EXPECT_TRUE(covers("{}", "{path: /a, method: GET}"));
    EXPECT_FALSE(covers("{path: /a}", "{}"));
}

TEST(Coverage, PrefixesTakeWholeSegments) {
    EXPECT_TRUE(covers("{path_prefix: /ws}", "{path: /ws}"));
    EXPECT_TRUE(covers("{path_prefix: /ws}", "{path_prefix: /ws/x}"));
    EXPECT_TRUE(covers("{path_prefix: /ws/}", "{path: /ws/x}"));
    EXPECT_TRUE(covers("{path_prefix: /}", "{path_prefix: [/a, /b]}"));
    EXPECT_FALSE(covers("{path_prefix: /ws}", "{path_prefix: /wsx}"));
    EXPECT_FALSE(covers("{path_prefix: /ws/}", "{path: /ws}"));
    EXPECT_FALSE(covers("{path_prefix: /ws/x}", "{path_prefix: /ws}"));
    EXPECT_FALSE(covers("{path_prefix: /a}", "{path_prefix: [/a, /b]}"));
}

TEST(Coverage, PatternsCoverOnlyThemselves) {
    EXPECT_TRUE(covers("{path_glob: '/a/*'}", "{path_glob: '/a/*'}"));
    EXPECT_TRUE(covers("{path_regex: '/a.*'}", "{path_regex: '/a.*'}"));
    EXPECT_FALSE(covers("{path_regex: '/a.*'}", "{path: /ab}"));
    EXPECT_FALSE(covers("{path_prefix: /a}", "{path_glob: '/a/*'}"));
    EXPECT_FALSE(covers("{path: /a}", "{path_prefix: /a}"));
}

TEST(Coverage, HostsByNameAndByWildcard) {
    EXPECT_TRUE(covers("{host: a.x}", "{host: A.X}"));
    EXPECT_TRUE(covers("{host: '*.x'}", "{host: a.x}"));
    EXPECT_TRUE(covers("{host: '*.x'}", "{host: '*.a.x'}"));
    EXPECT_TRUE(covers("{host: [a.x, b.x]}", "{host: b.x}"));
    EXPECT_FALSE(covers("{host: '*.x'}", "{host: x}"));
    EXPECT_FALSE(covers("{host: '*.x'}", "{host: ax}"));
    EXPECT_FALSE(covers("{host: a.x}", "{host: [a.x, b.x]}"));
    EXPECT_FALSE(covers("{host: a.x}", "{path: /}"));
}

TEST(Coverage, MethodsAndClients) {
    EXPECT_TRUE(covers("{method: [GET, HEAD]}", "{method: HEAD}"));
    EXPECT_FALSE(covers("{method: GET}", "{method: [GET, HEAD]}"));
    EXPECT_TRUE(covers("{client: 10.0.0.0/8}", "{client: [10.1.0.0/16, 10.2.0.1]}"));
    EXPECT_FALSE(covers("{client: 10.1.0.0/16}", "{client: 10.0.0.0/8}"));
    EXPECT_FALSE(covers("{client: 10.0.0.0/8}", "{method: GET}"));
}

TEST(Coverage, AllHeaderConditionsOfTheWiderMustBeThere) {
    EXPECT_TRUE(covers("{header: {A: '1'}}", "{header: {A: '1', B: '2'}}"));
    EXPECT_FALSE(covers("{header: {A: '1', B: '2'}}", "{header: {A: '1'}}"));
    EXPECT_FALSE(covers("{header: {A: '1'}}", "{header: {A: '2'}}"));
    EXPECT_FALSE(covers("{header: {A: {present: true}}}", "{header: {A: {present: false}}}"));
}

TEST(Coverage, WebSocketMustBeTheSameIfAsked) {
    EXPECT_TRUE(covers("{}", "{websocket: true}"));
    EXPECT_TRUE(covers("{websocket: true}", "{websocket: true, path: /ws}"));
    EXPECT_FALSE(covers("{websocket: true}", "{}"));
    EXPECT_FALSE(covers("{websocket: false}", "{websocket: true}"));
}

}  // namespace
}  // namespace nsboot_lb::config
