// A tunnel and the moment in which it is told to end. What becomes of it on a real network is the integration tests'.
#include "tunnel.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../upstream/pools.hpp"
#include "made_exchange.hpp"
#include "nsboot_lb/forward/end_tunnel.hpp"

namespace nsboot_lb::forward {
namespace {

using namespace testing;
using namespace std::string_literals;
using net::testing::Peer;
using ::testing::EndsWith;

const std::string switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const std::string goodbye = "\x88\x1e\x03\xe9going away, please reconnect"s;
const std::string answer = "\x88\x82\x00\x00\x00\x00\x03\xe9"s;

class Nobody final : public AttemptOwner {
    void write_head(const upstream::Endpoint&, http::h1::Output&) override {}
    bool on_interim(const http::ResponseHead&) override { return false; }
};

/// A client and a server in the hands of the test, and the daemon between them with the 101 just read.
class TunnelTest : public ::testing::Test {
  protected:
    TunnelTest() : TunnelTest(net::testing::connected_pair(), net::testing::connected_pair()) {}
    TunnelTest(std::array<int, 2> client_ends, std::array<int, 2> server_ends)
        : client(client_ends[1]), server(server_ends[1]) {
        auto idle = std::make_unique<upstream::Connection>(made.worker.reactor);
        auto snapshot = std::make_shared<Snapshot>(std::vector<config::Route>{});
        snapshot->config = std::make_shared<const config::Config>();
        auto routes = std::make_shared<Routes>();
        routes->none.counters = statistics.route("none");
        snapshot->pools.push_back(pool.pool());
        RouteEntry& entry = routes->entries.emplace_back();
        entry.name = "all";
        entry.counters = statistics.route("all");
        snapshot->routes = std::move(routes);
        began_with = snapshot;
        made.exchange.view = make_view(made.worker, std::move(snapshot));
        made.exchange.route = &made.exchange.view->routes[0];

        EXPECT_TRUE(made.stream.open(client_ends[0], true, true));
        EXPECT_TRUE(idle->stream.open(server_ends[0], false, true));
        const auto& view = *made.exchange.view->pools[0];
        view.endpoints[0].idle->give(std::move(idle), 1, *view.idle_timeout);
        plan.emplace(AttemptPlan{.pool = view, .owner = nobody});
        plan->repeatable = true;
        plan->websocket = true;
        attempt.emplace(made.worker, *plan, 0, upstream::InFlight{}, made.scope);
        EXPECT_TRUE(attempt->take_idle());
        http::HeadError error;
        EXPECT_EQ(http::h1::parse_response(switching, {}, made.worker.response_head, made.worker.mended_head, error),
                  http::h1::Parsed::complete);
    }

    End run() {
        std::optional<End> end;
        made.run([](TunnelTest& test, auto& out) -> net::Task<void> {
            out = co_await tunnel(test.made.worker, test.made.exchange, *test.attempt);
        }(*this, end));
        EXPECT_EQ(made.exchange.tunnel, nullptr);
        made.stream.close();
        return end.value();
    }
    /// What the server sent together with its head.
    void came_with_the_head(std::string_view bytes) {
        server.send(switching + std::string(bytes));
        const auto tried = attempt->try_read_head(net::Ready::ok);
        ASSERT_TRUE(tried);
        EXPECT_TRUE(tried->has_head);
    }

    upstream::testing::TestPool pool{upstream::testing::ServerSpec{}};
    observe::Statistics statistics{1};
    MadeExchange made{"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"};
    std::weak_ptr<const Snapshot> began_with;
    Nobody nobody;
    std::optional<AttemptPlan> plan;
    std::optional<Attempt> attempt;
    Peer client;
    Peer server;
};

TEST_F(TunnelTest, PassesOnWhatEachSideSaysBeforeItCloses) {
    client.send("from the client");
    client.shutdown();
    server.send(
        "\x81\x04"
        "from");
    server.shutdown();
    EXPECT_EQ(run(), End::complete);
    EXPECT_THAT(client.received(), EndsWith("\r\n\r\n\x81\x04"
                                            "from"));
    EXPECT_EQ(server.received(), "from the client");
    EXPECT_EQ(made.exchange.reason, observe::Reason::none);
}

// Reloads do not end tunnels; what each began with would add up.
TEST_F(TunnelTest, KeepsNothingOfItsConfigurationButItsPoolAndWhatItIsCountedUnder) {
    client.shutdown();
    server.shutdown();
    EXPECT_FALSE(began_with.expired());
    EXPECT_EQ(run(), End::complete);
    EXPECT_TRUE(began_with.expired());
    EXPECT_EQ(made.exchange.route->entry->name, "all");
    EXPECT_EQ(made.exchange.route->counters, &statistics.route("all")->at(0));
    EXPECT_EQ(attempt->endpoint().server, "a");
    made.exchange.clear();
    EXPECT_EQ(made.exchange.tunnel_view, nullptr);
}

// One that comes to be between the moment in which all were told and the daemon's last.
TEST_F(TunnelTest, ThatBeginsWhenTunnelsAreToEndIsToldAtOnce) {
    made.worker.tunnels_end = true;
    client.send(answer);
    client.shutdown();
    server.shutdown();
    EXPECT_EQ(run(), End::complete);
    EXPECT_THAT(client.received(), EndsWith("\r\n\r\n" + goodbye));
    EXPECT_EQ(server.received(), answer);
    EXPECT_EQ(made.exchange.reason, observe::Reason::shutting_down);
}

TEST_F(TunnelTest, ThatBeginsWhenTunnelsAreToEndStillFinishesItsFrame) {
    made.worker.tunnels_end = true;
    came_with_the_head("\x81\x05");
    client.send(answer);
    client.shutdown();
    server.send("whole\x81\x04 not");
    server.shutdown();
    EXPECT_EQ(run(), End::complete);
    EXPECT_THAT(client.received(), EndsWith("\r\n\r\n\x81\x05"
                                            "whole" +
                                            goodbye));
}

TEST_F(TunnelTest, WhoseServerEndsInMidFrameHasNoPlaceForAGoodbye) {
    made.worker.tunnels_end = true;
    came_with_the_head("\x81\x05who");
    client.shutdown();
    server.shutdown();
    EXPECT_EQ(run(), End::complete);
    EXPECT_THAT(client.received(), EndsWith("\x81\x05who"));
}

TEST(EndTunnel, OfAConnectionThatIsNoneDoesNothing) {
    MadeExchange made{"GET / HTTP/1.0\r\n\r\n"};
    end_tunnel(made.exchange);
    EXPECT_EQ(made.exchange.tunnel, nullptr);
}

}  // namespace
}  // namespace nsboot_lb::forward
