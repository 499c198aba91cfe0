/// A request of HTTP/1.0 need not say which host it is for; then nothing is known of it, and nothing is made up.
#include <string>

#include <gtest/gtest.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

class HostlessRequestTest : public SharedProxy<HostlessRequestTest> {
  public:
    static constexpr const char* config = plain_config;
};

TEST_F(HostlessRequestTest, HasNoForwardedHost) {
    EXPECT_EQ(exchange("GET / HTTP/1.0\r\n\r\n").status(), 200);
    const Message request = origin().await_request();
    EXPECT_FALSE(request.has("X-Forwarded-Host")) << testing::PrintToString(request);
    EXPECT_TRUE(request.has("Host"));  // RFC 9112 3.2: ours is HTTP/1.1
}

TEST_F(HostlessRequestTest, ThatClaimsOneIsNotBelieved) {
    EXPECT_EQ(exchange("GET / HTTP/1.0\r\nX-Forwarded-Host: evil.example\r\n\r\n").status(), 200);
    EXPECT_FALSE(origin().await_request().has("X-Forwarded-Host"));
}

TEST_F(HostlessRequestTest, AndOneWithAHostHasIt) {
    EXPECT_EQ(exchange("GET / HTTP/1.0\r\nHost: old.example\r\n\r\n").status(), 200);
    EXPECT_EQ(origin().await_request().field("X-Forwarded-Host"), "old.example");
}

}  // namespace
}  // namespace nsboot_lb::test
