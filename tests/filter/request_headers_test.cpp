#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view request =
    "GET /a?b=c HTTP/1.1\r\nHost: a.test:8080\r\nX-Old: 1\r\nCookie: d\r\nx-old: 2\r\nX-Kept: 3\r\n\r\n";

/// The request's head behind the filter.
class RequestHeaders : public ::testing::Test {
  protected:
    void apply(const config::HeaderChanges& changes) {
        auto route = forwarding();
        route.request_headers = changes;
        EXPECT_FALSE(ask(filters_of(route), made.exchange));
    }
    std::vector<std::string> fields() const { return lines_of(made.exchange.request.fields); }
    std::vector<std::string> additions() const { return lines_of(made.exchange.request_additions); }
    bool settled(http::FieldId id) const { return made.exchange.settled_request_fields[static_cast<std::size_t>(id)]; }

    MadeExchange made{request};
};

TEST_F(RequestHeaders, RemoveEveryFieldOfThatName) {
    apply({.set = {}, .add = {}, .remove = {"X-OLD", "cookie"}});
    EXPECT_THAT(fields(), ElementsAre("Host: a.test:8080", "X-Kept: 3"));
    EXPECT_THAT(additions(), ElementsAre());
    EXPECT_TRUE(settled(http::FieldId::cookie));
}

TEST_F(RequestHeaders, SetReplacesEveryFieldOfThatName) {
    apply({.set = {{"X-Old", "new"}, {"X-More", "m"}}, .add = {}, .remove = {}});
    EXPECT_THAT(fields(), ElementsAre("Host: a.test:8080", "Cookie: d", "X-Kept: 3"));
    EXPECT_THAT(additions(), ElementsAre("X-Old: new", "X-More: m"));
}

TEST_F(RequestHeaders, AddLeavesWhatIsThere) {
    apply({.set = {}, .add = {{"X-Old", "3"}}, .remove = {}});
    EXPECT_THAT(fields(), ElementsAre("Host: a.test:8080", "X-Old: 1", "Cookie: d", "x-old: 2", "X-Kept: 3"));
    EXPECT_THAT(additions(), ElementsAre("X-Old: 3"));
}

TEST_F(RequestHeaders, AreRemovedThenSetThenAdded) {
    apply({.set = {{"X-Old", "set"}}, .add = {{"X-Old", "added"}}, .remove = {"X-Old"}});
    EXPECT_THAT(additions(), ElementsAre("X-Old: set", "X-Old: added"));
}

TEST_F(RequestHeaders, HoldWhatTheRequestSays) {
    made.exchange.client_text = "10.0.0.1";
    apply({.set = {{"X-All", "{client_ip} {host} {uri} {scheme} {request_id} {{}}"}}, .add = {}, .remove = {}});
    EXPECT_THAT(additions(), ElementsAre("X-All: 10.0.0.1 a.test /a?b=c http 0123456789abcdef {}"));
}

TEST_F(RequestHeaders, SettleWhatTheProxyWouldWrite) {
    apply({.set = {{"X-Real-IP", "{client_ip}"}}, .add = {{"Via", "1.1 me"}}, .remove = {"x-forwarded-for"}});
    EXPECT_TRUE(settled(http::FieldId::x_real_ip));
    EXPECT_TRUE(settled(http::FieldId::x_forwarded_for));
    EXPECT_FALSE(settled(http::FieldId::via)) << "which is in addition";
    EXPECT_FALSE(settled(http::FieldId::x_forwarded_proto));
    EXPECT_FALSE(settled(http::FieldId::other));
}

TEST_F(RequestHeaders, ReplaceTheHostInItsPlace) {
    apply({.set = {{"host", "{host}.internal"}}, .add = {}, .remove = {}});
    EXPECT_THAT(fields(), ElementsAre("Host: a.test.internal", "X-Old: 1", "Cookie: d", "x-old: 2", "X-Kept: 3"));
    EXPECT_THAT(additions(), ElementsAre());
    EXPECT_EQ(made.exchange.request.host, "a.test:8080") << "which is what the client asked for";
}

TEST_F(RequestHeaders, NeverMakeTwoHostsNorNone) {
    apply({.set = {}, .add = {{"Host", "b.test"}}, .remove = {"Host"}});
    EXPECT_THAT(fields(), ::testing::Contains("Host: b.test").Times(1));
    EXPECT_THAT(fields(), ::testing::Not(::testing::Contains("Host: a.test:8080")));
    EXPECT_THAT(additions(), ElementsAre());
    made.receive(request);
    apply({.set = {}, .add = {}, .remove = {"Host"}});
    EXPECT_THAT(fields(), ::testing::Contains("Host: a.test:8080"));
}

TEST_F(RequestHeaders, GiveAHostToARequestThatHasNone) {
    made.receive("GET / HTTP/1.0\r\n\r\n");
    apply({.set = {{"Host", "b.test"}}, .add = {}, .remove = {}});
    EXPECT_THAT(fields(), ElementsAre("Host: b.test"));
    made.receive("GET / HTTP/1.0\r\n\r\n");
    apply({.set = {{"Host", "{host}"}}, .add = {}, .remove = {}});
    EXPECT_THAT(fields(), ElementsAre()) << "an empty one would be worse than the server's own name";
}

TEST(RequestHeadersMaking, RefusesFieldsThatFrameOrBelongToTheConnection) {
    for (const auto name : {"Content-Length", "transfer-encoding", "CONNECTION", "Keep-Alive", "TE", "Trailer",
                            "Upgrade", "Proxy-Connection", "HTTP2-Settings"}) {
        for (int list = 0; list < 3; ++list) {
            auto route = forwarding();
            if (list == 0) route.request_headers.set = {{name, "x"}};
            if (list == 1) route.request_headers.add = {{name, "x"}};
            if (list == 2) route.request_headers.remove = {name};
            const auto refused = try_filters_of(route);
            ASSERT_FALSE(refused.has_value()) << name;
            EXPECT_THAT(refused.error(), HasSubstr(name));
            route.response_headers = std::exchange(route.request_headers, {});
            EXPECT_FALSE(try_filters_of(route).has_value()) << name;
        }
    }
}

TEST(RequestHeadersMaking, RefusesTemplatesThatDoNotParse) {
    for (const auto name : {"X-A", "Host"}) {
        auto route = forwarding();
        route.request_headers.set = {{name, "{nothing}"}};
        const auto refused = try_filters_of(route);
        ASSERT_FALSE(refused.has_value());
        EXPECT_THAT(refused.error(), HasSubstr("unknown placeholder {nothing}"));
    }
}

}  // namespace
}  // namespace nsboot_lb::filter
