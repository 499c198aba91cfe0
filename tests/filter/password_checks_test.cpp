#include "nsboot_lb/filter/password_checks.hpp"

#include <deque>

#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using Verdict = PasswordChecks::Verdict;

/// Checks that wait without a coroutine, on a worker whose loop turns when the test says so.
class PasswordChecksTest : public ::testing::Test {
  public:  // for the coroutines, which are not members
    PasswordChecks::Check& begin(PasswordChecks& checks, const base::IpAddress& from, std::string password = "no") {
        return waiting.emplace_back(checks, made.worker.reactor, from, users,
                                    base::BasicCredentials{"operator", std::move(password)});
    }
    /// Whether it waits.
    bool enter(PasswordChecks& checks, const base::IpAddress& from) {
        auto& check = begin(checks, from);
        return !check.enter();
    }
    Verdict ask(PasswordChecks& checks, const std::string& password) {
        auto verdict = Verdict::refused;
        made.run([](PasswordChecksTest& test, PasswordChecks& with, std::string text, Verdict& out) -> net::Task<void> {
            net::Scope scope;
            out = co_await test.begin(with, test.client, std::move(text)).wait(scope);
        }(*this, checks, password, verdict));
        waiting.clear();  // they may not outlive what they wait in
        return verdict;
    }
    void turn_loop() {
        made.io.restart();
        made.io.poll();
    }

    const base::IpAddress client = base::IpAddress::from_v4(0x0a000001);
    // "correct horse", made by `openssl passwd -5`.
    const std::shared_ptr<const base::Htpasswd> users = std::make_shared<const base::Htpasswd>(
        base::Htpasswd::parse("operator:$5$rounds=1000$salt$qOfjCda6YN/JiGzcA4MkoJaIXdhJzf.qd.KJPQZ7TA/", "users")
            .value());
    testing::MadeExchange made{testing::plain_request};
    PasswordChecks nobody_works{0};
    std::deque<PasswordChecks::Check> waiting;
};

TEST_F(PasswordChecksTest, FindOutWhatIsRight) {
    PasswordChecks checks{2};
    EXPECT_EQ(ask(checks, "correct horse"), Verdict::right);
    EXPECT_EQ(ask(checks, "wrong horse"), Verdict::wrong);
}

TEST_F(PasswordChecksTest, GiveAClientAShareOfThePlaces) {
    for (std::size_t i = 0; i < PasswordChecks::most_waiting_per_client; ++i)
        EXPECT_TRUE(enter(nobody_works, client)) << i;
    EXPECT_FALSE(enter(nobody_works, client));
    EXPECT_EQ(waiting.back().verdict(), Verdict::refused);
    EXPECT_TRUE(enter(nobody_works, base::IpAddress::from_v4(0x0a000002)));
    waiting.pop_front();
    EXPECT_TRUE(enter(nobody_works, client)) << "who is destroyed leaves its place";
}

TEST_F(PasswordChecksTest, TakeTheAddressesOfAnIpv6NetworkForOneClient) {
    for (std::size_t i = 0; i < PasswordChecks::most_waiting_per_client; ++i)
        EXPECT_TRUE(enter(nobody_works, base::IpAddress::parse("2001:db8::" + std::to_string(i)).value()));
    EXPECT_FALSE(enter(nobody_works, base::IpAddress::parse("2001:db8::1:2:3:4").value()));
    EXPECT_TRUE(enter(nobody_works, base::IpAddress::parse("2001:db8:0:1::1").value()));
}

TEST_F(PasswordChecksTest, AreDroppedWhenTheDaemonStops) {
    EXPECT_TRUE(enter(nobody_works, client));
    nobody_works.stop();
    turn_loop();
    EXPECT_EQ(waiting.back().verdict(), Verdict::dropped);
    EXPECT_FALSE(enter(nobody_works, client));
    EXPECT_EQ(waiting.back().verdict(), Verdict::dropped);
}

TEST_F(PasswordChecksTest, MayBeDestroyedWhileTheirVerdictIsOnItsWay) {
    EXPECT_TRUE(enter(nobody_works, client));
    nobody_works.stop();
    waiting.clear();
    turn_loop();
}

TEST_F(PasswordChecksTest, MayBeDestroyedWhileTheyAreMade) {
    PasswordChecks checks{2};
    for (std::uint32_t i = 0; i < 100; ++i) {
        EXPECT_TRUE(enter(checks, base::IpAddress::from_v4(i)));
        waiting.clear();
    }
    turn_loop();
}

}  // namespace
}  // namespace nsboot_lb::filter
