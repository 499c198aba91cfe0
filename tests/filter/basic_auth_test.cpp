#include <cstdio>
#include <fstream>
#include <memory>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// "correct horse", made by `openssl passwd -5`.
constexpr std::string_view users = "operator:$5$rounds=1000$salt$qOfjCda6YN/JiGzcA4MkoJaIXdhJzf.qd.KJPQZ7TA/\n";
constexpr std::string_view right =
    "Authorization: Basic b3BlcmF0b3I6Y29ycmVjdCBob3JzZQ==\r\n";                               // operator:correct horse
constexpr std::string_view wrong = "Authorization: Basic b3BlcmF0b3I6d3JvbmcgaG9yc2U=\r\n";    // operator:wrong horse
constexpr std::string_view unknown = "Authorization: Basic bm9ib2R5OmNvcnJlY3QgaG9yc2U=\r\n";  // nobody:correct horse

class BasicAuth : public ::testing::Test {
  public:  // for the coroutines, which are not members
    BasicAuth() {
        std::ofstream(file) << users;
        route.basic_auth = config::BasicAuth{file, "NSBoot"};
        filters = try_filters_of(route, checks).value();
    }
    ~BasicAuth() override { std::remove(file.c_str()); }

    void receive(std::string_view authorization) {
        made.receive("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(authorization) + "\r\n");
    }
    const forward::Filter& filter() const { return *filters.request.at(0); }
    forward::RequestVerdict ask_now() { return filter().on_request(made.exchange); }
    std::optional<forward::Answer> ask_later() {
        std::optional<forward::Answer> answer;
        made.run([](BasicAuth& test, auto& out) -> net::Task<void> {
            out = co_await test.filter().on_request_later(test.made.worker, test.made.exchange);
        }(*this, answer));
        return answer;
    }
    bool authorization_crosses() const { return !made.exchange.request.find(http::FieldId::authorization)->dropped; }

    std::string file = ::testing::TempDir() + "basic_auth_test." + std::to_string(getpid());
    config::Route route = forwarding();
    RouteFilters filters;
    PasswordChecks checks{1};
    MadeExchange made{plain_request};
};

void expect_challenge(const forward::Answer& answer) {
    EXPECT_EQ(answer.status, 401);
    EXPECT_EQ(answer.reason, observe::Reason::unauthorized);
    EXPECT_THAT(answer.fields, ElementsAre(Pair("WWW-Authenticate", "Basic realm=\"NSBoot\", charset=\"UTF-8\"")));
}

TEST_F(BasicAuth, AsksForCredentialsWhereThereAreNone) {
    for (const auto none : {"", "Authorization: Bearer b3BlcmF0b3I6Y29ycmVjdCBob3JzZQ==\r\n",
                            "Authorization: Basic %%%\r\n", "Authorization: Basic\r\n"}) {
        receive(none);
        const auto verdict = ask_now();
        ASSERT_TRUE(std::holds_alternative<forward::Answer>(verdict)) << none;
        expect_challenge(std::get<forward::Answer>(verdict));
    }
}

TEST_F(BasicAuth, ChecksAPasswordElsewhereAndThenRemembersIt) {
    receive(right);
    EXPECT_TRUE(std::holds_alternative<forward::Later>(ask_now()));
    EXPECT_FALSE(ask_later());
    EXPECT_FALSE(authorization_crosses());
    receive(right);
    EXPECT_TRUE(authorization_crosses());
    EXPECT_TRUE(std::holds_alternative<std::monostate>(ask_now()));
    EXPECT_FALSE(authorization_crosses());
}

TEST_F(BasicAuth, RefusesAWrongPasswordAndAnUnknownUserEachTime) {
    for (const auto bad : {wrong, unknown, wrong}) {
        receive(bad);
        EXPECT_TRUE(std::holds_alternative<forward::Later>(ask_now()));
        const auto answer = ask_later();
        ASSERT_TRUE(answer);
        expect_challenge(*answer);
    }
}

/// What becomes of a check that nobody makes.
TEST_F(BasicAuth, TurnsAwayWhomThereIsNoPlaceForAndWhomTheEndOfTheDaemonMeets) {
    constexpr std::size_t most = PasswordChecks::most_waiting_per_client;
    PasswordChecks nobody_works{0};
    filters = try_filters_of(route, nobody_works).value();
    receive(wrong);
    std::vector<std::optional<forward::Answer>> answers(most + 1);
    for (auto& answer : answers) {
        net::spawn(
            [](BasicAuth& test, auto& out) -> net::Task<void> {
                out = co_await test.filter().on_request_later(test.made.worker, test.made.exchange);
            }(*this, answer),
            [](const std::exception_ptr& failure) { EXPECT_FALSE(failure); });
        EXPECT_EQ(answer.has_value(), &answer == &answers.back());
    }
    EXPECT_EQ(answers.back()->status, 503);
    EXPECT_EQ(answers.back()->reason, observe::Reason::queue_full);
    nobody_works.stop();
    made.run([](forward::Worker& worker) -> net::Task<void> {
        net::Scope scope;
        for (int rounds = 0; rounds < 3; ++rounds) {
            net::Yield others{worker.reactor, scope};
            (void)co_await others;
        }
    }(made.worker));
    for (std::size_t i = 0; i < most; ++i) EXPECT_EQ(answers[i].value().reason, observe::Reason::shutting_down);
}

TEST_F(BasicAuth, QuotesWhatTheRealmHolds) {
    route.basic_auth->realm = "a \"b\\c";
    const auto quoting = filters_of(route);
    const auto answer = ask(quoting, made.exchange);
    EXPECT_EQ(answer.value().fields.at(0).second, "Basic realm=\"a \\\"b\\\\c\", charset=\"UTF-8\"");
}

TEST_F(BasicAuth, CannotBeMadeWithoutItsFile) {
    route.basic_auth->file = file + ".missing";
    const auto refused = try_filters_of(route);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error(), HasSubstr(".missing: No such file"));
}

TEST_F(BasicAuth, ComesBehindTheAddressListAndBeforeTheBodySize) {
    route.deny = ranges_of({"192.0.2.1"});
    route.max_body = 0;
    made.receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(ask(filters_of(route), made.exchange)->status, 403);
    route.deny.clear();
    EXPECT_EQ(ask(filters_of(route), made.exchange)->status, 401);
    route.basic_auth.reset();
    EXPECT_EQ(ask(filters_of(route), made.exchange)->status, 413);
}

TEST(MakeFilters, MakesNoneForARouteThatAsksForNone) {
    const auto filters = filters_of(forwarding());
    EXPECT_TRUE(filters.request.empty());
    EXPECT_TRUE(filters.response.empty());
}

}  // namespace
}  // namespace nsboot_lb::filter
