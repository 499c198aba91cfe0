/// Whom a request is for, BEHAVIOURS rows 22 to 27: Host, the four forms of a request target, and methods that a
/// reverse proxy does not forward.
#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RoutingIdentityTest : public SharedProxy<RoutingIdentityTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers:
    servers: ["$origin"]
routes:
  - {name: secret, match: {path_prefix: /secret}, respond: {status: 200, body: "secret"}}
  - {name: inner, match: {host: inner.example.com}, respond: {status: 200, body: "inner"}}
  - {name: all, pool: servers}
)";
};

// Row 22
TEST_F(RoutingIdentityTest, ExactlyOneHostIsNeeded) {
    expect_refused("GET / HTTP/1.1\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400);
    expect_refused("GET http://a/ HTTP/1.1\r\n\r\n", 400);
    expect_nothing_forwarded();
}

// Row 22
TEST_F(RoutingIdentityTest, AnHttp10RequestNeedsNoHost) {
    EXPECT_EQ(exchange("GET /old HTTP/1.0\r\n\r\n").status(), 200);
    EXPECT_EQ(origin().await_request().start_line, "GET /old HTTP/1.1");
}

// Row 23
TEST_F(RoutingIdentityTest, AHostThatIsNotAHostIsRefused) {
    using namespace std::string_literals;
    const std::vector<std::string> values{"user@example.com",
                                          "user:pass@a",
                                          "a/b",
                                          "/",
                                          "a, b",
                                          "a b",
                                          "a\0b"s,
                                          "",
                                          "a:b",
                                          "a:80:80",
                                          "http://a",
                                          "[::1",
                                          "::1",
                                          "[zz]",
                                          "a?b",
                                          "a#b",
                                          "a\\b",
                                          "[::1]x",
                                          "a\"b",
                                          "a:-1",
                                          "<a>",
                                          "a%zz",
                                          ":80",
                                          "[]",
                                          "a\tb",
                                          "a,",
                                          "{a}",
                                          "\xc3\xa9.com"};
    for (const auto& value : values) expect_refused("GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n", 400);
    expect_nothing_forwarded();
}

// Row 23
TEST_F(RoutingIdentityTest, EveryKindOfHostPassesAsItCame) {
    const std::vector<std::string> values{
        "example.com",  "EXAMPLE.com:8080", "10.0.0.1",  "10.0.0.1:80",      "[::1]",
        "[fe80::1]:80", "a-b.c_d.e",        "localhost", "xn--bcher-kva.ch", "example.com."};
    std::size_t index = 0;
    for (const auto& value : values) {
        SCOPED_TRACE(value);
        EXPECT_EQ(exchange(get("/", value)).status(), 200);
        EXPECT_THAT(origin().await_request(index++).values("Host"), ElementsAre(value));
    }
}

// Row 24
TEST_F(RoutingIdentityTest, AnAbsoluteTargetsAuthorityReplacesHost) {
    EXPECT_EQ(exchange("GET http://Shop.example.com:81/a?b HTTP/1.1\r\nHost: other.example.com\r\n\r\n").status(), 200);
    const Message request = origin().await_request();
    EXPECT_EQ(request.start_line, "GET /a?b HTTP/1.1");
    ASSERT_EQ(request.values("Host").size(), 1U);
    EXPECT_TRUE(equal_ignoring_case(request.field("Host"), "shop.example.com:81"));

    // Routing looks at the authority too, not at Host.
    EXPECT_EQ(exchange("GET http://inner.example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n").body, "inner");
    EXPECT_EQ(exchange("GET http://example.com/ HTTP/1.1\r\nHost: inner.example.com\r\n\r\n").body, "ok");
}

// Row 24
TEST_F(RoutingIdentityTest, AnAbsoluteTargetWithoutPathBecomesASlash) {
    EXPECT_EQ(exchange("GET http://example.com HTTP/1.1\r\nHost: example.com\r\n\r\n").status(), 200);
    EXPECT_EQ(exchange("GET http://example.com?q HTTP/1.1\r\nHost: example.com\r\n\r\n").status(), 200);
    EXPECT_EQ(origin().await_request(0).target(), "/");
    EXPECT_EQ(origin().await_request(1).target(), "/?q");
}

// Row 24
TEST_F(RoutingIdentityTest, AnAbsoluteTargetOfBadFormIsRefused) {
    for (const auto* target : {"http://user@example.com/", "http://", "http:///a", "http:example.com/", "http:/a",
                               "ftp://example.com/", "http://a b/", "http://a:b/"}) {
        expect_refused("GET " + std::string{target} + " HTTP/1.1\r\nHost: example.com\r\n\r\n", 400);
    }
    expect_nothing_forwarded();
}

// Row 25
TEST_F(RoutingIdentityTest, AnAsteriskBelongsToOptions) {
    for (const auto* method : {"GET", "POST", "HEAD", "DELETE"}) {
        Client client = connect();
        client.send(std::string{method} + " * HTTP/1.1\r\nHost: example.com\r\n\r\n");
        EXPECT_EQ(client.response_head().status(), 400) << method;
    }
    expect_nothing_forwarded();
}

// Row 25
TEST_F(RoutingIdentityTest, OptionsOfAnAsteriskIsAnsweredByTheProxy) {
    Client client = connect();
    const Message response = client.exchange("OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n");
    EXPECT_EQ(response.status(), 200);
    for (const auto* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}) {
        EXPECT_THAT(response.field("Allow"), HasSubstr(method));
    }
    EXPECT_EQ(client.exchange(get("/the-same-connection")).status(), 200);
    EXPECT_EQ(origin().requests().size(), 1U);
}

// Row 26
TEST_F(RoutingIdentityTest, ConnectAndTraceAreNotForwarded) {
    for (const auto* request :
         {"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
          "TRACE / HTTP/1.1\r\nHost: example.com\r\n\r\n", "CONNECT / HTTP/1.1\r\nHost: example.com\r\n\r\n",
          "TRACE / HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 0\r\n\r\n"}) {
        SCOPED_TRACE(request);
        const Message response = exchange(request);
        EXPECT_EQ(response.status(), 405);
        EXPECT_THAT(response.field("Allow"), HasSubstr("GET"));  // RFC 9110 15.5.6
        EXPECT_THAT(response.body, testing::Not(HasSubstr("Max-Forwards")));
    }
    expect_nothing_forwarded();
}

// Row 27
TEST_F(RoutingIdentityTest, ATargetIsForwardedByteForByte) {
    const std::vector<std::string> targets{
        "/a%2Fb", "/a%2fb",  "//a//b",   "/a/../b", "/./a", "/a\\b",  "/%7Euser",   "/~user", "/a;b=c",  "/?a=b?c",
        "/a?",    "/%C3%A9", "/a%20b+c", "/a|b^c",  "/{a}", "/\"a\"", "/a?b=/../c", "/%41",   "/a//?//", "/a:b@c"};
    std::size_t index = 0;
    for (const auto& target : targets) {
        SCOPED_TRACE(target);
        EXPECT_EQ(exchange(get(target)).status(), 200);
        EXPECT_EQ(origin().await_request(index++).target(), target);
    }
}

// Row 27
TEST_F(RoutingIdentityTest, RoutesAreMatchedOnTheNormalisedPath) {
    for (const auto* target : {"/secret", "/secret/", "/a/../secret", "//secret", "/./secret/x", "/%73ecret",
                               "/secret/../secret", "/a/%2e%2e/secret", "/a/b/../../secret", "/%2E/secret"}) {
        EXPECT_EQ(exchange(get(target)).body, "secret") << target;
    }
    for (const auto* target : {"/secrets", "/secret/../public", "/a?/secret", "/a?/../secret"}) {
        EXPECT_EQ(exchange(get(target)).body, "ok") << target;
    }
}

// Row 27
TEST_F(RoutingIdentityTest, NulAndFragmentsInATargetAreRefused) {
    for (const auto* target : {"/a%00b", "/%00", "/a?b=%00", "/a#b", "/#", "#", "/a?b#c", "http://example.com/#a"}) {
        expect_refused(get(target), 400);
    }
    expect_nothing_forwarded();
}

}  // namespace
}  // namespace nsboot_lb::test
