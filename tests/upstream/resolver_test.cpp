#include "nsboot_lb/upstream/resolver.hpp"

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "look_ups.hpp"
#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

/// No label of a name may be this long (RFC 1035 2.3.4), so this fails without asking anybody.
const std::string impossible = std::string(64, 'x') + ".invalid";

TEST(NamesOf, AreTheHostsThatAreNoAddressesWithTheShortestInterval) {
    const auto server = [](std::string host) {
        config::Server result;
        result.host = std::move(host);
        return result;
    };
    config::Config config;
    config.pools.resize(2);
    config.pools[0].servers = {server("10.0.0.1"), server("::1"), server("a.test"), server(""), server("b.test")};
    config.pools[0].resolve_interval = 30s;
    config.pools[1].servers = {server("b.test")};
    config.pools[1].resolve_interval = 5s;
    EXPECT_THAT(names_of(config), ElementsAre(Pair("a.test", 30s), Pair("b.test", 5s)));
}

TEST(MergeAnswer, TakesANewAnswerOver) {
    Addresses known;
    EXPECT_TRUE(merge_answer(known, "a.test", Answer{{client(2), client(1)}}));
    EXPECT_THAT(known["a.test"], ElementsAre(client(1), client(2)));
    EXPECT_TRUE(merge_answer(known, "a.test", Answer{{client(2), client(3)}}));
    EXPECT_THAT(known["a.test"], ElementsAre(client(2), client(3)));
}

TEST(MergeAnswer, AServerThatRotatesItsAnswersChangesNothing) {
    Addresses known;
    merge_answer(known, "a.test", Answer{{client(1), client(2)}});
    EXPECT_FALSE(merge_answer(known, "a.test", Answer{{client(2), client(1), client(2)}}));
}

TEST(MergeAnswer, AFailureAndAnEmptyAnswerKeepTheLastGoodOne) {
    Addresses known;
    EXPECT_FALSE(merge_answer(known, "a.test", std::unexpected("no such host")));
    EXPECT_THAT(known, IsEmpty());
    merge_answer(known, "a.test", Answer{{client(1)}});
    EXPECT_FALSE(merge_answer(known, "a.test", std::unexpected("no such host")));
    EXPECT_FALSE(merge_answer(known, "a.test", Answer{}));
    EXPECT_THAT(known["a.test"], ElementsAre(client(1)));
}

class Resolving : public ::testing::Test {
  protected:
    /// Returns when `is_so`; a failure if that does not come.
    template <class Condition>
    void run_until(Condition is_so) {
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (!is_so()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "is there no localhost in /etc/hosts?";
            control.run_one_until(deadline);
        }
    }

    boost::asio::io_context control;
    int changes = 0;
    std::vector<std::string> failing;
    std::optional<Resolver> resolver{std::in_place, control,
                                     Resolver::Listener{.changed = [this] { ++changes; },
                                                        .failing =
                                                            [this](std::string_view host, std::string_view why) {
                                                                EXPECT_FALSE(why.empty());
                                                                failing.emplace_back(host);
                                                            }}};
};

TEST_F(Resolving, PreparesNamesForTheFirstSnapshot) {
    bool ready = false;
    resolver->prepare({{"localhost", 30s}, {impossible, 30s}}, 30s, [&] { ready = true; });
    EXPECT_FALSE(ready) << "not from within";
    control.run();
    EXPECT_TRUE(ready);
    EXPECT_THAT(resolver->addresses().at("localhost"), Contains(*base::IpAddress::parse("127.0.0.1")));
    EXPECT_FALSE(resolver->addresses().contains(impossible));
    EXPECT_THAT(failing, ElementsAre(impossible));
    EXPECT_EQ(changes, 0) << "who prepares builds a snapshot anyway";
}

TEST_F(Resolving, WhatIsKnownIsNotLookedUpAgain) {
    resolver->prepare({{"localhost", 30s}}, 30s, [] {});
    control.run();
    control.restart();
    bool ready = false;
    resolver->prepare({{"localhost", 30s}}, 0s, [&] { ready = true; });
    EXPECT_EQ(control.run(), 1) << "nothing but the call";
    EXPECT_TRUE(ready);
}

TEST_F(Resolving, ANameThatAnswersTooLateForTheSnapshotMakesAnother) {
    std::string order;
    resolver->prepare({{"localhost", 30s}}, 0s, [&] { order += "ready"; });
    control.run();
    EXPECT_EQ(order, "ready");
    EXPECT_TRUE(resolver->addresses().contains("localhost"));
}

TEST_F(Resolving, AnAnswerThatNobodyWantsAnyMoreIsForgotten) {
    int ready = 0;
    resolver->prepare({{"localhost", 30s}, {impossible, 30s}}, 30s, [&] { ++ready; });
    resolver->follow({});
    control.run();
    EXPECT_EQ(ready, 1) << "there is nothing left to wait for";
    EXPECT_THAT(resolver->addresses(), IsEmpty());
    EXPECT_THAT(failing, IsEmpty());
    EXPECT_EQ(changes, 0);
}

TEST_F(Resolving, LookUpsThatAreCancelledAreNotAnswered) {
    LookUps look_ups{control};
    int answers = 0;
    std::vector<std::uint64_t> numbers;
    for (std::size_t i = 0; i < 3 * LookUps::most_at_once; ++i)
        numbers.push_back(look_ups.start("localhost", [&](const Answer&) { ++answers; }));
    for (std::size_t i = 1; i < numbers.size(); ++i) look_ups.cancel(numbers[i]);
    control.run();
    EXPECT_EQ(answers, 1);
}

TEST_F(Resolving, FollowsNamesAndTellsOfFailuresOnce) {
    resolver->follow({{"localhost", 1ms}, {impossible, 1ms}});
    run_until([this] { return changes != 0 && !failing.empty(); });
    for (int i = 0; i < 50; ++i) control.run_one();
    EXPECT_EQ(changes, 1) << "the same answer again is no change";
    EXPECT_THAT(failing, ElementsAre(impossible));
    EXPECT_TRUE(resolver->addresses().contains("localhost"));
    resolver->follow({});
    EXPECT_THAT(resolver->addresses(), IsEmpty());
    control.run();  // comes to an end, since nothing is followed any more
}

TEST_F(Resolving, WhatWasPreparedElsewhereIsNeitherAChangeNorToldAgain) {
    Resolver other{control, {}};
    bool ready = false;
    other.prepare({{"localhost", 30s}}, 10s, [&] { ready = true; });
    run_until([&] { return ready; });
    resolver->follow({{"localhost", 1ms}, {impossible, 1ms}}, {other.addresses(), {impossible}});
    EXPECT_TRUE(resolver->addresses().contains("localhost"));
    for (int i = 0; i < 50; ++i) control.run_one();
    EXPECT_EQ(changes, 0);
    EXPECT_THAT(failing, IsEmpty());
}

TEST_F(Resolving, ANameWithoutAnAddressIsTriedAgainSoon) {
    const auto begin = std::chrono::steady_clock::now();
    resolver->follow({{impossible, 1h}});
    run_until([this] { return !failing.empty(); });
    EXPECT_THAT(failing, ElementsAre(impossible));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1min);
}

TEST_F(Resolving, StopsWhileALookUpIsGoingOn) {
    resolver->follow({{"localhost", 0ms}});
    control.run_one();
    resolver.reset();
    control.run();
    EXPECT_EQ(changes, 0);
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
