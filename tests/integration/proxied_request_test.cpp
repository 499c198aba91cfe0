/// What a proxied request carries (CONFIG.md): the fields that tell a server who the client is, for clients that are
/// believed and for those that are not.
#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

class ProxiedRequestTest : public SharedProxy<ProxiedRequestTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers:
    servers: ["$origin"]
routes:
  - pool: servers
forwarded: {trust: [127.0.0.5, 127.0.1.0/24]}
)";

  protected:
    static constexpr const char* stranger = "127.0.0.6";
    static constexpr const char* trusted = "127.0.0.5";

    /// What the origin gets when `source` sends these field lines.
    static Message forwarded_from(const std::string& source, std::string_view lines,
                                  std::string_view host = "shop.example.com:8080") {
        const auto index = origin().requests().size();
        Client client = daemon().connect(source);
        client.exchange("GET /a?b HTTP/1.1\r\nHost: " + std::string{host} + "\r\n" + std::string{lines} + "\r\n");
        return origin().await_request(index);
    }
};

TEST_F(ProxiedRequestTest, CarriesWhoAskedForWhat) {
    const Message request = forwarded_from(stranger, "");
    EXPECT_EQ(request.start_line, "GET /a?b HTTP/1.1");
    EXPECT_THAT(request.values("Host"), ElementsAre("shop.example.com:8080"));
    EXPECT_THAT(request.values("X-Forwarded-For"), ElementsAre(stranger));
    EXPECT_THAT(request.values("X-Real-IP"), ElementsAre(stranger));
    EXPECT_THAT(request.values("X-Forwarded-Proto"), ElementsAre("http"));
    EXPECT_THAT(request.values("X-Forwarded-Host"), ElementsAre("shop.example.com:8080"));
    EXPECT_THAT(request.values("X-Request-ID"), ElementsAre(MatchesRegex("[0-9a-zA-Z-]+")));
    EXPECT_THAT(request.values("Via"), ElementsAre(MatchesRegex("1\\.1 nsboot-lb-[0-9a-f]{8}")));
}

TEST_F(ProxiedRequestTest, NothingElseIsAdded) {
    EXPECT_EQ(own_head(forwarded_from(stranger, "Accept: */*\r\n")),
              "GET /a?b HTTP/1.1\r\nHost: shop.example.com:8080\r\nAccept: */*\r\n\r\n");
}

TEST_F(ProxiedRequestTest, AStrangersListIsReplaced) {
    const Message request = forwarded_from(stranger, "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Real-IP: 1.2.3.4\r\n");
    EXPECT_THAT(request.values("X-Forwarded-For"), ElementsAre(stranger));
    EXPECT_THAT(request.values("X-Real-IP"), ElementsAre(stranger));
}

TEST_F(ProxiedRequestTest, ATrustedProxysListIsAppendedTo) {
    const Message request = forwarded_from(trusted, "X-Forwarded-For: 10.0.0.1\r\n");
    EXPECT_THAT(request.values("X-Forwarded-For"), ElementsAre("10.0.0.1, 127.0.0.5"));
    EXPECT_THAT(request.values("X-Real-IP"), ElementsAre("10.0.0.1"));
}

// The last address that no trusted proxy vouches for is the client; what stands before it, anybody could have written.
TEST_F(ProxiedRequestTest, TheClientIsTheLastAddressThatIsNotTrusted) {
    const Message request = forwarded_from(trusted, "X-Forwarded-For: 6.6.6.6, 10.0.0.1, 127.0.1.9\r\n");
    EXPECT_THAT(request.values("X-Forwarded-For"), ElementsAre("6.6.6.6, 10.0.0.1, 127.0.1.9, 127.0.0.5"));
    EXPECT_THAT(request.values("X-Real-IP"), ElementsAre("10.0.0.1"));
}

TEST_F(ProxiedRequestTest, SeveralForwardedForFieldsCountAsOneList) {
    const Message request =
        forwarded_from(trusted, "X-Forwarded-For: 10.0.0.1\r\nAccept: x\r\nX-Forwarded-For: 127.0.1.1\r\n");
    EXPECT_EQ(request.field("X-Real-IP"), "10.0.0.1");
    std::string joined;
    for (const auto& value : request.values("X-Forwarded-For")) joined += (joined.empty() ? "" : ", ") + value;
    EXPECT_EQ(joined, "10.0.0.1, 127.0.1.1, 127.0.0.5");
}

TEST_F(ProxiedRequestTest, WhatIsNoAddressInATrustedListIsNotBelieved) {
    for (const auto* value : {"unknown", "nonsense, \"x\"", "10.0.0.1:80:80", "", "_hidden"}) {
        SCOPED_TRACE(value);
        const Message request = forwarded_from(trusted, "X-Forwarded-For: " + std::string{value} + "\r\n");
        EXPECT_EQ(request.field("X-Real-IP"), trusted);
        ASSERT_FALSE(request.values("X-Forwarded-For").empty());
        EXPECT_TRUE(request.values("X-Forwarded-For").back().ends_with(trusted));
    }
}

TEST_F(ProxiedRequestTest, ProtoAndHostAreKeptFromATrustedProxyAlone) {
    const auto* lines = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: outer.example.com\r\n";
    const Message believed = forwarded_from(trusted, lines);
    EXPECT_THAT(believed.values("X-Forwarded-Proto"), ElementsAre("https"));
    EXPECT_THAT(believed.values("X-Forwarded-Host"), ElementsAre("outer.example.com"));
    const Message replaced = forwarded_from(stranger, lines);
    EXPECT_THAT(replaced.values("X-Forwarded-Proto"), ElementsAre("http"));
    EXPECT_THAT(replaced.values("X-Forwarded-Host"), ElementsAre("shop.example.com:8080"));
}

TEST_F(ProxiedRequestTest, ARequestIdIsKeptFromATrustedProxyAlone) {
    EXPECT_THAT(forwarded_from(trusted, "X-Request-ID: abc-123\r\n").values("X-Request-ID"), ElementsAre("abc-123"));
    EXPECT_NE(forwarded_from(stranger, "X-Request-ID: abc-123\r\n").field("X-Request-ID"), "abc-123");
}

TEST_F(ProxiedRequestTest, EveryRequestHasAnIdOfItsOwn) {
    const auto first = forwarded_from(stranger, "").field("X-Request-ID");
    const auto second = forwarded_from(stranger, "").field("X-Request-ID");
    EXPECT_NE(first, "");
    EXPECT_NE(first, second);
}

TEST_F(ProxiedRequestTest, ForwardedOfAStrangerDoesNotPass) {
    EXPECT_FALSE(forwarded_from(stranger, "Forwarded: for=1.2.3.4;proto=https\r\n").has("Forwarded"));
}

}  // namespace
}  // namespace nsboot_lb::test
