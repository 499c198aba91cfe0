// What a server gets of a request, and who the client is (CONFIG: what a proxied request carries).
#include "request_head.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "made_exchange.hpp"
#include "nsboot_lb/http/field_names.hpp"

namespace nsboot_lb::forward {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

config::Config trusting(std::initializer_list<std::string_view> proxies) {
    config::Config config;
    config.forwarded.trust = ranges_of(proxies);
    return config;
}

/// A request from 192.0.2.1, or from the proxy at 10.0.0.1 if `trusted`.
class Proxied {
  public:
    explicit Proxied(std::string_view request, bool trusted = false) : made(request, trusting({"10.0.0.0/8"})) {
        endpoint.host = "server:8080";
        made.connect_from(trusted ? "10.0.0.1" : "192.0.2.1");
        made.client.trusted = trusted;
        made.exchange.request_id = {};
        accepted = prepare_request(made.worker, made.exchange);
    }
    /// The head for the server; its lines without their ends.
    std::vector<std::string> lines() {
        http::h1::Output out;
        write_request_head(made.worker, made.exchange, endpoint, out);
        std::vector<std::string> lines;
        std::string_view text = out.text();
        EXPECT_TRUE(text.ends_with("\r\n\r\n"));
        while (!text.empty()) {
            const auto end = text.find("\r\n");
            lines.emplace_back(text.substr(0, end));
            text.remove_prefix(end + 2);
        }
        lines.pop_back();
        return lines;
    }
    /// The values of every field with this name.
    std::vector<std::string> values(std::string_view name) {
        std::vector<std::string> values;
        for (const auto& line : lines()) {
            const auto colon = line.find(": ");
            if (colon != std::string::npos && http::equal_ignoring_case(std::string_view{line}.substr(0, colon), name))
                values.push_back(line.substr(colon + 2));
        }
        return values;
    }

    MadeExchange made;
    upstream::Endpoint endpoint;
    bool accepted = false;
};

std::string with_fields(std::string_view fields) {
    return "GET / HTTP/1.1\r\nHost: a.test\r\n" + std::string(fields) + "\r\n";
}

TEST(RequestHead, IsTheClientsWithWhatAProxiedRequestCarries) {
    Proxied request{"GET /a%2F?b HTTP/1.1\r\nHost: a.test:81\r\nUser-Agent: iPXE\r\nx-lower:  v \r\n\r\n"};
    const auto id = std::string(request.made.exchange.request_id);
    EXPECT_EQ(id.size(), 32U);
    EXPECT_THAT(request.lines(),
                ElementsAre("GET /a%2F?b HTTP/1.1", "Host: a.test:81", "User-Agent: iPXE", "x-lower: v",
                            "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1", "X-Forwarded-Proto: http",
                            "X-Forwarded-Host: a.test:81", "X-Request-ID: " + id, "Via: 1.1 lb-test"));
}

TEST(RequestHead, SpeaksItsOwnVersion) {
    Proxied request{"GET / HTTP/1.0\r\n\r\n"};
    EXPECT_EQ(request.lines().front(), "GET / HTTP/1.1");
    EXPECT_THAT(request.values("Host"), ElementsAre("server:8080")) << "which every 1.1 request has";
}

TEST(RequestHead, HasTheAuthorityOfAnAbsoluteTargetAsItsHost) {
    Proxied request{"GET http://a.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n"};
    EXPECT_EQ(request.lines().front(), "GET /x HTTP/1.1");
    EXPECT_THAT(request.values("Host"), ElementsAre("a.test"));
    EXPECT_THAT(request.values("X-Forwarded-Host"), ElementsAre("a.test"));
}

TEST(RequestHead, AsksForTheRewrittenTarget) {
    Proxied request{"GET /old/x HTTP/1.1\r\nHost: a.test\r\n\r\n"};
    request.made.exchange.rewritten_target = "/x";
    EXPECT_EQ(request.lines().front(), "GET /x HTTP/1.1");
}

TEST(RequestHead, HasTheHostThatAFilterPutInPlaceAndNoOther) {
    Proxied request{with_fields("")};
    auto& field = request.made.exchange.request.fields[0];
    field.value = "b.test";
    field.canonical = false;
    EXPECT_THAT(request.values("Host"), ElementsAre("b.test"));
    EXPECT_THAT(request.values("X-Forwarded-Host"), ElementsAre("a.test")) << "what the client asked for";
}

TEST(RequestHead, LosesWhatBelongsToTheConnection) {
    Proxied request{
        with_fields("Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
                    "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nTE: gzip\r\nTransfer_Encoding: chunked\r\n")};
    for (const auto name : {"Connection", "X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade", "HTTP2-Settings", "TE",
                            "Transfer_Encoding"})
        EXPECT_THAT(request.values(name), ElementsAre()) << name;
}

TEST(RequestHead, AsksForTrailersIfTheClientDoes) {
    Proxied request{with_fields("TE: trailers\r\nConnection: TE\r\n")};
    EXPECT_THAT(request.values("TE"), ElementsAre("trailers"));
    EXPECT_THAT(request.values("Connection"), ElementsAre("TE"));
}

TEST(RequestHead, AsksForAWebSocketIfTheClientDoes) {
    Proxied request{with_fields("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n")};
    EXPECT_THAT(request.values("Connection"), ElementsAre("Upgrade"));
    EXPECT_THAT(request.values("Upgrade"), ElementsAre("websocket"));
    EXPECT_THAT(request.values("Sec-WebSocket-Key"), ElementsAre("k"));
}

TEST(RequestHead, HasOneFramingThatIsWrittenAnew) {
    Proxied length{"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 005\r\n\r\n"};
    EXPECT_THAT(length.lines(), Contains("Content-Length: 5").Times(1));
    EXPECT_THAT(length.values("Content-Length"), ElementsAre("5"));
    Proxied chunked{"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n"};
    EXPECT_THAT(chunked.values("Transfer-Encoding"), ElementsAre("chunked"));
    Proxied empty{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"};
    EXPECT_THAT(empty.values("Content-Length"), ElementsAre("0"));
    Proxied none{with_fields("")};
    EXPECT_THAT(none.values("Content-Length"), ElementsAre());
    EXPECT_THAT(none.values("Transfer-Encoding"), ElementsAre());
}

TEST(RequestHead, CarriesWhatFiltersAdd) {
    Proxied request{with_fields("")};
    request.made.exchange.request_additions = {{"X-A", "1"}, {"X-B", "2"}};
    EXPECT_THAT(request.lines(), AllOf(Contains("X-A: 1"), Contains("X-B: 2")));
}

TEST(RequestHead, KeepsAnExpectationAndUnknownFieldsInOrder) {
    Proxied request{with_fields("X-B: 1\r\nExpect: 100-continue\r\nX-A: 2\r\nX-B: 3\r\n")};
    EXPECT_THAT(request.values("X-B"), ElementsAre("1", "3"));
    EXPECT_THAT(request.values("Expect"), ElementsAre("100-continue"));
}

TEST(RequestLoop, IsNoticedByOurOwnVia) {
    EXPECT_TRUE(Proxied{with_fields("Via: 1.1 other\r\n")}.accepted);
    EXPECT_FALSE(Proxied{with_fields("Via: 1.1 other, 1.1 lb-test\r\n")}.accepted);
    Proxied twice{with_fields("Via: 1.1 other\r\n")};
    EXPECT_THAT(twice.values("Via"), ElementsAre("1.1 other", "1.1 lb-test"));
}

// ---- Whom to believe

constexpr std::string_view claims =
    "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
    "X-Forwarded-Host: claimed.test\r\nForwarded: for=203.0.113.9\r\nX-Request-ID: claimed\r\n";

TEST(ForwardedFields, OfAStrangerAreReplaced) {
    Proxied request{with_fields(claims)};
    EXPECT_THAT(request.values("X-Forwarded-For"), ElementsAre("192.0.2.1"));
    EXPECT_THAT(request.values("X-Real-IP"), ElementsAre("192.0.2.1"));
    EXPECT_THAT(request.values("X-Forwarded-Proto"), ElementsAre("http"));
    EXPECT_THAT(request.values("X-Forwarded-Host"), ElementsAre("a.test"));
    EXPECT_THAT(request.values("Forwarded"), ElementsAre());
    EXPECT_THAT(request.values("X-Request-ID"), ElementsAre(Not("claimed")));
    EXPECT_EQ(request.made.exchange.client_address, address_of("192.0.2.1"));
    EXPECT_EQ(request.made.exchange.client_ip(), "192.0.2.1");
}

TEST(ForwardedFields, OfATrustedProxyAreKeptAndAppendedTo) {
    Proxied request{with_fields(claims), true};
    EXPECT_THAT(request.values("X-Forwarded-For"), ElementsAre("203.0.113.9, 10.0.0.1"));
    EXPECT_THAT(request.values("X-Real-IP"), ElementsAre("203.0.113.9"));
    EXPECT_THAT(request.values("X-Forwarded-Proto"), ElementsAre("https"));
    EXPECT_THAT(request.values("X-Forwarded-Host"), ElementsAre("claimed.test"));
    EXPECT_THAT(request.values("Forwarded"), ElementsAre("for=203.0.113.9"));
    EXPECT_THAT(request.values("X-Request-ID"), ElementsAre("claimed"));
    EXPECT_EQ(request.made.exchange.client_address, address_of("203.0.113.9"));
}

TEST(ForwardedFields, ThatConnectionNamesDoNotCrossEvenIfTrusted) {
    Proxied request{with_fields("Connection: X-Forwarded-Proto\r\nX-Forwarded-Proto: https\r\n"), true};
    EXPECT_THAT(request.values("X-Forwarded-Proto"), ElementsAre("http"));
}

struct ChainCase {
    std::string_view name;
    std::string_view fields;
    std::string_view client;
};

class ForwardedForChain : public ::testing::TestWithParam<ChainCase> {};

TEST_P(ForwardedForChain, NamesTheLastAddressThatIsNoProxyOfOurs) {
    Proxied request{with_fields(GetParam().fields), true};
    EXPECT_EQ(request.made.exchange.client_ip(), GetParam().client);
    EXPECT_EQ(request.made.exchange.client_address, address_of(GetParam().client));
}

constexpr ChainCase chains[] = {
    {"none", "", "10.0.0.1"},
    {"one", "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"},
    {"behind_two_proxies", "X-Forwarded-For: 203.0.113.9, 10.0.0.2\r\n", "203.0.113.9"},
    {"with_an_invented_beginning", "X-Forwarded-For: 198.51.100.1, 203.0.113.9,10.0.0.2\r\n", "203.0.113.9"},
    {"in_two_fields", "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\nX-Forwarded-For: 10.0.0.2\r\n", "203.0.113.9"},
    {"of_proxies_alone", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"},
    {"with_port", "X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9"},
    {"of_version_6", "X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7"},
    {"of_version_6_with_port", "X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7"},
    {"of_version_6_in_another_spelling", "X-Forwarded-For: 2001:DB8:0::7\r\n", "2001:db8::7"},
    {"that_ends_in_nonsense", "X-Forwarded-For: 203.0.113.9, unknown\r\n", "10.0.0.1"},
    {"with_nonsense_before_a_proxy", "X-Forwarded-For: unknown, 10.0.0.2\r\n", "10.0.0.2"},
    {"of_nothing", "X-Forwarded-For:\r\n", "10.0.0.1"},
};
INSTANTIATE_TEST_SUITE_P(Chains, ForwardedForChain, ::testing::ValuesIn(chains),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(RequestId, OfATrustedProxyIsTakenOnlyIfThereIsOne) {
    Proxied request{with_fields("X-Request-ID:\r\n"), true};
    EXPECT_EQ(request.made.exchange.request_id.size(), 32U);
    Proxied two{with_fields("X-Request-ID: first\r\nX-Request-ID: second\r\n"), true};
    EXPECT_THAT(two.values("X-Request-ID"), ElementsAre("first"));
}

}  // namespace
}  // namespace nsboot_lb::forward
