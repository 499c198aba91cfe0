// When a client counts as gone while its request is served.
#include "client_watch.hpp"

#include <optional>

#include <gtest/gtest.h>

#include "../forward/made_exchange.hpp"

namespace nsboot_lb::server {
namespace {

using forward::testing::MadeExchange;
using net::Cause;
using net::testing::Peer;
using namespace std::chrono_literals;

constexpr auto get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr auto upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

class Watched {
  public:
    explicit Watched(std::string_view request) : Watched(request, net::testing::connected_pair()) {}
    void watch(std::optional<std::chrono::milliseconds> half_closed = std::nullopt) {
        auto* const list = half_closed ? &made.worker.deadlines.list(*half_closed) : nullptr;
        watching.emplace(made.stream, made.exchange, made.scope, list);
    }
    /// Lets what has happened be recorded.
    void turn() { pause(1ms); }
    /// Until deadlines of so long, armed before, have passed.
    void pause(std::chrono::milliseconds time) {
        made.run([](MadeExchange& of, std::chrono::milliseconds length) -> net::Task<void> {
            net::Scope own;
            net::Pause pause{of.worker.reactor, own, of.worker.deadlines.list(length)};
            const auto ready = co_await pause;
            EXPECT_EQ(ready, net::Ready::ok);
        }(made, time));
    }
    Cause cause() const { return made.scope.cause(); }

    MadeExchange made;
    Peer client;
    std::optional<ClientWatch> watching;

  private:
    Watched(std::string_view request, std::array<int, 2> ends) : made(request), client(ends[1]) {
        EXPECT_TRUE(made.stream.open(ends[0], false, true));
    }
};

TEST(ClientWatch, HearsAClientThatLeaves) {
    Watched watched{get};
    watched.watch(1h);
    watched.turn();
    EXPECT_EQ(watched.cause(), Cause::none);
    watched.client.close();
    watched.turn();
    EXPECT_EQ(watched.cause(), Cause::client_gone);
}

TEST(ClientWatch, HearsOfOneThatLeftBeforeItBegan) {
    Watched watched{get};
    watched.client.close();
    watched.turn();
    watched.watch(1h);
    EXPECT_EQ(watched.cause(), Cause::client_gone);
}

TEST(ClientWatch, ThatIsOverHearsNothing) {
    Watched watched{get};
    watched.watch(1h);
    watched.watching.reset();
    watched.client.close();
    watched.turn();
    EXPECT_EQ(watched.cause(), Cause::none);
}

TEST(ClientWatch, TakesOneThatClosesItsSideForGoneIfItHasNoPatience) {
    Watched watched{get};
    watched.watch();
    watched.client.shutdown();
    watched.turn();
    EXPECT_EQ(watched.cause(), Cause::client_gone);
}

TEST(ClientWatch, LeavesTheEndInMidBodyToWhoReadsTheBody) {
    Watched watched{upload};
    watched.watch();
    watched.client.shutdown();
    watched.turn();
    EXPECT_EQ(watched.cause(), Cause::none);
}

TEST(ClientWatch, WaitsForOneThatClosesItsSideAsLongAsThatTakesSomething) {
    Watched watched{get};
    watched.watch(30ms);
    EXPECT_EQ(watched.made.stream.try_write("hello").bytes, 5U);
    watched.client.shutdown();
    watched.turn();
    EXPECT_EQ(watched.client.received(), "hello");
    watched.pause(30ms);
    EXPECT_EQ(watched.cause(), Cause::none);
    watched.pause(30ms);
    EXPECT_EQ(watched.cause(), Cause::client_gone);
}

}  // namespace
}  // namespace nsboot_lb::server
