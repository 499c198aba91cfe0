// What a worker makes of a snapshot, and what of it stays when another snapshot takes its place.
#include <gtest/gtest.h>

#include "../upstream/pools.hpp"
#include "made_exchange.hpp"

namespace nsboot_lb::forward {
namespace {

using upstream::testing::client;
using upstream::testing::pool_config;
using upstream::testing::TestPool;

/// A pool with a server behind a name, and routes to it.
class WorkerViewTest : public ::testing::Test {
  protected:
    WorkerViewTest() { use(snapshot_of({"one", "two"})); }

    static config::Pool named_pool() {
        auto pool = pool_config({{1}, {1}, {1}});
        pool.servers[2].host = "moving.test";
        pool.keepalive.max_idle = 3;
        return pool;
    }

    std::shared_ptr<Snapshot> snapshot_of(const std::vector<std::string>& names) {
        auto snapshot = std::make_shared<Snapshot>(std::vector<config::Route>{});
        snapshot->config = std::make_shared<const config::Config>();
        snapshot->pools = {pool.pool(), other.pool()};
        auto routes = std::make_shared<Routes>();
        for (const auto& name : names) {
            auto& entry = routes->entries.emplace_back();
            entry.name = name;
            entry.policy = config::Policy::round_robin;
            entry.counters = made.statistics.route(name);
        }
        routes->none.action = RouteEntry::Action::respond;
        routes->none.counters = made.statistics.route("none");
        snapshot->routes = std::move(routes);
        return snapshot;
    }
    void use(std::shared_ptr<const Snapshot> snapshot) {
        made.worker.view = make_view(made.worker, std::move(snapshot));
    }
    /// As a changed answer does.
    void move_server(std::uint32_t number) {
        pool.change_addresses({{"moving.test", {client(number)}}});
        auto next = std::make_shared<Snapshot>(*made.worker.view->snapshot);
        next->pools[0] = pool.pool();
        use(std::move(next));
    }
    std::string picks(std::size_t count) {
        std::string names;
        for (std::size_t i = 0; i < count; ++i) {
            const auto& route = made.worker.view->routes[0];
            names += route.pool->pool->endpoint(*route.balancer->pick(pool.context())).server;
        }
        return names;
    }

    TestPool pool{named_pool()};
    TestPool other{pool_config({{1}})};
    testing::MadeExchange made{"GET / HTTP/1.1\r\nHost: a\r\n\r\n"};
};

TEST_F(WorkerViewTest, SharesPoolsThatHaveNotChanged) {
    const auto before = made.worker.view;
    move_server(1);
    EXPECT_EQ(made.worker.view->pools[1], before->pools[1]);
    EXPECT_NE(made.worker.view->pools[0], before->pools[0]);
    EXPECT_EQ(made.worker.view->pools[0]->endpoints[0].idle, before->pools[0]->endpoints[0].idle);
}

TEST_F(WorkerViewTest, TakesTurnsFromWhereItsPredecessorStood) {
    move_server(1);
    EXPECT_EQ(picks(4), "abca");
    move_server(2);
    EXPECT_EQ(picks(1), "b") << "the new address of c joins without a turn of its own";
}

TEST_F(WorkerViewTest, AnExchangeGoesOnWithTheCurrentViewOnItsRoute) {
    move_server(1);
    auto& exchange = made.exchange;
    exchange.view = made.worker.view;
    exchange.route = &exchange.view->routes[1];
    exchange.tried = {1, 2};
    move_server(2);
    ASSERT_TRUE(go_on_with_current_view(made.worker, exchange));
    EXPECT_EQ(exchange.view, made.worker.view);
    EXPECT_EQ(exchange.route, &made.worker.view->routes[1]);
    EXPECT_EQ(exchange.tried, std::vector<std::uint16_t>{1}) << "the address of c that it tried is no more";

    use(snapshot_of({"new", "two"}));
    ASSERT_TRUE(go_on_with_current_view(made.worker, exchange));
    EXPECT_EQ(exchange.route->entry->name, "two") << "after a reload by its name";
    use(snapshot_of({"new"}));
    EXPECT_FALSE(go_on_with_current_view(made.worker, exchange));
}

/// A large one takes turns with everybody else on the worker.
TEST_F(WorkerViewTest, IsMadeInStepsWhileTheOldOneServes) {
    const auto before = made.worker.view;
    const auto next = snapshot_of(std::vector<std::string>(300, "route"));
    ViewInMaking making{made.worker, next};
    std::size_t steps = 1;
    auto view = making.advance(net::TimePoint::min());
    for (; !view; ++steps) {
        EXPECT_EQ(made.worker.view, before);
        view = making.advance(net::TimePoint::min());
    }
    EXPECT_GE(steps, 4U);
    EXPECT_EQ(view->routes.size(), 300U);
    for (const auto& route : view->routes) EXPECT_EQ(route.pool, view->pools[0].get());
    EXPECT_EQ(view->pools[1], before->pools[1]);
}

TEST(WorkersShare, OfIdleConnectionsIsOneAtLeast) {
    boost::asio::io_context io{1};
    observe::Statistics statistics{8};
    for (const auto& [max_idle, of_all] : {std::pair{0U, 0U}, {1U, 8U}, {3U, 8U}, {8U, 8U}, {13U, 13U}, {32U, 32U}}) {
        auto config = pool_config({{1}});
        config.keepalive.max_idle = max_idle;
        TestPool pool{config};
        std::size_t sum = 0;
        for (unsigned index = 0; index < 8; ++index) {
            Worker worker{index, 8, io, statistics, "lb-test"};
            auto snapshot = std::make_shared<Snapshot>(std::vector<config::Route>{});
            snapshot->config = std::make_shared<const config::Config>();
            auto routes = std::make_shared<Routes>();
            routes->none.action = RouteEntry::Action::respond;
            routes->none.counters = statistics.route("none");
            snapshot->routes = std::move(routes);
            // The counters of this pool are for one worker.
            auto basis = std::make_shared<upstream::PoolBasis>(*pool.pool()->basis());
            basis->counts = upstream::counts_of(*basis->config, statistics);
            snapshot->pools = {std::make_shared<const upstream::Pool>(std::move(basis), upstream::Addresses{})};
            const auto view = make_view(worker, std::move(snapshot));
            sum += view->pools[0]->most_idle;
        }
        EXPECT_EQ(sum, of_all) << max_idle;
    }
}

}  // namespace
}  // namespace nsboot_lb::forward
