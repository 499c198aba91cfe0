#include "nsboot_lb/net/task.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

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

/// Starts a concurrent task, lets `between` happen, awaits it.
template <class Between>
Task<void> run_beside(Task<int> task, Between between, std::optional<int>& result) {
    Concurrent<int> beside{std::move(task)};
    beside.start();
    co_await between(beside);
    result = co_await beside.finished();
}

TEST(ConcurrentTest, is_done_at_once_if_it_does_not_wait) {
    std::optional<int> result;
    bool was_done = false;
    const auto between = [&](Concurrent<int>& beside) -> Task<void> {
        was_done = beside.done();
        co_return;
    };
    Ending ending;
    spawn(run_beside(number(7), between, result), ending.hear());
    EXPECT_TRUE(was_done);
    EXPECT_EQ(result, 7);
}

TEST(ConcurrentTest, runs_while_the_scope_goes_on) {
    Event own;
    Event of_scope;
    std::optional<int> result;
    const auto between = [&](Concurrent<int>& beside) -> Task<void> {
        co_await of_scope;
        EXPECT_TRUE(beside.done());
    };
    Ending ending;
    spawn(run_beside(number_after(own, 7), between, result), ending.hear());
    EXPECT_TRUE(own.awaited() && of_scope.awaited());
    own.happen();
    EXPECT_EQ(result, std::nullopt);
    of_scope.happen();
    EXPECT_EQ(result, 7);
    EXPECT_EQ(ending.text, "done");
}

TEST(ConcurrentTest, resumes_the_scope_that_waits_for_it) {
    Event own;
    std::optional<int> result;
    const auto between = [](Concurrent<int>&) -> Task<void> { co_return; };
    Ending ending;
    spawn(run_beside(number_after(own, 7), between, result), ending.hear());
    EXPECT_EQ(result, std::nullopt);
    own.happen();
    EXPECT_EQ(result, 7);
    EXPECT_EQ(ending.text, "done");
}

TEST(ConcurrentTest, throws_when_it_is_awaited_and_not_before) {
    Event own;
    Event of_scope;
    std::optional<int> result;
    const auto between = [&](Concurrent<int>&) -> Task<void> { co_await of_scope; };
    Ending ending;
    spawn(run_beside(fail_after(own, "no"), between, result), ending.hear());
    own.happen();
    EXPECT_EQ(ending.text, "");
    of_scope.happen();
    EXPECT_EQ(ending.text, "no");
}

TEST(ConcurrentTest, throws_though_it_never_waited) {
    std::optional<int> result;
    const auto between = [](Concurrent<int>&) -> Task<void> { co_return; };
    Ending ending;
    spawn(run_beside(fail("no"), between, result), ending.hear());
    EXPECT_EQ(ending.text, "no");
}

}  // namespace
}  // namespace nsboot_lb::net
