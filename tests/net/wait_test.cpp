// How waits end, and what is remembered of that between them.
#include "nsboot_lb/net/wait.hpp"

#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "loop.hpp"

namespace nsboot_lb::net {
namespace {

using testing::Waiter;
using namespace std::chrono_literals;

class WaitTest : public ::testing::Test {
  public:  // for the coroutines, which are not members
    /// Lets the readiness's deadline pass while nobody waits.
    void let_deadline_pass() {
        readiness.deadline().arm(loop.deadlines.list(1ms));
        loop.run([](WaitTest& test) -> Task<void> {
            Scope own;
            Pause behind_it{test.loop.reactor, own, test.loop.deadlines.list(1ms)};
            const auto ready = co_await behind_it;
            EXPECT_EQ(ready, Ready::ok);
        }(*this));
        EXPECT_TRUE(readiness.deadline().expired());
    }

    testing::Loop loop;
    Scope scope;
    Readiness readiness{loop.reactor};
};

TEST_F(WaitTest, ends_when_it_is_ready) {
    Waiter waiter{readiness, scope};
    readiness.set();
    EXPECT_EQ(waiter.ended(), std::nullopt) << "resumed from the reactor's queue, not from within the call";
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::ok);
}

TEST_F(WaitTest, does_not_begin_where_it_is_ready_already) {
    readiness.set();
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::ok);
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::ok) << "until it is told otherwise";
    readiness.clear();
    EXPECT_EQ(Waiter(readiness, scope).ended(), std::nullopt);
}

// ---- Scopes

TEST_F(WaitTest, a_cancel_ends_a_wait) {
    Waiter waiter{readiness, scope};
    scope.cancel(Cause::client_gone);
    EXPECT_EQ(waiter.ended(), std::nullopt) << "resumed from the reactor's queue, not from within the call";
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
}

TEST_F(WaitTest, a_cancel_is_kept_for_waits_that_begin_later) {
    scope.cancel(Cause::client_gone);
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::cancelled);
    readiness.set();
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::cancelled) << "though it would be ready";
}

TEST_F(WaitTest, a_cancel_reaches_a_wait_that_is_over_and_has_not_had_its_turn) {
    Waiter waiter{readiness, scope};
    readiness.set();
    scope.cancel(Cause::no_use);
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
}

TEST_F(WaitTest, a_cancel_says_nothing_to_other_scopes) {
    Scope other;
    Waiter waiter{readiness, scope};
    scope.cancel(Cause::no_use);
    loop.turn();
    Waiter next{readiness, other};
    readiness.set();
    loop.turn();
    EXPECT_EQ(next.ended(), Ready::ok);
}

TEST_F(WaitTest, a_cancel_reaches_the_scopes_within_and_carries_its_cause) {
    Scope inner{scope};
    Scope innermost{inner};
    Waiter waiter{readiness, innermost};
    scope.cancel(Cause::evicted);
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
    EXPECT_EQ(inner.cause(), Cause::evicted);
    EXPECT_EQ(innermost.cause(), Cause::evicted);
}

TEST_F(WaitTest, a_cancel_does_not_reach_the_scope_around_nor_its_neighbours) {
    Scope inner{scope};
    Scope neighbour{scope};
    inner.cancel(Cause::no_use);
    EXPECT_FALSE(scope.cancelled());
    EXPECT_FALSE(neighbour.cancelled());
    scope.cancel(Cause::shutting_down);
    EXPECT_EQ(neighbour.cause(), Cause::shutting_down);
    EXPECT_EQ(inner.cause(), Cause::no_use) << "the first cause counts";
}

TEST_F(WaitTest, a_scope_within_one_that_is_cancelled_is_cancelled_from_its_beginning) {
    scope.cancel(Cause::client_gone);
    Scope inner{scope};
    EXPECT_EQ(inner.cause(), Cause::client_gone);
    EXPECT_EQ(Waiter(readiness, inner).ended(), Ready::cancelled);
}

TEST_F(WaitTest, a_scope_that_is_over_hears_nothing_of_the_one_around) {
    std::optional<Scope> inner;
    inner.emplace(scope);
    inner.reset();
    scope.cancel(Cause::no_use);
    EXPECT_TRUE(scope.cancelled());
}

// ---- Deadlines

TEST_F(WaitTest, ends_when_its_deadline_passes) {
    loop.run([](WaitTest& test) -> Task<void> {
        test.readiness.deadline().arm(test.loop.deadlines.list(1ms));
        const auto ready = co_await test.readiness.wait(test.scope);
        EXPECT_EQ(ready, Ready::timed_out);
    }(*this));
    EXPECT_FALSE(readiness.deadline().armed());
}

TEST_F(WaitTest, a_deadline_that_passed_between_two_waits_ends_the_next_one) {
    let_deadline_pass();
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::timed_out);
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::timed_out) << "until it is armed or disarmed anew";
    readiness.set();
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::timed_out) << "also where there is something by now";
}

TEST_F(WaitTest, a_deadline_that_passed_is_forgotten_when_it_is_disarmed) {
    let_deadline_pass();
    readiness.deadline().disarm();
    EXPECT_EQ(Waiter(readiness, scope).ended(), std::nullopt);
}

TEST_F(WaitTest, a_deadline_that_passed_is_forgotten_when_it_is_armed_anew) {
    let_deadline_pass();
    readiness.deadline().arm(loop.deadlines.list(1h));
    EXPECT_FALSE(readiness.deadline().expired());
    Waiter waiter{readiness, scope};
    EXPECT_EQ(waiter.ended(), std::nullopt);
    readiness.set();
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::ok);
}

TEST_F(WaitTest, a_deadline_that_passes_before_its_turn_ends_only_the_next_wait) {
    Waiter waiter{readiness, scope};
    readiness.set();
    readiness.deadline().arm(loop.deadlines.list(1ms));
    const auto timer_runs_out = [this] {
        while (!readiness.deadline().expired()) loop.deadlines.sweep();
    };
    timer_runs_out();
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::ok);
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::timed_out);
}

// ---- Nudges

TEST_F(WaitTest, a_nudge_has_the_coroutine_look_around) {
    Waiter waiter{readiness, scope};
    readiness.nudge();
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::ok);
    EXPECT_FALSE(readiness.ready());
}

TEST_F(WaitTest, a_nudge_is_forgotten_when_nobody_waits) {
    readiness.nudge();
    Waiter waiter{readiness, scope};
    EXPECT_EQ(waiter.ended(), std::nullopt);
    loop.turn();
    EXPECT_EQ(waiter.ended(), std::nullopt);
}

// ---- Coroutines that are no more

TEST_F(WaitTest, a_coroutine_that_is_destroyed_while_it_waits_is_resumed_by_nothing) {
    Waiter waiter{readiness, scope};
    waiter.destroy();
    readiness.set();
    readiness.nudge();
    scope.cancel(Cause::no_use);
    loop.turn();
    EXPECT_EQ(waiter.ended(), std::nullopt);
}

TEST_F(WaitTest, a_coroutine_that_is_destroyed_in_the_queue_is_not_resumed) {
    Waiter waiter{readiness, scope};
    readiness.set();
    waiter.destroy();
    loop.turn();
    EXPECT_EQ(waiter.ended(), std::nullopt);
    EXPECT_EQ(Waiter(readiness, scope).ended(), Ready::ok) << "for whoever comes next it is still ready";
}

TEST_F(WaitTest, a_coroutine_that_is_destroyed_by_another_one_of_the_same_round_is_not_resumed) {
    Readiness first{loop.reactor};
    Waiter victim{readiness, scope};
    const auto destroy = [](Readiness& of, Scope& in, Waiter& whom) -> Task<bool> {
        const auto ready = co_await of.wait(in);
        EXPECT_EQ(ready, Ready::ok);
        whom.destroy();
        co_return true;
    };
    const detail::Beside<bool> destroyer{destroy(first, scope, victim)};
    first.set();
    readiness.set();
    loop.turn();
    EXPECT_EQ(victim.ended(), std::nullopt);
}

TEST_F(WaitTest, the_place_of_a_coroutine_that_is_destroyed_is_free) {
    Waiter waiter{readiness, scope};
    waiter.destroy();
    Waiter next{readiness, scope};
    readiness.set();
    loop.turn();
    EXPECT_EQ(next.ended(), Ready::ok);
}

// ---- One at a time

TEST_F(WaitTest, a_second_waiter_is_the_one_that_fails) {
    Waiter first{readiness, scope};
    std::string what;
    const auto wait = [](Readiness& of, Scope& in) -> Task<void> {
        const auto ready = co_await of.wait(in);
        EXPECT_EQ(ready, Ready::ok);
    };
    spawn(wait(readiness, scope), [&](const std::exception_ptr& thrown) {
        ASSERT_TRUE(thrown);
        try {
            std::rethrow_exception(thrown);
        } catch (const std::logic_error& error) {
            what = error.what();
        }
    });
    EXPECT_NE(what, "");
    EXPECT_EQ(first.ended(), std::nullopt);
    readiness.set();
    loop.turn();
    EXPECT_EQ(first.ended(), Ready::ok);
}

// ---- What is waited for goes

TEST_F(WaitTest, what_is_abandoned_ends_a_wait_as_cancelled) {
    Waiter waiter{readiness, scope};
    readiness.abandon();
    EXPECT_EQ(waiter.ended(), std::nullopt);
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
    EXPECT_FALSE(scope.cancelled());
}

TEST_F(WaitTest, what_is_abandoned_ends_also_a_wait_that_is_over_and_has_not_had_its_turn) {
    Waiter waiter{readiness, scope};
    readiness.set();
    readiness.abandon();
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
}

TEST_F(WaitTest, what_is_destroyed_ends_a_wait_as_cancelled) {
    std::optional<Readiness> gone;
    gone.emplace(loop.reactor);
    Waiter waiter{*gone, scope};
    gone.reset();
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::cancelled);
}

TEST_F(WaitTest, what_is_abandoned_remembers_nothing_and_can_be_waited_for_again) {
    let_deadline_pass();
    readiness.set();
    readiness.abandon();
    Waiter waiter{readiness, scope};
    EXPECT_EQ(waiter.ended(), std::nullopt);
    readiness.set();
    loop.turn();
    EXPECT_EQ(waiter.ended(), Ready::ok);
}

// ---- Yield and Pause

TEST_F(WaitTest, who_yields_in_a_cancelled_scope_is_told) {
    loop.run([](WaitTest& test) -> Task<void> {
        Yield before{test.loop.reactor, test.scope};
        auto ready = co_await before;
        EXPECT_EQ(ready, Ready::ok);
        test.scope.cancel(Cause::no_use);
        Yield after{test.loop.reactor, test.scope};
        ready = co_await after;
        EXPECT_EQ(ready, Ready::cancelled);
    }(*this));
}

TEST_F(WaitTest, who_pauses_in_a_cancelled_scope_does_not_pause) {
    scope.cancel(Cause::no_use);
    loop.run([](WaitTest& test) -> Task<void> {
        Pause hour{test.loop.reactor, test.scope, test.loop.deadlines.list(1h)};
        const auto ready = co_await hour;
        EXPECT_EQ(ready, Ready::cancelled);
    }(*this));
}

TEST_F(WaitTest, a_cancel_ends_a_pause) {
    loop.run([](WaitTest& test) -> Task<void> {
        const auto pause = [](WaitTest& of) -> Task<Ready> {
            Pause hour{of.loop.reactor, of.scope, of.loop.deadlines.list(1h)};
            const auto ready = co_await hour;
            co_return ready;
        };
        const auto cancel = [](WaitTest& of) -> Task<bool> {
            of.scope.cancel(Cause::no_use);
            co_return true;
        };
        const auto [ready, done] = co_await alongside(test.scope, pause(test), cancel(test));
        EXPECT_EQ(ready, Ready::cancelled);
        EXPECT_TRUE(done);
    }(*this));
}

TEST_F(WaitTest, a_pause_lasts_as_long_as_the_list_says) {
    loop.run([](WaitTest& test) -> Task<void> {
        const auto began = test.loop.deadlines.now();
        Pause pause{test.loop.reactor, test.scope, test.loop.deadlines.list(15ms)};
        const auto ready = co_await pause;
        EXPECT_EQ(ready, Ready::ok);
        EXPECT_GE(test.loop.deadlines.now() - began, 15ms);
    }(*this));
}

}  // namespace
}  // namespace nsboot_lb::net
