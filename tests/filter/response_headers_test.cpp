#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using namespace testing;
using ::testing::ElementsAre;

constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nSet-Cookie: a\r\nX-Old: 1\r\nset-cookie: b\r\nContent-Length: 5\r\n\r\n";

class ResponseHeaders : public ::testing::Test {
  protected:
    FilteredResponse apply(const config::HeaderChanges& changes) {
        auto route = forwarding();
        route.response_headers = changes;
        const auto filters = filters_of(route);
        EXPECT_TRUE(filters.request.empty());
        return {filters, made.exchange, std::string(response)};
    }
    std::vector<std::string> additions() const { return lines_of(made.exchange.response_additions); }

    MadeExchange made{plain_request};
};

TEST_F(ResponseHeaders, RemoveSetAndAdd) {
    const auto filtered = apply({.set = {{"x-old", "new"}}, .add = {{"Set-Cookie", "c"}}, .remove = {"SERVER"}});
    EXPECT_FALSE(filtered.answer);
    EXPECT_THAT(lines_of(filtered.head.fields), ElementsAre("Set-Cookie: a", "set-cookie: b", "Content-Length: 5"));
    EXPECT_THAT(additions(), ElementsAre("x-old: new", "Set-Cookie: c"));
    EXPECT_EQ(filtered.head.content_length, 5U);
}

TEST_F(ResponseHeaders, HoldWhatTheRequestSays) {
    (void)apply({.set = {{"X-Id", "{request_id}/{client_ip}{uri}"}}, .add = {}, .remove = {}});
    EXPECT_THAT(additions(), ElementsAre("X-Id: 0123456789abcdef/192.0.2.1/a"));
}

TEST_F(ResponseHeaders, SettleWhatTheProxyWouldWrite) {
    (void)apply({.set = {{"Date", "now"}}, .add = {}, .remove = {"Via"}});
    EXPECT_TRUE(made.exchange.settled_response_fields[static_cast<std::size_t>(http::FieldId::date)]);
    EXPECT_TRUE(made.exchange.settled_response_fields[static_cast<std::size_t>(http::FieldId::via)]);
    EXPECT_TRUE(made.exchange.settled_request_fields.none());
}

TEST_F(ResponseHeaders, OfARouteThatAnswersByItselfAreAddedToTheAnswer) {
    config::Route route;
    route.redirect = config::Redirect{"/b", 308};
    route.response_headers = {.set = {{"X-A", "{host}"}}, .add = {{"X-B", "b"}}, .remove = {"X-C"}};
    const auto filters = filters_of(route);
    EXPECT_TRUE(filters.response.empty());
    EXPECT_FALSE(ask(filters, made.exchange));
    EXPECT_THAT(additions(), ElementsAre("X-A: a.test", "X-B: b"));
}

}  // namespace
}  // namespace nsboot_lb::filter
