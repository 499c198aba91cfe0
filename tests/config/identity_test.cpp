#include "nsboot_lb/config/identity.hpp"

#include <gtest/gtest.h>

namespace nsboot_lb::config {
namespace {

Route route_under(const std::string& path, const std::string& pool) {
    Route route;
    route.match.path.push_back({PathMatch::prefix, path, {}});
    route.pool = pool;
    return route;
}

TEST(Identity, OfARouteIsTheNameThatItWasGiven) {
    auto route = route_under("/a", "one");
    route.name = "login";
    route.named = true;
    auto other = route_under("/b", "two");
    other.name = "login";
    other.named = true;
    EXPECT_EQ(identity_of(route), identity_of(other));
    other.name = "logout";
    EXPECT_NE(identity_of(route), identity_of(other));
}

TEST(Identity, OfARouteWithoutNameIsItsMatchAndActionAndNeverItsPosition) {
    auto route = route_under("/a", "one");
    route.name = "route-1";
    auto moved = route;
    moved.name = "route-2";
    moved.position = {"file", 9, 9};
    moved.bandwidth.total = 7;
    EXPECT_EQ(identity_of(route), identity_of(moved));
    EXPECT_NE(identity_of(route), identity_of(route_under("/b", "one")));
    EXPECT_NE(identity_of(route), identity_of(route_under("/a", "two")));
    auto by_method = route;
    by_method.match.method = {"GET"};
    EXPECT_NE(identity_of(route), identity_of(by_method));
    auto answering = route;
    answering.pool.clear();
    answering.respond = Respond{.status = 404, .body = {}, .headers = {}};
    EXPECT_NE(identity_of(route), identity_of(answering));
}

}  // namespace
}  // namespace nsboot_lb::config
