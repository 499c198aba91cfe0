#include <condition_variable>
#include <deque>
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

using config::Policy;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A full pool, and waiters that write down in which order they are woken.
class Waiting : public ::testing::Test {
  protected:
    explicit Waiting(const std::vector<ServerSpec>& servers = {{1, 1, false}}) : pool(servers) {
        for (const auto& endpoint : pool.pool()->endpoints()) slots.push_back(InFlight::try_begin(endpoint));
    }

    std::unique_ptr<WaitTicket> ticket(int number, std::span<const std::uint16_t> tried = {}) {
        return std::make_unique<WaitTicket>(*pool.pool(), tried, [this, number] { woken.push_back(number); });
    }
    WaitQueue& queue() { return pool.pool()->state().queue; }

    TestPool pool;
    const std::shared_ptr<const Pool> pinned = pool.pool();  ///< what `slots` are of, whatever is reloaded
    std::vector<InFlight> slots;
    std::vector<int> woken;
};

TEST_F(Waiting, AFreedSlotGoesToTheFirstOfTheQueue) {
    const auto first = ticket(1);
    const auto second = ticket(2);
    ASSERT_TRUE(queue().enter(*first, pool.now));
    ASSERT_TRUE(queue().enter(*second, pool.now));
    EXPECT_EQ(queue().size(), 2);
    slots[0].release();
    EXPECT_THAT(woken, ElementsAre(1));
    EXPECT_EQ(pool.state(0).in_flight(), 1) << "handed over, not given up";
    EXPECT_FALSE(second->take());
    auto admitted = first->take();
    ASSERT_TRUE(admitted);
    EXPECT_FALSE(first->take()) << "once";
    admitted->slot.release();
    EXPECT_THAT(woken, ElementsAre(1, 2));
}

TEST_F(Waiting, NewcomersDoNotOvertake) {
    const auto balancer = pool.balancer(Policy::least_conn);
    const auto first = ticket(1);
    ASSERT_TRUE(queue().enter(*first, pool.now));
    const auto second = ticket(2);
    ASSERT_TRUE(queue().enter(*second, pool.now));
    slots[0].release();
    first->take()->slot.release();
    second->take();
    EXPECT_THAT(woken, ElementsAre(1, 2));
    const auto third = ticket(3);
    slots[0] = InFlight::try_begin(pool.pool()->endpoint(0));
    ASSERT_TRUE(queue().enter(*third, pool.now));
    const auto newcomer = admit(*balancer, *pool.pool(), pool.context());
    ASSERT_FALSE(newcomer);
    EXPECT_EQ(newcomer.error(), Refusal::full);
}

TEST_F(Waiting, WhoLeavesIsOutOfTheQueue) {
    const auto first = ticket(1);
    auto second = ticket(2);
    const auto third = ticket(3);
    for (auto* entering : {first.get(), second.get(), third.get()}) ASSERT_TRUE(queue().enter(*entering, pool.now));
    second.reset();
    EXPECT_EQ(queue().size(), 2);
    slots[0].release();
    first->take()->slot.release();
    EXPECT_THAT(woken, ElementsAre(1, 3));
}

TEST_F(Waiting, ASlotThatIsHandedToOneWhoLeavesGoesToTheNext) {
    auto first = ticket(1);
    const auto second = ticket(2);
    ASSERT_TRUE(queue().enter(*first, pool.now));
    ASSERT_TRUE(queue().enter(*second, pool.now));
    slots[0].release();
    first.reset();
    EXPECT_THAT(woken, ElementsAre(1, 2));
    EXPECT_TRUE(second->take());
    EXPECT_EQ(pool.state(0).in_flight(), 0) << "the last one was dropped";
}

TEST_F(Waiting, ASlotThatIsFreeAlreadyIsHandedOverOnEntering) {
    slots[0].release();
    const auto first = ticket(1);
    ASSERT_TRUE(queue().enter(*first, pool.now));
    EXPECT_THAT(woken, ElementsAre(1));
    EXPECT_EQ(queue().size(), 0);
}

TEST(WaitQueue, RefusesMoreThanItsSize) {
    auto config = pool_config({{1, 1, false}});
    config.queue_size = 2;
    const TestPool pool(config);
    const auto slot = InFlight::try_begin(pool.pool()->endpoint(0));
    WaitTicket a(*pool.pool(), {}, [] {});
    WaitTicket b(*pool.pool(), {}, [] {});
    WaitTicket c(*pool.pool(), {}, [] {});
    EXPECT_TRUE(pool.pool()->state().queue.enter(a, pool.now));
    EXPECT_TRUE(pool.pool()->state().queue.enter(b, pool.now));
    EXPECT_FALSE(pool.pool()->state().queue.enter(c, pool.now));
}

class WaitingForTwo : public Waiting {
  protected:
    WaitingForTwo() : Waiting({{1, 1, false}, {1, 1, false}}) {}
};

TEST_F(WaitingForTwo, ARetryIsNotHandedTheServerItHasTried) {
    const std::uint16_t tried[] = {0};
    const auto retrying = ticket(1, tried);
    const auto fresh = ticket(2);
    ASSERT_TRUE(queue().enter(*retrying, pool.now));
    ASSERT_TRUE(queue().enter(*fresh, pool.now));
    slots[0].release();
    EXPECT_THAT(woken, ElementsAre(2));
    slots[1].release();
    EXPECT_THAT(woken, ElementsAre(2, 1));
}

TEST_F(WaitingForTwo, NoSlotOfAServerThatIsOutIsHandedOver) {
    const auto waiter = ticket(1);
    ASSERT_TRUE(queue().enter(*waiter, pool.now));
    pool.state(0).set_admin_state(AdminState::drain, pool.now);
    slots[0].release();
    EXPECT_THAT(woken, IsEmpty());
    pool.state(0).set_admin_state(AdminState::up, pool.now);
    EXPECT_THAT(woken, ElementsAre(1)) << "and one that comes back is used at once";
}

TEST_F(WaitingForTwo, WhenAllOthersGoDownTheBackupServesThoseWhoWait) {
    auto config = pool_config({{1, 1, false}, {1, 1, false}, {1, 0, true}});
    pool.rebuild(config);
    const auto waiter = ticket(1);
    ASSERT_TRUE(queue().enter(*waiter, pool.now));
    pool.state(0).set_active_health(false, "test", pool.now);
    EXPECT_THAT(woken, IsEmpty());
    pool.state(1).set_active_health(false, "test", pool.now);
    EXPECT_THAT(woken, ElementsAre(1));
    EXPECT_EQ(waiter->take()->endpoint, 2);
}

TEST_F(WaitingForTwo, AWaiterOfAnOldSnapshotIsHandedServersItKnows) {
    const auto waiter = ticket(1);
    ASSERT_TRUE(queue().enter(*waiter, pool.now));
    auto config = pool_config({{1, 1, false}, {1, 1, false}, {1, 1, false}});
    config.servers.erase(config.servers.begin());  // b, c: b is the old pool's number 1 and the new one's 0
    pool.rebuild(config);
    const auto slot_of_new_server = InFlight::try_begin(pool.pool()->endpoint(1));
    slots[1].release();
    const auto admitted = waiter->take();
    ASSERT_TRUE(admitted);
    EXPECT_EQ(pinned->endpoint(admitted->endpoint).server, "b");
}

TEST_F(WaitingForTwo, ALimitThatIsRaisedHoldsForThoseWhoWaitAlready) {
    const auto waiter = ticket(1);
    ASSERT_TRUE(queue().enter(*waiter, pool.now));
    pool.rebuild(pool_config({{1, 2, false}, {1, 1, false}}));
    EXPECT_THAT(woken, ElementsAre(1));
    EXPECT_EQ(waiter->take()->endpoint, 0);
}

TEST_F(WaitingForTwo, ALimitThatIsLoweredHoldsForThoseWhoWaitAlready) {
    pool.rebuild(pool_config({{1, 2, false}, {1, 2, false}}));
    const auto old = pool.pool();
    const auto a = InFlight::try_begin(old->endpoint(0));
    const auto b = InFlight::try_begin(old->endpoint(1));
    WaitTicket waiter(*old, {}, [this] { woken.push_back(1); });
    ASSERT_TRUE(queue().enter(waiter, pool.now));
    pool.rebuild(pool_config({{1, 1, false}, {1, 1, false}}));
    slots[0].release();
    EXPECT_THAT(woken, IsEmpty()) << "one is there still";
}

/// Endpoints a (tried or not) and b wait for those who have the old pool; the new one has c alone, or b and c.
class WaitingForServersThatLeave : public WaitingForTwo {
  protected:
    static config::Pool without(std::size_t count) {
        auto config = pool_config({{1, 1, false}, {1, 1, false}, {1, 1, false}});
        config.servers.erase(config.servers.begin(), config.servers.begin() + static_cast<std::ptrdiff_t>(count));
        return config;
    }
};

TEST_F(WaitingForServersThatLeave, ATicketWithoutAnyServerOfTheNewPoolIsOutdated) {
    const auto waiter = ticket(1);
    ASSERT_TRUE(queue().enter(*waiter, pool.now));
    pool.rebuild(without(2));
    EXPECT_THAT(woken, ElementsAre(1));
    EXPECT_TRUE(waiter->outdated());
    EXPECT_FALSE(waiter->take());
    EXPECT_FALSE(queue().busy()) << "newcomers need not queue up";
}

TEST_F(WaitingForServersThatLeave, ATicketKeepsItsPlaceWhileOneOfItsServersStays) {
    const auto waiter = ticket(1);
    ASSERT_TRUE(queue().enter(*waiter, pool.now));
    pool.rebuild(without(1));
    EXPECT_THAT(woken, IsEmpty());
    EXPECT_FALSE(waiter->outdated());
    pool.state(0).set_active_health(false, "test", pool.now);
    EXPECT_THAT(woken, ElementsAre(1)) << "until that one is lost";
    EXPECT_TRUE(waiter->outdated());
}

TEST_F(WaitingForServersThatLeave, AServerThatWasTriedIsNoneToWaitFor) {
    const std::uint16_t tried[] = {1};
    const auto retrying = ticket(1, tried);
    ASSERT_TRUE(queue().enter(*retrying, pool.now));
    pool.rebuild(without(1));
    EXPECT_TRUE(retrying->outdated());
}

TEST_F(WaitingForServersThatLeave, WhoComesWithTheOldPoolAfterwardsIsToldAtOnce) {
    pool.rebuild(without(2));
    WaitTicket late(*pinned, {}, [this] { woken.push_back(1); });
    ASSERT_TRUE(queue().enter(late, pool.now));
    EXPECT_THAT(woken, ElementsAre(1));
    EXPECT_TRUE(late.outdated());
}

TEST_F(WaitingForServersThatLeave, WhoHasTheNewPoolWaitsForServersThatAreDown) {
    pool.rebuild(without(2));
    pool.state(0).set_active_health(false, "test", pool.now);
    const auto waiter = ticket(1);
    ASSERT_TRUE(queue().enter(*waiter, pool.now));
    EXPECT_FALSE(waiter->outdated());
    pool.state(0).set_active_health(true, "test", pool.now);
    EXPECT_TRUE(waiter->take());
}

/// A worker as the queue sees it: a thread with a mailbox that wakes are posted to.
class Mailbox {
  public:
    void post(std::size_t exchange) {
        {
            const std::scoped_lock lock(mutex_);
            woken_.push_back(exchange);
        }
        changed_.notify_one();
    }
    std::size_t next() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !woken_.empty(); });
        const auto exchange = woken_.front();
        woken_.pop_front();
        return exchange;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::size_t> woken_;
};

TEST(WaitQueue, TenThousandRequestsOfFourWorkersThroughTwoSlots) {
    const TestPool pool({{1, 2, false}});
    std::atomic<int> at_the_server{0};
    std::atomic<int> most{0};
    std::atomic<int> served{0};
    const auto serve = [&](Admitted admitted) {
        const int now_there = ++at_the_server;
        for (int seen = most; now_there > seen && !most.compare_exchange_weak(seen, now_there);) {
        }
        ++served;
        --at_the_server;
        admitted.slot.release();
    };
    const auto worker = [&](std::uint64_t number) {
        constexpr std::size_t concurrent = 10;
        const auto balancer = pool.balancer(Policy::least_conn, number);
        Mailbox mailbox;
        std::array<std::unique_ptr<WaitTicket>, concurrent> exchanges;
        int left = 2500;
        const auto begin = [&](std::size_t exchange) {
            while (left > 0) {
                --left;
                if (auto admitted = admit(*balancer, *pool.pool(), pool.context())) {
                    serve(std::move(*admitted));
                    continue;
                }
                exchanges[exchange] = std::make_unique<WaitTicket>(*pool.pool(), std::span<const std::uint16_t>{},
                                                                   [&, exchange] { mailbox.post(exchange); });
                ASSERT_TRUE(pool.pool()->state().queue.enter(*exchanges[exchange], pool.now));
                return;
            }
        };
        for (std::size_t i = 0; i < concurrent; ++i) begin(i);
        while (std::ranges::any_of(exchanges, [](const auto& waiting) { return waiting != nullptr; })) {
            const auto exchange = mailbox.next();
            auto admitted = exchanges[exchange]->take();
            ASSERT_TRUE(admitted);
            exchanges[exchange].reset();
            serve(std::move(*admitted));
            begin(exchange);
        }
    };
    {
        std::vector<std::jthread> workers;
        for (std::uint64_t i = 0; i < 4; ++i) workers.emplace_back(worker, i);
    }
    EXPECT_EQ(served, 10'000);
    EXPECT_LE(most, 2);
    EXPECT_EQ(pool.state(0).in_flight(), 0);
    EXPECT_EQ(pool.pool()->state().queue.size(), 0);
}

TEST(WaitQueue, WaitersThatLeaveWhileSlotsAreFreedLoseNoSlot) {
    const TestPool pool({{1, 1, false}});
    std::atomic<bool> done{false};
    {
        std::vector<std::jthread> workers;
        for (std::uint64_t number = 0; number < 3; ++number)
            workers.emplace_back([&, number] {
                const auto balancer = pool.balancer(Policy::least_conn, number);
                for (int i = 0; i < 5000; ++i) {
                    if (auto admitted = admit(*balancer, *pool.pool(), pool.context())) continue;
                    WaitTicket impatient(*pool.pool(), {}, [] {});
                    ASSERT_TRUE(pool.pool()->state().queue.enter(impatient, pool.now));
                    if (i % 2 == 0) impatient.take();
                }
            });
        workers.emplace_back([&] {
            while (!done)
                pool.state(0).set_admin_state(
                    pool.state(0).admin_state() == AdminState::up ? AdminState::drain : AdminState::up, pool.now);
        });
        for (std::size_t i = 0; i < 3; ++i) workers[i].join();
        done = true;
    }
    EXPECT_EQ(pool.state(0).in_flight(), 0);
    EXPECT_EQ(pool.pool()->state().queue.size(), 0);
}

/// A server whose ejection is just over, one of whose slots is taken; a slot and the right to probe it go together.
class WaitingForAProbe : public ::testing::Test {
  protected:
    WaitingForAProbe() {
        const auto real_now = std::chrono::steady_clock::now();
        pool.now = real_now - 60s;
        pool.eject(0);
        pool.now = real_now;
    }
    TestPool pool{{1, 2, false}};
    const std::shared_ptr<const Pool> pinned = pool.pool();
    InFlight taken = InFlight::try_begin(pinned->endpoint(0));
    bool woken = false;
    std::optional<WaitTicket> ticket{std::in_place, *pinned, std::span<const std::uint16_t>{},
                                     [this] { woken = true; }};
};

TEST_F(WaitingForAProbe, WhoLeavesWithoutTheSlotLeavesTheProbeToo) {
    ASSERT_TRUE(pinned->state().queue.enter(*ticket, pool.now));
    ASSERT_TRUE(woken);
    EXPECT_FALSE(pool.state(0).claim_probe(pool.now)) << "it went with the slot";
    ticket.reset();
    EXPECT_EQ(pool.state(0).in_flight(), 1U);
    EXPECT_TRUE(pool.state(0).claim_probe(pool.now + 1s));
}

TEST_F(WaitingForAProbe, WhoGetsNoSlotGetsNoProbe) {
    pool.rebuild(pool_config({{1, 1, false}}));  // fewer than the ticket's own pool has
    ASSERT_TRUE(pinned->state().queue.enter(*ticket, pool.now));
    ASSERT_FALSE(woken);
    EXPECT_TRUE(pool.state(0).claim_probe(pool.now));
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
