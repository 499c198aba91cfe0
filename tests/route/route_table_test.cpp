#include "nsboot_lb/route/route_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsboot_lb/http/head.hpp"

namespace nsboot_lb::route {
namespace {

using config::HeaderTest;
using config::PathMatch;
using testing::ElementsAre;
using testing::HasSubstr;

config::Route route_of(config::Match match) {
    config::Route route;
    route.match = std::move(match);
    return route;
}

config::Match on_path(PathMatch kind, std::string text) {
    config::Match match;
    match.path.push_back({.kind = kind, .text = std::move(text), .position = {}});
    return match;
}

config::Match on_host(std::string host) {
    config::Match match;
    match.host.push_back(std::move(host));
    return match;
}

RouteTable table_of(const std::vector<config::Match>& matches) {
    std::vector<config::Route> routes;
    for (const auto& match : matches) routes.push_back(route_of(match));
    return RouteTable(routes);
}

RouteRequest get(std::string_view path, std::string_view host = "nsboot.example.com") {
    return {.host = host, .path = path, .method = "GET", .head = nullptr, .websocket = false, .client = {}};
}

bool takes(const config::Match& match, const RouteRequest& request) {
    const auto table = table_of({match});
    const auto found = table.match(request);
    EXPECT_EQ(table.explain(request).match, found);
    return found.has_value();
}

TEST(RouteTable, WithoutRoutesMatchesNothing) {
    EXPECT_EQ(table_of({}).match(get("/")), std::nullopt);
}

TEST(RouteTable, ARouteThatAsksForNothingTakesEverything) {
    EXPECT_TRUE(takes({}, get("/any/thing")));
    EXPECT_TRUE(takes({}, {}));
}

TEST(RouteTable, TheFirstOfTheFileWins) {
    const auto table = table_of({on_path(PathMatch::prefix, "/api"), on_path(PathMatch::exact, "/api/login"),
                                 on_host("nsboot.example.com"), on_path(PathMatch::glob, "/boot/*"), config::Match{},
                                 on_path(PathMatch::exact, "/late")});
    EXPECT_EQ(table.match(get("/api/login")), 0U);
    EXPECT_EQ(table.match(get("/boot/x")), 2U);
    EXPECT_EQ(table.match(get("/boot/x", "other")), 3U);
    EXPECT_EQ(table.match(get("/late", "other")), 4U);
}

TEST(RouteTable, ARouteWhoseConditionsFailIsPassedOverForTheNextOfTheSamePath) {
    auto login = on_path(PathMatch::exact, "/login");
    login.method = {"POST", "PUT"};
    const auto table = table_of({login, on_path(PathMatch::exact, "/login")});
    auto request = get("/login");
    EXPECT_EQ(table.match(request), 1U);
    request.method = "PUT";
    EXPECT_EQ(table.match(request), 0U);
    request.method = "put";
    EXPECT_EQ(table.match(request), 1U);
}

TEST(RouteTablePath, ExactIsTheWholePath) {
    const auto match = on_path(PathMatch::exact, "/api/login");
    EXPECT_TRUE(takes(match, get("/api/login")));
    EXPECT_FALSE(takes(match, get("/api/login/")));
    EXPECT_FALSE(takes(match, get("/api/Login")));
    EXPECT_FALSE(takes(match, get("/api")));
    EXPECT_TRUE(takes(on_path(PathMatch::exact, "/"), get("/")));
    EXPECT_TRUE(takes(on_path(PathMatch::exact, "/a/"), get("/a/")));
    EXPECT_FALSE(takes(on_path(PathMatch::exact, "/a/"), get("/a")));
    EXPECT_FALSE(takes(on_path(PathMatch::exact, "/"), get("*")));
}

TEST(RouteTablePath, PrefixTakesWholeSegments) {
    const auto match = on_path(PathMatch::prefix, "/ws");
    EXPECT_TRUE(takes(match, get("/ws")));
    EXPECT_TRUE(takes(match, get("/ws/")));
    EXPECT_TRUE(takes(match, get("/ws/x/y")));
    EXPECT_FALSE(takes(match, get("/wsx")));
    EXPECT_FALSE(takes(match, get("/w")));
    EXPECT_FALSE(takes(match, get("/")));
}

TEST(RouteTablePath, PrefixWithATrailingSlashTakesWhatBeginsWithIt) {
    const auto match = on_path(PathMatch::prefix, "/images/");
    EXPECT_TRUE(takes(match, get("/images/")));
    EXPECT_TRUE(takes(match, get("/images/x")));
    EXPECT_TRUE(takes(match, get("/images/x/y")));
    EXPECT_FALSE(takes(match, get("/images")));
    EXPECT_FALSE(takes(match, get("/imagesx/")));
}

TEST(RouteTablePath, PrefixRootTakesEveryPath) {
    const auto match = on_path(PathMatch::prefix, "/");
    EXPECT_TRUE(takes(match, get("/")));
    EXPECT_TRUE(takes(match, get("/a/b")));
    EXPECT_TRUE(takes(match, get("")));
    EXPECT_FALSE(takes(match, get("*")));
}

TEST(RouteTablePath, GlobStarsStayInASegmentAndDoubleStarsDoNot) {
    const auto star = on_path(PathMatch::glob, "/images/*.iso");
    EXPECT_TRUE(takes(star, get("/images/debian.iso")));
    EXPECT_TRUE(takes(star, get("/images/.iso")));
    EXPECT_FALSE(takes(star, get("/images/old/debian.iso")));
    EXPECT_FALSE(takes(star, get("/images/debianxiso")));
    EXPECT_FALSE(takes(star, get("/images/debian.iso/x")));
    const auto stars = on_path(PathMatch::glob, "/images/**.iso");
    EXPECT_TRUE(takes(stars, get("/images/debian.iso")));
    EXPECT_TRUE(takes(stars, get("/images/old/debian.iso")));
    const auto between = on_path(PathMatch::glob, "/a/**/z");
    EXPECT_TRUE(takes(between, get("/a/z")));
    EXPECT_TRUE(takes(between, get("/a/b/c/z")));
    EXPECT_FALSE(takes(between, get("/a/bz")));
    EXPECT_TRUE(takes(on_path(PathMatch::glob, "**.ipxe"), get("/boot/x.ipxe")));
    EXPECT_TRUE(takes(on_path(PathMatch::glob, "/im*/x"), get("/images/x")));
    EXPECT_TRUE(takes(on_path(PathMatch::glob, "/plain"), get("/plain")));
    EXPECT_FALSE(takes(on_path(PathMatch::glob, "/plain"), get("/plain/x")));
}

TEST(RouteTablePath, GlobTakesOtherSignsLiterally) {
    EXPECT_TRUE(takes(on_path(PathMatch::glob, "/a?b[c]{d}+(e)|^$.*"), get("/a?b[c]{d}+(e)|^$.x")));
    EXPECT_TRUE(takes(on_path(PathMatch::glob, "/%2A/*"), get("/*/x")));
    EXPECT_FALSE(takes(on_path(PathMatch::glob, "/%2A/*"), get("/y/x")));
}

TEST(RouteTablePath, RegexTakesTheWholePath) {
    const auto match = on_path(PathMatch::regex, "/v[0-9]+/(boot|images)/.*");
    EXPECT_TRUE(takes(match, get("/v12/boot/x")));
    EXPECT_FALSE(takes(match, get("/x/v12/boot/x")));
    EXPECT_FALSE(takes(match, get("/v12/boot")));
}

TEST(RouteTablePath, RegexAndGlobDotsTakeOctetsThatAreNoText) {
    EXPECT_TRUE(takes(on_path(PathMatch::regex, "/admin/.*"), get("/admin/%ff%0a%00")));
    EXPECT_TRUE(takes(on_path(PathMatch::glob, "/admin/**"), get("/admin/%ff%0a/x")));
    EXPECT_TRUE(takes(on_path(PathMatch::glob, "/\xc3\xbc/*"), get("/%C3%BC/x")));
}

TEST(RouteTablePath, SpellingDoesNotMatter) {
    for (const std::string_view path : {"/admin/x", "//admin/x", "/%61dmin/x", "/public/../admin/x", "/./admin//x",
                                        "/public/%2e%2e/admin%2fx", "\\admin\\x", "/\\admin\\x"}) {
        const bool is_a_path = path.front() == '/';
        EXPECT_EQ(takes(on_path(PathMatch::prefix, "/admin"), get(path)), is_a_path) << path;
        EXPECT_EQ(takes(on_path(PathMatch::exact, "/admin/x"), get(path)), is_a_path) << path;
        EXPECT_EQ(takes(on_path(PathMatch::glob, "/admin/*"), get(path)), is_a_path) << path;
        EXPECT_EQ(takes(on_path(PathMatch::regex, "/admin/x"), get(path)), is_a_path) << path;
    }
    EXPECT_FALSE(takes(on_path(PathMatch::prefix, "/public"), get("/public/../admin")));
    EXPECT_TRUE(takes(on_path(PathMatch::exact, "/a%20b"), get("/a%20b")));
    EXPECT_TRUE(takes(on_path(PathMatch::exact, "/a b"), get("/a%20b")));
}

TEST(RouteTableHost, ExactNamesInAnyCaseWithAnyPort) {
    const auto match = on_host("nsboot.example.com");
    EXPECT_TRUE(takes(match, get("/", "nsboot.example.com")));
    EXPECT_TRUE(takes(match, get("/", "NSBoot.Example.COM:8080")));
    EXPECT_TRUE(takes(match, get("/", "nsboot.example.com.")));
    EXPECT_TRUE(takes(match, get("/", "nsboot.example.com.:80")));
    EXPECT_FALSE(takes(match, get("/", "x.nsboot.example.com")));
    EXPECT_FALSE(takes(match, get("/", "example.com")));
    EXPECT_FALSE(takes(match, get("/", "")));
}

TEST(RouteTableHost, WildcardsTakeOneLabelMoreOrSeveral) {
    const auto match = on_host("*.example.com");
    EXPECT_TRUE(takes(match, get("/", "a.example.com")));
    EXPECT_TRUE(takes(match, get("/", "b.a.EXAMPLE.com:81")));
    EXPECT_TRUE(takes(match, get("/", std::string(60, 'x') + ".example.com")));
    EXPECT_FALSE(takes(match, get("/", "example.com")));
    EXPECT_FALSE(takes(match, get("/", ".example.com")));
    EXPECT_FALSE(takes(match, get("/", "badexample.com")));
}

TEST(RouteTableHost, IPv6LiteralsWithAndWithoutBracketsInAnyForm) {
    for (const auto* configured : {"2001:db8::1", "[2001:db8::1]"}) {
        EXPECT_TRUE(takes(on_host(configured), get("/", "[2001:db8::1]")));
        EXPECT_TRUE(takes(on_host(configured), get("/", "[2001:DB8:0::1]:8080")));
        EXPECT_FALSE(takes(on_host(configured), get("/", "[2001:db8::2]")));
    }
    EXPECT_FALSE(takes(on_host("2001:db8::1"), get("/", "[")));
    EXPECT_TRUE(takes(on_host("10.0.0.1"), get("/", "10.0.0.1:80")));
}

TEST(RouteTableHost, AnyOfTheListIsEnoughAndThePathMustFitToo) {
    auto match = on_path(PathMatch::prefix, "/boot");
    match.host = {"a.example", "*.b.example", "c.example"};
    EXPECT_TRUE(takes(match, get("/boot/x", "a.example")));
    EXPECT_TRUE(takes(match, get("/boot/x", "z.b.example")));
    EXPECT_TRUE(takes(match, get("/boot/x", "c.example:1")));
    EXPECT_FALSE(takes(match, get("/api", "a.example")));
    EXPECT_FALSE(takes(match, get("/boot/x", "d.example")));
}

TEST(RouteTableConditions, WebSocketRequestsAndOthers) {
    config::Match match;
    match.websocket = true;
    auto request = get("/ws");
    EXPECT_FALSE(takes(match, request));
    request.websocket = true;
    EXPECT_TRUE(takes(match, request));
    match.websocket = false;
    EXPECT_FALSE(takes(match, request));
}

TEST(RouteTableConditions, ClientsInAnyOfTheRanges) {
    config::Match match;
    match.client = {*base::Cidr::parse("10.0.0.0/8"), *base::Cidr::parse("2001:db8::/32")};
    auto request = get("/");
    for (const auto& [address, inside] : {std::pair{"10.1.2.3", true}, std::pair{"::ffff:10.1.2.3", true},
                                          std::pair{"2001:db8::9", true}, std::pair{"11.0.0.1", false}}) {
        request.client = *base::IpAddress::parse(address);
        EXPECT_EQ(takes(match, request), inside) << address;
    }
}

class RouteTableHeader : public testing::Test {
  protected:
    RouteTableHeader() {
        head_.fields.push_back({.name = "X-Role", .value = "user"});
        head_.fields.push_back({.name = "x-role", .value = "admin"});
        head_.fields.push_back({.name = "X-Empty", .value = ""});
        request_.head = &head_;
    }
    bool takes_header(std::vector<config::HeaderMatch> headers) {
        config::Match match;
        match.header = std::move(headers);
        return takes(match, request_);
    }
    static config::HeaderMatch header(std::string name, HeaderTest test, std::string value, bool present = true) {
        return {.name = std::move(name), .test = test, .value = std::move(value), .present = present};
    }
    http::RequestHead head_;
    RouteRequest request_ = get("/");
};

TEST_F(RouteTableHeader, ExactTakesTheWholeValueOfAnyFieldOfTheName) {
    EXPECT_TRUE(takes_header({header("X-ROLE", HeaderTest::exact, "admin")}));
    EXPECT_TRUE(takes_header({header("X-Role", HeaderTest::exact, "user")}));
    EXPECT_FALSE(takes_header({header("X-Role", HeaderTest::exact, "Admin")}));
    EXPECT_FALSE(takes_header({header("X-Role", HeaderTest::exact, "adm")}));
    EXPECT_TRUE(takes_header({header("X-Empty", HeaderTest::exact, "")}));
    EXPECT_FALSE(takes_header({header("X-Other", HeaderTest::exact, "")}));
}

TEST_F(RouteTableHeader, RegexTakesTheWholeValue) {
    EXPECT_TRUE(takes_header({header("X-Role", HeaderTest::regex, "adm.*|root")}));
    EXPECT_FALSE(takes_header({header("X-Role", HeaderTest::regex, "adm")}));
}

TEST_F(RouteTableHeader, PresentAndAbsent) {
    EXPECT_TRUE(takes_header({header("x-empty", HeaderTest::present, "", true)}));
    EXPECT_FALSE(takes_header({header("x-empty", HeaderTest::present, "", false)}));
    EXPECT_TRUE(takes_header({header("x-other", HeaderTest::present, "", false)}));
    EXPECT_FALSE(takes_header({header("x-other", HeaderTest::present, "", true)}));
}

TEST_F(RouteTableHeader, EveryEntryOfTheMapHasToHold) {
    const auto role = header("X-Role", HeaderTest::exact, "admin");
    EXPECT_TRUE(takes_header({role, header("X-Empty", HeaderTest::present, "", true)}));
    EXPECT_FALSE(takes_header({role, header("X-Other", HeaderTest::present, "", true)}));
}

TEST_F(RouteTableHeader, WithoutAHeadNoFieldIsThere) {
    request_.head = nullptr;
    EXPECT_FALSE(takes_header({header("X-Role", HeaderTest::exact, "admin")}));
    EXPECT_TRUE(takes_header({header("X-Role", HeaderTest::present, "", false)}));
}

TEST(RouteTableExplain, SaysOfEachRouteBeforeTheMatchWhyItWasPassedOver) {
    auto post = on_path(PathMatch::prefix, "/api");
    post.method = {"POST", "PUT"};
    auto inside = on_path(PathMatch::prefix, "/api");
    inside.client = {*base::Cidr::parse("10.0.0.0/8")};
    auto socket = on_path(PathMatch::prefix, "/api");
    socket.websocket = true;
    auto role = on_path(PathMatch::prefix, "/api");
    role.header = {{.name = "X-Role", .test = HeaderTest::exact, .value = "admin", .present = true}};
    const auto table = table_of({on_host("*.other.example"), on_path(PathMatch::glob, "/boot/*"), post, inside, socket,
                                 role, on_path(PathMatch::prefix, "/api"), config::Match{}});
    auto request = get("/x/../api/%1b", "NSBoot.example.com:80");
    request.client = *base::IpAddress::parse("192.0.2.1");
    const auto explanation = table.explain(request);

    std::vector<std::string> reasons;
    for (const auto& mismatch : explanation.passed_over) {
        EXPECT_EQ(mismatch.route, reasons.size());
        reasons.push_back(mismatch.why);
    }
    EXPECT_THAT(reasons, ElementsAre("host \"nsboot.example.com\" is not *.other.example",
                                     "path \"/api/\\x1b\" is not of the glob \"/boot/*\"",
                                     "method \"GET\" is not POST, PUT", "client 192.0.2.1 is not in 10.0.0.0/8",
                                     "it is not a WebSocket request", "no header X-Role: admin"));
    EXPECT_EQ(explanation.match, 6U);
    EXPECT_EQ(table.match(request), 6U);
    EXPECT_EQ(explanation.path, "/api/\x1b");
}

TEST(RouteTableExplain, WithoutAMatchListsThemAll) {
    const auto table = table_of({on_path(PathMatch::exact, "/a"), on_path(PathMatch::prefix, "/b")});
    const auto explanation = table.explain(get("/c"));
    EXPECT_EQ(explanation.match, std::nullopt);
    EXPECT_EQ(explanation.passed_over.size(), 2U);
    EXPECT_THAT(explanation.passed_over[1].why, HasSubstr("under \"/b\""));
}

}  // namespace
}  // namespace nsboot_lb::route
