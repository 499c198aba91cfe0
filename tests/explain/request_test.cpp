#include "request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "listeners.hpp"
#include "nsboot_lb/config/load.hpp"

namespace nsboot_lb::explain {
namespace {

using testing::HasSubstr;

AskedRequest asked(const Arguments& arguments) {
    auto request = asked_request(arguments);
    EXPECT_TRUE(request.has_value()) << request.error();
    return request.value_or(AskedRequest{});
}

std::string objection(const Arguments& arguments) {
    const auto request = asked_request(arguments);
    return request ? std::string() : request.error();
}

TEST(AskedRequest, IsWhatAClientWouldSendForTheUrl) {
    const auto request = asked({"GET", "HTTP://a.example.com:8080/boot?mac=1", "", {"X-Role: admin"}});
    EXPECT_EQ(request.head, "GET /boot?mac=1 HTTP/1.1\r\nHost: a.example.com:8080\r\nX-Role: admin\r\n\r\n");
    EXPECT_EQ(request.scheme, "http");
    EXPECT_EQ(request.host, "a.example.com");
    EXPECT_EQ(request.port, 8080);
    EXPECT_FALSE(request.client_given);
}

TEST(AskedRequest, OfAPathAloneHasNoHost) {
    const auto request = asked({"GET", "/boot", "10.0.0.7", {}});
    EXPECT_EQ(request.head, "GET /boot HTTP/1.0\r\n\r\n");
    EXPECT_FALSE(request.port.has_value());
    EXPECT_EQ(request.client, base::IpAddress::parse("10.0.0.7"));
}

TEST(AskedRequest, HostGivenAsAFieldGoes) {
    EXPECT_EQ(asked({"GET", "http://a/", "", {"Host: b"}}).head, "GET / HTTP/1.1\r\nHost: b\r\n\r\n");
}

TEST(AskedRequest, SaysWhichArgumentIsWrong) {
    EXPECT_THAT(objection({"GET", "boot", "", {}}), HasSubstr("URL:"));
    EXPECT_THAT(objection({"GET", "/", "nobody", {}}), HasSubstr("--from:"));
    EXPECT_THAT(objection({"GET", "/", "", {"no colon"}}), HasSubstr("-H:"));
}

TEST(Listeners, AreThoseWhereTheUrlLeads) {
    const auto loaded = config::load_text(
        "listeners: [{name: all, address: 0.0.0.0:80}, {name: one, address: 127.0.0.2:80}, {address: 0.0.0.0:81}]\n"
        "pools: {p: {servers: [127.0.0.1:1]}}\nroutes: [{pool: p}]\n",
        "listeners.yaml", {});
    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(listeners_text(*loaded.config, asked({"GET", "http://127.0.0.1/", "", {}})),
              "listener: all at 0.0.0.0:80\n");
    EXPECT_EQ(listeners_text(*loaded.config, asked({"GET", "http://127.0.0.2/", "", {}})),
              "listener: all at 0.0.0.0:80\nlistener: one at 127.0.0.2:80\n");
    EXPECT_THAT(listeners_text(*loaded.config, asked({"GET", "http://127.0.0.1:82/", "", {}})),
                HasSubstr("listener: none at 127.0.0.1 port 82"));
}

}  // namespace
}  // namespace nsboot_lb::explain
