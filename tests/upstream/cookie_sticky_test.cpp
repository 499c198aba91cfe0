#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsboot_lb/upstream/cookie.hpp"
#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using config::Policy;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Field {
    const char* what;
    std::string_view field;
    std::string_view expected;
};
class FindCookie : public ::testing::TestWithParam<Field> {};

std::string_view find_cookie(std::string_view field, std::string_view name) {
    return take_cookie(field, name).value_or(std::string_view{});
}

TEST_P(FindCookie, InACookieField) {
    EXPECT_EQ(find_cookie(GetParam().field, "s"), GetParam().expected);
}

TEST(TakeCookie, GivesOneAfterTheOther) {
    std::string_view field = "s=; t=2; s=\"a\"; s=b; u";
    EXPECT_EQ(take_cookie(field, "s"), "");
    EXPECT_EQ(take_cookie(field, "s"), "a");
    EXPECT_EQ(take_cookie(field, "s"), "b");
    EXPECT_EQ(take_cookie(field, "s"), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Fields, FindCookie,
                         ::testing::Values(Field{"alone", "s=1", "1"}, Field{"first", "s=1; t=2", "1"},
                                           Field{"last", "t=2; s=1", "1"}, Field{"twice", "s=1; s=2", "1"},
                                           Field{"quoted", "s=\"1\"", "1"}, Field{"no_space", "t=2;s=1", "1"},
                                           Field{"equals_inside", "s=a=b", "a=b"}, Field{"absent", "st=1; ts=2", ""},
                                           Field{"empty_field", "", ""}, Field{"no_value", "s", ""},
                                           Field{"empty_value", "s=", ""}, Field{"only_quote", "s=\"", "\""},
                                           Field{"rubbish", ";;=;= ;s=1", "1"}),
                         [](const auto& info) { return std::string{info.param.what}; });

TEST(StickyValue, IsOpaqueAndDependsOnEverything) {
    const auto value = sticky_value("key", "pool", "a", "");
    EXPECT_EQ(value.size(), 32);
    EXPECT_EQ(value, sticky_value("key", "pool", "a", ""));
    EXPECT_NE(value, sticky_value("other", "pool", "a", ""));
    EXPECT_NE(value, sticky_value("key", "other", "a", ""));
    EXPECT_NE(value, sticky_value("key", "pool", "b", ""));
    EXPECT_NE(value, sticky_value("key", "pool", "a", "10.0.0.1:80"));
    EXPECT_NE(value, sticky_value("", "pool", "a", ""));
    EXPECT_NE(sticky_value("", "ab", "c", ""), sticky_value("", "a", "bc", ""));
}

TEST(StickyValue, StaysTheSameFromReleaseToRelease) {
    // Of: printf 'pool\0a\0' | openssl dgst -sha256 -hmac key | cut -c1-32
    EXPECT_EQ(sticky_value("key", "pool", "a", ""), "feaa2fa8f99f7155e5571d662a7161c4");
}

TEST(SetCookieField, HasWhatTheConfigurationSays) {
    config::Cookie cookie;
    EXPECT_EQ(set_cookie_field(cookie, "v"), "nsboot-session=v; Path=/; HttpOnly; SameSite=Lax");
    cookie = {.name = "s",
              .max_age = std::chrono::hours{1},
              .domain = "example.com",
              .path = "/ui",
              .secure = true,
              .http_only = false,
              .same_site = config::SameSite::none,
              .key_file = {},
              .fallback = Policy::least_conn};
    EXPECT_EQ(set_cookie_field(cookie, "v"), "s=v; Path=/ui; Domain=example.com; Max-Age=3600; Secure; SameSite=None");
}

class CookieSticky : public ::testing::Test {
  protected:
    TestPool pool{{1}, {1}, {1}};
    std::unique_ptr<Balancer> balancer = pool.balancer(Policy::cookie_sticky);

    std::string cookie_of(std::size_t index) const { return sticky_value("secret", "pool", server_name(index), ""); }
    PickContext with_cookie(std::string_view value) const {
        auto context = pool.context();
        context.cookie_value = value;
        return context;
    }
};

TEST_F(CookieSticky, AFirstVisitGoesWhereTheFallbackSaysAndGetsACookie) {
    EXPECT_EQ(picks(*balancer, pool.context(), 6), "abcabc");
    EXPECT_THAT(balancer->set_cookie(pool.context(), 1), HasSubstr("nsboot-session=" + cookie_of(1) + ";"));
}

TEST_F(CookieSticky, LaterVisitsGoToTheSameServerAndGetNoCookie) {
    for (std::size_t server = 0; server < 3; ++server) {
        const auto cookie = cookie_of(server);
        const auto context = with_cookie(cookie);
        for (int i = 0; i < 5; ++i) EXPECT_EQ(balancer->pick(context), server);
        EXPECT_THAT(balancer->set_cookie(context, server), IsEmpty());
    }
}

TEST_F(CookieSticky, AnotherLoadBalancerAgrees) {
    const TestPool elsewhere({{1}, {1}, {1}});
    const auto there = elsewhere.balancer(Policy::cookie_sticky, 5);
    const auto field = balancer->set_cookie(pool.context(), 2);
    const auto cookie = std::string{find_cookie(field, "nsboot-session")};
    EXPECT_EQ(there->pick(with_cookie(cookie)), 2);
}

TEST_F(CookieSticky, AForgedCookieIsAsNone) {
    for (const std::string_view forged : {"a", "00000000000000000000000000000000", "pool", "10.0.0.1:80"}) {
        const auto context = with_cookie(forged);
        EXPECT_TRUE(balancer->pick(context));
        EXPECT_THAT(balancer->set_cookie(context, 0), HasSubstr(cookie_of(0)));
    }
}

TEST_F(CookieSticky, ADrainingServerKeepsItsSessionsAndGetsNoNewOnes) {
    pool.state(1).set_admin_state(AdminState::drain, pool.now);
    const auto cookie = cookie_of(1);
    EXPECT_EQ(balancer->pick(with_cookie(cookie)), 1);
    EXPECT_THAT(balancer->set_cookie(with_cookie(cookie), 1), IsEmpty());
    EXPECT_EQ(counts(*balancer, pool.context(), 100).count(1), 0);
}

TEST_F(CookieSticky, WeightZeroIsADrain) {
    pool.state(1).override_weight(0, pool.now);
    const auto cookie = cookie_of(1);
    EXPECT_EQ(balancer->pick(with_cookie(cookie)), 1);
}

struct Gone {
    const char* what;
    void (*take_out)(TestPool& pool);
};
class CookieStickyGone : public CookieSticky, public ::testing::WithParamInterface<Gone> {};

TEST_P(CookieStickyGone, TheSessionMovesForGood) {
    GetParam().take_out(pool);
    const auto cookie = cookie_of(1);
    const auto picked = balancer->pick(with_cookie(cookie));
    ASSERT_TRUE(picked);
    EXPECT_NE(*picked, 1);
    EXPECT_THAT(balancer->set_cookie(with_cookie(cookie), *picked), HasSubstr(cookie_of(*picked)));
}

INSTANTIATE_TEST_SUITE_P(
    Ways, CookieStickyGone,
    ::testing::Values(Gone{"down", [](TestPool& pool) { pool.state(1).set_admin_state(AdminState::down, pool.now); }},
                      Gone{"unhealthy", [](TestPool& pool) { pool.state(1).set_active_health(false, "", pool.now); }},
                      Gone{"ejected", [](TestPool& pool) { pool.eject(1); }}),
    [](const auto& info) { return std::string{info.param.what}; });

TEST_F(CookieSticky, ARetryGoesElsewhereButTheSessionStays) {
    const auto cookie = cookie_of(1);
    const std::uint16_t tried[] = {1};
    auto context = with_cookie(cookie);
    context.tried = tried;
    const auto picked = balancer->pick(context);
    ASSERT_TRUE(picked);
    EXPECT_NE(*picked, 1);
    EXPECT_THAT(balancer->set_cookie(context, *picked), IsEmpty());
}

TEST_F(CookieSticky, ASessionMovesFromAServerThatCannotBeReached) {
    const auto cookie = cookie_of(1);
    const std::uint16_t tried[] = {1};
    auto context = with_cookie(cookie);
    context.tried = context.unreachable = tried;
    EXPECT_THAT(balancer->set_cookie(context, 2), HasSubstr(cookie_of(2)));
}

TEST_F(CookieSticky, SessionsStayWhileAllAreEjected) {
    for (std::size_t server = 0; server < 3; ++server) pool.eject(server);
    for (std::size_t server = 0; server < 3; ++server) {
        const auto cookie = cookie_of(server);
        for (int i = 0; i < 5; ++i) EXPECT_EQ(balancer->pick(with_cookie(cookie)), server);
        EXPECT_THAT(balancer->set_cookie(with_cookie(cookie), server), IsEmpty());
    }
}

TEST_F(CookieSticky, AnEjectedServerKeepsNoSessionWhereABackupIsWell) {
    TestPool with_backup{{1}, {1}, {.backup = true}};
    const auto sticky = with_backup.balancer(Policy::cookie_sticky);
    for (std::size_t server = 0; server < 2; ++server) with_backup.eject(server);
    const auto cookie = cookie_of(1);
    EXPECT_EQ(sticky->pick(with_cookie(cookie)), 2);
    EXPECT_THAT(sticky->set_cookie(with_cookie(cookie), 2), HasSubstr(cookie_of(2)));
}

TEST_F(CookieSticky, KnowsTheValuesOfItsServersAlone) {
    EXPECT_TRUE(balancer->knows(cookie_of(2)));
    EXPECT_FALSE(balancer->knows(cookie_of(3)));
    EXPECT_FALSE(balancer->knows(""));
    EXPECT_FALSE(pool.balancer(Policy::round_robin)->knows(cookie_of(0)));
}

TEST_F(CookieSticky, AnAddressOfAServerWithSeveralHasItsOwnCookie) {
    config::Pool config = pool_config({});
    config.servers.push_back({.name = "nsboot",
                              .host = "nsboot.test",
                              .port = 80,
                              .unix_path = {},
                              .weight = 1,
                              .max_connections = 0,
                              .backup = false,
                              .position = {}});
    pool.rebuild(config, {{"nsboot.test", {client(1), client(2)}}});
    const auto sticky = pool.balancer(Policy::cookie_sticky);
    const auto field = sticky->set_cookie(pool.context(), 1);
    const auto cookie = std::string{find_cookie(field, "nsboot-session")};
    for (int i = 0; i < 5; ++i) EXPECT_EQ(sticky->pick(with_cookie(cookie)), 1);
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
