/// `max_connections` over all workers, and the queue before it: nobody gets past, nobody is forgotten.
#include <algorithm>
#include <iostream>
#include <numeric>

#include <gmock/gmock.h>

#include "closed_loop.hpp"
#include "cluster.hpp"

namespace nsboot_lb::test {
namespace {

constexpr std::size_t requests = sanitized ? 2'000 : 10'000;
constexpr std::size_t clients = 40;

TEST(Slots, TwoAtATimeForAllWorkersTogetherAndEachClientGetsItsShare) {
    const StandIn server{"nsboot-1", "127.0.0.11"};
    const Daemon daemon{R"(
workers: 4
listeners:
  - {address: "127.0.0.1:0"}
pools:
  nsboot: {servers: [{address: "$1", max_connections: 2}]}
routes:
  - pool: nsboot
admin: {address: "127.0.0.1:0"}
)",
                        {{"$1", server.address()}}};
    const ExpectedAnswers expected{{server.name()}};
    ClosedLoop loop{daemon.port(), clients, expected, requests};
    const auto tally = loop.finish();

    const auto [least, most] = std::ranges::minmax(tally.by_client);
    std::cout << "[ figures  ] " << tally.answered << " of " << requests
              << " requests answered whole through two slots; " << server.most_at_once()
              << " at most at the server at once; " << least << " to " << most << " of each client; longest wait "
              << tally.slowest.count() << " ms; " << tally.took.count() << " ms\n";
    EXPECT_EQ(tally.failed, 0U) << testing::PrintToString(tally.failures);
    EXPECT_EQ(tally.answered, requests);
    EXPECT_EQ(server.arrived("GET "), requests);
    EXPECT_EQ(server.most_at_once(), 2) << "and both are used";
    // First in, first out: whatever worker a client came to, it has its turn when all others have had theirs.
    EXPECT_GT(least, requests / clients / 2);
    daemon.await_metric("nsboot_lb_queue_length", {}, 0);
    EXPECT_EQ(daemon.metric("nsboot_lb_queue_timeouts_total"), 0);
}

}  // namespace
}  // namespace nsboot_lb::test
