#include "address_changes.hpp"

#include <optional>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

namespace nsboot_lb::server {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

class AddressChangesTest : public testing::Test {
  protected:
    asio::io_context loop{1};
    Turns turns{loop};
    int tries = 0;
    int fails = 0;  ///< of the tries to come
    AddressChanges changes{loop, turns,
                           [this]() -> asio::awaitable<void> {
                               ++tries;
                               if (fails > 0 && fails-- > 0) throw std::bad_alloc();
                               co_return;
                           },
                           1ms};
};

TEST_F(AddressChangesTest, AreTakenOver) {
    changes.happened();
    EXPECT_EQ(tries, 0) << "not from within";
    loop.run();
    EXPECT_EQ(tries, 1);
    loop.restart();
    changes.happened();
    loop.run();
    EXPECT_EQ(tries, 2);
}

TEST_F(AddressChangesTest, AreTriedAgainUntilItWorks) {
    fails = 3;
    changes.happened();
    loop.run();
    EXPECT_EQ(tries, 4);
}

TEST_F(AddressChangesTest, ManyAtOnceAreOne) {
    for (int i = 0; i < 5; ++i) changes.happened();
    loop.run();
    EXPECT_EQ(tries, 1);
}

TEST_F(AddressChangesTest, HaveTheirTurnAfterAReload) {
    std::optional<Turns::Turn> reload;
    asio::co_spawn(loop, [&]() -> asio::awaitable<void> { reload.emplace(co_await turns.take()); }, asio::detached);
    loop.poll();
    ASSERT_TRUE(reload);
    changes.happened();
    loop.restart();
    loop.poll();
    EXPECT_EQ(tries, 0);
    changes.happened();
    reload.reset();
    loop.run();
    EXPECT_EQ(tries, 1);
}

}  // namespace
}  // namespace nsboot_lb::server
