#pragma once
/// The coroutine of the data path. A Task starts when it is awaited and resumes its awaiter when it is done, by
/// symmetric transfer, without going through the event loop; its frame comes from the thread's frame pool. A Task
/// belongs to the scope that holds it and never leaves its worker. An exception that leaves the coroutine is thrown at
/// the awaiter.
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "nsboot_lb/net/frame_pool.hpp"
#include "nsboot_lb/net/wait.hpp"

namespace nsboot_lb::net {

template <class T>
class Task;

namespace detail {

template <class T>
class Beside;

struct PromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr failure;

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) const noexcept {
            return done.promise().continuation;
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { failure = std::current_exception(); }

    static void* operator new(std::size_t size) { return take_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { give_frame(frame, size); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Task<T> get_return_object();
    template <class U>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
    T take() {
        if (failure) std::rethrow_exception(failure);
        return std::move(*value);
    }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() const noexcept {}
    void take() const {
        if (failure) std::rethrow_exception(failure);
    }
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;

    explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, {})) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }

    struct Awaiter {
        std::coroutine_handle<promise_type> coroutine;
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) const noexcept {
            coroutine.promise().continuation = awaiter;
            return coroutine;
        }
        T await_resume() const { return coroutine.promise().take(); }
    };
    Awaiter operator co_await() const noexcept { return Awaiter{coroutine_}; }

  private:
    template <class>
    friend class detail::Beside;
    void start() const { coroutine_.resume(); }
    std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
    return Task<T>{std::coroutine_handle<Promise>::from_promise(*this)};
}
inline Task<void> Promise<void>::get_return_object() {
    return Task<void>{std::coroutine_handle<Promise>::from_promise(*this)};
}
}  // namespace detail

namespace detail {

/// A task that was started and is awaited later. Destroying it destroys the task, wherever it is.
template <class T>
class Beside {
  public:
    explicit Beside(Task<T> task) : task_(std::move(task)) { task_.start(); }

    struct Awaiter {
        std::coroutine_handle<Promise<T>> coroutine;
        bool await_ready() const noexcept { return coroutine.done(); }
        void await_suspend(std::coroutine_handle<> awaiter) const noexcept {
            coroutine.promise().continuation = awaiter;
        }
        T await_resume() const { return coroutine.promise().take(); }
    };
    Awaiter operator co_await() const noexcept { return Awaiter{task_.coroutine_}; }

  private:
    Task<T> task_;
};

/// What a task throws ends what runs beside it.
template <class T>
Task<T> cancels_on_failure(Scope& both, Task<T> task) {
    try {
        auto result = co_await task;
        co_return result;
    } catch (...) {
        both.cancel(Cause::failed);
        throw;
    }
}

}  // namespace detail

/// Two things at once: `child` runs until it first waits, then `rest` does, and it is over when both are: `rest` cannot
/// leave `child` behind, whatever it does. Who throws has `both` cancelled, so that the other one ends too; the
/// exception then goes on. Whoever no longer needs the other cancels a scope of it. Gives both results.
template <class A, class B>
Task<std::pair<A, B>> alongside(Scope& both, Task<A> child, Task<B> rest) {
    const detail::Beside<A> beside{detail::cancels_on_failure(both, std::move(child))};
    std::optional<B> result;
    std::exception_ptr failure;
    try {
        auto given = co_await rest;
        result.emplace(std::move(given));
    } catch (...) {
        failure = std::current_exception();
        both.cancel(Cause::failed);
    }
    auto first = co_await beside;
    if (failure) std::rethrow_exception(failure);
    co_return std::pair<A, B>{std::move(first), std::move(*result)};
}

/// Runs a task that nobody awaits. `on_end` is called with what it threw, or with nothing; it must not throw. It is the
/// owner that hears the error, so it may destroy what the task ran in.
template <class OnEnd>
struct Spawned {
    struct promise_type {
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        Spawned get_return_object() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
        static void* operator new(std::size_t size) { return take_frame(size); }
        static void operator delete(void* frame, std::size_t size) noexcept { give_frame(frame, size); }
    };
};

template <class OnEnd>
Spawned<OnEnd> spawn(Task<void> task, OnEnd on_end) {
    std::exception_ptr failure;
    {
        Task<void> running = std::move(task);
        try {
            co_await running;
        } catch (...) {
            failure = std::current_exception();
        }
    }
    on_end(failure);
}

}  // namespace nsboot_lb::net
