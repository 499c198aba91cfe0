#include "nsboot_lb/net/task.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "loop.hpp"

namespace nsboot_lb::net {
namespace {

/// An event that one coroutine waits for, set by hand.
class Event {
  public:
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
    void await_resume() const noexcept {}
    bool awaited() const { return static_cast<bool>(waiter_); }
    void happen() { std::exchange(waiter_, {}).resume(); }

  private:
    std::coroutine_handle<> waiter_;
};

/// How a spawned task ended: nothing yet, "done", or what it threw.
struct Ending {
    std::string text;
    auto hear() {
        return [this](const std::exception_ptr& thrown) {
            text = "done";
            try {
                if (thrown) std::rethrow_exception(thrown);
            } catch (const std::exception& error) {
                text = error.what();
            }
        };
    }
};

Task<int> number(int value) {
    co_return value;
}

Task<void> await_event(Event& event) {
    co_await event;
}

Task<int> number_after(Event& event, int value) {
    co_await event;
    co_return value;
}

Task<int> fail(std::string why) {
    throw std::runtime_error(why);
    co_return 0;
}

Task<int> fail_after(Event& event, std::string why) {
    co_await event;
    throw std::runtime_error(why);
}

TEST(TaskTest, starts_when_it_is_awaited) {
    bool started = false;
    const auto start = [](bool& flag) -> Task<void> {
        flag = true;
        co_return;
    };
    auto task = start(started);
    EXPECT_FALSE(started);
    Ending ending;
    spawn(std::move(task), ending.hear());
    EXPECT_TRUE(started);
    EXPECT_EQ(ending.text, "done");
}

TEST(TaskTest, that_never_started_is_destroyed_with_its_parameters) {
    auto witness = std::make_shared<int>(1);
    {
        const auto hold = [](std::shared_ptr<int> held) -> Task<int> { co_return *held; };
        const auto task = hold(witness);
        EXPECT_EQ(witness.use_count(), 2);
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(TaskTest, gives_its_value_to_who_awaits) {
    int sum = 0;
    const auto add = [](int& out) -> Task<void> {
        const int one = co_await number(1);
        const int two = co_await number(2);
        out = one + two;
    };
    Ending ending;
    spawn(add(sum), ending.hear());
    EXPECT_EQ(sum, 3);
}

TEST(TaskTest, gives_what_can_only_be_moved) {
    const auto make = []() -> Task<std::unique_ptr<std::string>> { co_return std::make_unique<std::string>("moved"); };
    std::string text;
    const auto take = [](auto& make_it, std::string& out) -> Task<void> {
        const auto made = co_await make_it();
        out = *made;
    };
    Ending ending;
    spawn(take(make, text), ending.hear());
    EXPECT_EQ(text, "moved");
}

TEST(TaskTest, throws_at_who_awaits) {
    std::string caught;
    const auto attempt = [](std::string& out) -> Task<void> {
        try {
            (void)co_await fail("no");
        } catch (const std::runtime_error& error) {
            out = error.what();
        }
        (void)co_await fail("nobody catches");
    };
    Ending ending;
    spawn(attempt(caught), ending.hear());
    EXPECT_EQ(caught, "no");
    EXPECT_EQ(ending.text, "nobody catches");
}

TEST(TaskTest, goes_on_where_it_waited) {
    Event event;
    Ending ending;
    spawn(await_event(event), ending.hear());
    EXPECT_TRUE(event.awaited());
    EXPECT_EQ(ending.text, "");
    event.happen();
    EXPECT_EQ(ending.text, "done");
}

Task<int> nested(int depth, Event& event) {
    if (depth == 0) {
        co_await event;
        co_return 0;
    }
    const int below = co_await nested(depth - 1, event);
    co_return below + 1;
}

TEST(TaskTest, nests_deeply) {
    constexpr int depth = 1000;
    Event event;
    int result = 0;
    const auto store = [](Event& when, int& out) -> Task<void> { out = co_await nested(depth, when); };
    Ending ending;
    spawn(store(event, result), ending.hear());
    event.happen();
    EXPECT_EQ(result, depth);
}

#ifdef __OPTIMIZE__
// Symmetric transfer is a tail call, which only an optimised build promises.
TEST(TaskTest, awaits_a_million_finished_tasks_on_one_stack) {
    int sum = 0;
    const auto add = [](int& out) -> Task<void> {
        for (int i = 0; i < 1'000'000; ++i) {
            const int one = co_await number(1);
            out += one;
        }
    };
    Ending ending;
    spawn(add(sum), ending.hear());
    EXPECT_EQ(sum, 1'000'000);
}
#endif

TEST(SpawnTest, has_destroyed_the_task_when_it_says_that_it_ended) {
    auto witness = std::make_shared<int>(1);
    const auto hold = [](std::shared_ptr<int> held) -> Task<void> {
        ++*held;
        co_return;
    };
    long holders = 0;
    spawn(hold(witness), [&](const std::exception_ptr&) { holders = witness.use_count(); });
    EXPECT_EQ(holders, 1);
    EXPECT_EQ(*witness, 2);
}

// ---- Two at once

struct Alongside : ::testing::Test {
    /// Runs both, and notes what they gave.
    template <class A, class B>
    void run(Task<A> child, Task<B> rest) {
        const auto both = [](Scope& in, Task<A> one, Task<B> other, std::optional<std::pair<A, B>>& out) -> Task<void> {
            out = co_await alongside(in, std::move(one), std::move(other));
        };
        spawn(both(scope, std::move(child), std::move(rest), given), ending.hear());
    }
    Scope scope;
    Event of_child;
    Event of_rest;
    std::optional<std::pair<int, int>> given;
    Ending ending;
};

const std::optional both_numbers{std::pair{7, 8}};

TEST_F(Alongside, gives_both_results) {
    run(number(7), number(8));
    EXPECT_EQ(given, both_numbers);
    EXPECT_EQ(ending.text, "done");
    EXPECT_FALSE(scope.cancelled());
}

TEST_F(Alongside, begins_with_the_child_until_it_first_waits) {
    std::string order;
    const auto note = [](std::string& notes, char first, char then, Event& event) -> Task<int> {
        notes += first;
        co_await event;
        notes += then;
        co_return 0;
    };
    run(note(order, 'a', 'b', of_child), note(order, 'c', 'd', of_rest));
    EXPECT_EQ(order, "ac");
    of_rest.happen();
    of_child.happen();
    EXPECT_EQ(order, "acdb");
    EXPECT_EQ(ending.text, "done");
}

TEST_F(Alongside, waits_for_a_rest_that_outlives_the_child) {
    run(number_after(of_child, 7), number_after(of_rest, 8));
    of_child.happen();
    EXPECT_EQ(ending.text, "");
    of_rest.happen();
    EXPECT_EQ(given, both_numbers);
}

TEST_F(Alongside, waits_for_a_child_that_outlives_the_rest) {
    run(number_after(of_child, 7), number(8));
    EXPECT_EQ(ending.text, "");
    EXPECT_FALSE(scope.cancelled()) << "who no longer needs the other has to say so";
    of_child.happen();
    EXPECT_EQ(given, both_numbers);
    EXPECT_EQ(ending.text, "done");
}

TEST_F(Alongside, a_rest_that_throws_cancels_both_and_leaves_no_child_behind) {
    run(number_after(of_child, 7), fail_after(of_rest, "no"));
    of_rest.happen();
    EXPECT_EQ(scope.cause(), Cause::failed);
    EXPECT_EQ(ending.text, "");
    of_child.happen();
    EXPECT_EQ(ending.text, "no");
    EXPECT_EQ(given, std::nullopt);
}

TEST_F(Alongside, a_child_that_throws_cancels_both_and_lets_the_rest_end) {
    run(fail_after(of_child, "no"), number_after(of_rest, 8));
    of_child.happen();
    EXPECT_EQ(scope.cause(), Cause::failed);
    EXPECT_EQ(ending.text, "");
    of_rest.happen();
    EXPECT_EQ(ending.text, "no");
    EXPECT_EQ(given, std::nullopt);
}

TEST_F(Alongside, a_child_that_throws_without_waiting_is_heard_too) {
    run(fail("no"), number_after(of_rest, 8));
    EXPECT_EQ(scope.cause(), Cause::failed);
    EXPECT_TRUE(of_rest.awaited());
    of_rest.happen();
    EXPECT_EQ(ending.text, "no");
}

TEST_F(Alongside, a_rest_that_throws_without_waiting_is_heard_too) {
    run(number(7), fail("no"));
    EXPECT_EQ(ending.text, "no");
    EXPECT_EQ(scope.cause(), Cause::failed);
}

TEST_F(Alongside, of_two_that_throw_one_is_heard) {
    run(fail_after(of_child, "child"), fail_after(of_rest, "rest"));
    of_rest.happen();
    EXPECT_EQ(ending.text, "");
    of_child.happen();
    EXPECT_TRUE(ending.text == "child" || ending.text == "rest") << ending.text;
}

TEST_F(Alongside, destroying_it_destroys_both_wherever_they_are) {
    const auto witness = std::make_shared<int>(1);
    const auto hold = [](std::shared_ptr<int> held, Event& event) -> Task<int> {
        co_await event;
        co_return *held;
    };
    std::optional<detail::Beside<std::pair<int, int>>> whole;
    whole.emplace(alongside(scope, hold(witness, of_child), hold(witness, of_rest)));
    EXPECT_TRUE(of_child.awaited() && of_rest.awaited());
    EXPECT_EQ(witness.use_count(), 3);
    whole.reset();
    EXPECT_EQ(witness.use_count(), 1);
}

/// Notes how a wait of its own ended.
Task<int> wait_within(Readiness& of, Scope& scope, std::optional<Ready>& ended) {
    const auto ready = co_await of.wait(scope);
    ended = ready;
    co_return 0;
}

TEST_F(Alongside, what_one_throws_ends_the_waits_of_the_other) {
    testing::Loop loop;
    for (const bool child_fails : {true, false}) {
        Readiness readiness{loop.reactor};
        Scope both;
        std::optional<Ready> ended;
        const auto run_both = [&]() -> Task<void> {
            if (child_fails)
                (void)co_await alongside(both, fail("no"), wait_within(readiness, both, ended));
            else
                (void)co_await alongside(both, wait_within(readiness, both, ended), fail("no"));
        };
        EXPECT_THROW(loop.run(run_both()), std::runtime_error);
        EXPECT_EQ(ended, Ready::cancelled);
    }
}

}  // namespace
}  // namespace nsboot_lb::net
