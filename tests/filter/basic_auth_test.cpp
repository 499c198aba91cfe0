#include <cstdio>
#include <fstream>
#include <latch>
#include <memory>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
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
        filters = filters_of(route);
        made.worker.background = &background;
    }
    ~BasicAuth() override {
        background.join();
        std::remove(file.c_str());
    }

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
    boost::asio::thread_pool background{1};
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

TEST_F(BasicAuth, DoesNotHoldUpTheLoopWhileItChecks) {
    receive(right);
    std::latch release{1};
    boost::asio::post(background, [&release] { release.wait(); });
    bool loop_turned = false;
    made.run([](BasicAuth& test, std::latch& let_go, bool& turned) -> net::Task<void> {
        net::Concurrent<std::optional<forward::Answer>> check{
            test.filter().on_request_later(test.made.worker, test.made.exchange)};
        check.start();
        EXPECT_FALSE(check.done());
        boost::asio::post(test.made.io, [&] {
            turned = true;
            let_go.count_down();
        });
        const auto answer = co_await check.finished();
        EXPECT_FALSE(answer);
    }(*this, release, loop_turned));
    EXPECT_TRUE(loop_turned);
}

TEST_F(BasicAuth, BoundsHowManyWait) {
    constexpr std::size_t most = 64;  // as in the filter
    receive(wrong);
    std::latch release{1};
    boost::asio::post(background, [&release] { release.wait(); });
    made.run([](BasicAuth& test, std::latch& let_go) -> net::Task<void> {
        using Check = net::Concurrent<std::optional<forward::Answer>>;
        std::vector<std::unique_ptr<Check>> checks;
        for (std::size_t i = 0; i <= most; ++i) {
            checks.push_back(
                std::make_unique<Check>(test.filter().on_request_later(test.made.worker, test.made.exchange)));
            checks.back()->start();
            EXPECT_EQ(checks.back()->done(), i == most) << i;
        }
        let_go.count_down();
        for (auto& check : checks) {
            const auto answer = co_await check->finished();
            const bool last = &check == &checks.back();
            EXPECT_EQ(answer.value().status, last ? 503 : 401);
            EXPECT_EQ(answer.value().reason, last ? observe::Reason::queue_full : observe::Reason::unauthorized);
        }
    }(*this, release));
    const auto again = ask_later();
    EXPECT_EQ(again.value().status, 401) << "there is room again";
}

TEST_F(BasicAuth, QuotesWhatTheRealmHolds) {
    route.basic_auth->realm = "a \"b\\c";
    const auto quoting = filters_of(route);
    const auto answer = ask(quoting, made.exchange);
    EXPECT_EQ(answer.value().fields.at(0).second, "Basic realm=\"a \\\"b\\\\c\", charset=\"UTF-8\"");
}

TEST_F(BasicAuth, CannotBeMadeWithoutItsFile) {
    route.basic_auth->file = file + ".missing";
    const auto refused = make_filters(route);
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
