#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using namespace testing;

int status_for(const config::Route& route, std::string_view client) {
    MadeExchange made{plain_request};
    made.connect_from(client);
    const auto answer = ask(filters_of(route), made.exchange);
    if (!answer) return 0;
    EXPECT_EQ(answer->reason, observe::Reason::denied);
    EXPECT_FALSE(answer->close);
    return answer->status;
}

TEST(AddressList, AllowsThoseListedAndNobodyElse) {
    auto route = forwarding();
    route.allow = ranges_of({"10.0.0.0/8", "2001:db8::/32"});
    EXPECT_EQ(status_for(route, "10.1.2.3"), 0);
    EXPECT_EQ(status_for(route, "2001:db8::7"), 0);
    EXPECT_EQ(status_for(route, "192.0.2.1"), 403);
    EXPECT_EQ(status_for(route, "2001:db9::7"), 403);
}

TEST(AddressList, DeniesThoseListedAndNobodyElse) {
    auto route = forwarding();
    route.deny = ranges_of({"10.0.0.0/8"});
    EXPECT_EQ(status_for(route, "10.1.2.3"), 403);
    EXPECT_EQ(status_for(route, "192.0.2.1"), 0);
}

TEST(AddressList, DeniesEvenThoseThatAreAllowed) {
    auto route = forwarding();
    route.allow = ranges_of({"10.0.0.0/8"});
    route.deny = ranges_of({"10.1.0.0/16"});
    EXPECT_EQ(status_for(route, "10.1.2.3"), 403);
    EXPECT_EQ(status_for(route, "10.2.2.3"), 0);
}

TEST(AddressList, LooksAtTheClientBehindTrustedProxies) {
    auto route = forwarding();
    route.allow = ranges_of({"10.0.0.0/8"});
    MadeExchange made{plain_request};
    made.connect_from("10.1.2.3");
    made.exchange.client_address = forward::testing::address_of("192.0.2.1");
    EXPECT_EQ(ask(filters_of(route), made.exchange)->status, 403);
}

TEST(AddressList, AlsoGuardsRoutesThatAnswerByThemselves) {
    config::Route route;
    route.respond = config::Respond{};
    route.deny = ranges_of({"0.0.0.0/0"});
    EXPECT_EQ(status_for(route, "10.1.2.3"), 403);
}

}  // namespace
}  // namespace nsboot_lb::filter
