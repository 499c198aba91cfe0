#include "nsboot_lb/server/build_snapshot.hpp"

#include <cstdio>
#include <fstream>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::server {
namespace {

using SnapshotPtr = std::shared_ptr<const forward::Snapshot>;

config::Pool pool_of(const std::string& name, const std::string& host) {
    config::Pool pool;
    pool.name = name;
    auto& server = pool.servers.emplace_back();
    server.name = name + "-1";
    server.host = host;
    server.port = 80;
    return pool;
}

config::Route route_to(const std::string& pool, const std::string& name) {
    config::Route route;
    route.pool = pool;
    route.name = name;
    route.named = true;
    return route;
}

/// Two pools, one of them behind a name, and a route to each; "moving" asks for a password.
class BuildSnapshotTest : public testing::Test {
  protected:
    BuildSnapshotTest() {
        write_users("operator:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n");
        config.pools = {pool_of("fixed", "10.0.0.1"), pool_of("moving", "moving.test")};
        config.routes = {route_to("fixed", "fixed"), route_to("moving", "moving")};
        config.routes[0].bandwidth.total = 1'000'000;
        config.routes[1].basic_auth = config::BasicAuth{file, "NSBoot"};
    }
    ~BuildSnapshotTest() override { std::remove(file.c_str()); }

    void write_users(std::string_view text) const { std::ofstream(file) << text; }
    SnapshotPtr build(const SnapshotPtr& previous = nullptr) {
        const auto wanted = std::make_shared<const config::Config>(config);
        auto built = build_snapshot({.config = wanted,
                                     .previous = previous,
                                     .addresses = addresses,
                                     .counts = counts_of(*wanted, statistics),
                                     .state = state,
                                     .checks = checks,
                                     .on_transition = {}});
        if (!built) {
            errors = built.error();
            return nullptr;
        }
        go_live(**built, previous.get());
        return *built;
    }
    const base::Htpasswd& users(const SnapshotPtr& snapshot) const { return *snapshot->passwords.find(file)->second; }

    const std::string file = testing::TempDir() + "build_snapshot_test." + std::to_string(getpid());
    config::Config config;
    upstream::Addresses addresses{{"moving.test", {base::IpAddress::from_v4(0x0a010001)}}};
    observe::Statistics statistics{1};
    RunTimeState state;
    filter::PasswordChecks checks{0};
    std::vector<std::string> errors;
};

TEST_F(BuildSnapshotTest, AChangedAnswerReplacesOnePoolAndSharesTheRestWithoutAnyFile) {
    const auto before = build();
    std::remove(file.c_str());
    addresses["moving.test"] = {base::IpAddress::from_v4(0x0a010002)};
    const auto after = with_addresses(*before, addresses);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->pools[0], before->pools[0]);
    EXPECT_NE(after->pools[1], before->pools[1]);
    EXPECT_EQ(after->pools[1]->endpoint(0).text, "10.1.0.2:80");
    EXPECT_EQ(after->routes, before->routes);
    EXPECT_EQ(after->config, before->config);
    EXPECT_EQ(after->passwords, before->passwords);
    EXPECT_THAT(after->endpoint_ids,
                testing::UnorderedElementsAre(after->pools[0]->endpoint(0).id(), after->pools[1]->endpoint(0).id()));
    go_live(*after, before.get());
    EXPECT_EQ(after->pools[0]->state().activations, 1U) << "it has not changed";
    EXPECT_EQ(after->pools[1]->state().activations, 2U);
}

TEST_F(BuildSnapshotTest, AnAnswerThatChangesNothingIsNoNewSnapshot) {
    const auto before = build();
    addresses["another.test"] = {base::IpAddress::from_v4(0x0a010002)};
    EXPECT_FALSE(with_addresses(*before, addresses));
}

TEST_F(BuildSnapshotTest, AFileThatCannotBeReadRefusesAReload) {
    const auto before = build();
    std::remove(file.c_str());
    EXPECT_FALSE(build(before));
    EXPECT_THAT(errors, testing::ElementsAre(testing::HasSubstr("No such file")));
}

TEST_F(BuildSnapshotTest, AReloadRemembersWhoWasLetIn) {
    const auto before = build();
    ASSERT_TRUE(users(before).verify("operator", "correct horse"));
    config.routes.insert(config.routes.begin(), route_to("fixed", "new"));
    const auto after = build(before);
    EXPECT_TRUE(users(after).remembers("operator", "correct horse"));
    write_users("operator:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n");
    EXPECT_FALSE(users(build(after)).remembers("operator", "correct horse")) << "the line has changed";
}

TEST_F(BuildSnapshotTest, RoutesWithOneFileShareWhatIsRememberedOfIt) {
    config.routes[0].basic_auth = config.routes[1].basic_auth;
    EXPECT_EQ(build()->passwords.size(), 1U);
}

TEST_F(BuildSnapshotTest, AReloadKeepsBucketsUnderTheRoutesNames) {
    const auto before = build();
    std::swap(config.routes[0], config.routes[1]);
    const auto moved = build(before);
    EXPECT_EQ(moved->routes->entries[1].bandwidth, before->routes->entries[0].bandwidth);
    config.routes[1].name = "another";
    EXPECT_NE(build(moved)->routes->entries[1].bandwidth, before->routes->entries[0].bandwidth);
}

TEST_F(BuildSnapshotTest, ABucketStaysForThoseWhoUseItWhileItsRouteIsGone) {
    auto first = build();
    const auto share = first->routes->entries[0].bandwidth->share_of({});
    const std::weak_ptr<forward::Bandwidth> bucket = first->routes->entries[0].bandwidth;
    config.routes[0].bandwidth = {};
    auto without = build(first);
    first.reset();
    config.routes[0].bandwidth.total = 2'000'000;
    EXPECT_EQ(build(without)->routes->entries[0].bandwidth, bucket.lock());
}

TEST_F(BuildSnapshotTest, APoolStaysWhatItIsWhileItsTunnelsLast) {
    auto first = build();
    const auto tunnels_pool = first->pools[0];
    const auto slot = upstream::InFlight::try_begin(tunnels_pool->endpoint(0));
    config.pools.erase(config.pools.begin());
    config.routes.erase(config.routes.begin());
    auto without = build(first);
    first.reset();
    config.pools.push_back(pool_of("fixed", "10.0.0.1"));
    EXPECT_EQ(build(without)->pools[1]->endpoint(0).state->in_flight(), 1U) << "max_connections counts it";
}

}  // namespace
}  // namespace nsboot_lb::server
