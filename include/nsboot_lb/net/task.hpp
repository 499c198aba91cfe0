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

namespace nsboot_lb::net {

template <class T>
class Task;

namespace detail {

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

/// Two things at once on one worker: start() runs a task until it first waits; the scope goes on, and must await
/// finished() before it ends. Only the worker's thread touches it.
template <class T>
class Concurrent {
  public:
    explicit Concurrent(Task<T> task) : task_(std::move(task)) {}
    Concurrent(const Concurrent&) = delete;
    Concurrent& operator=(const Concurrent&) = delete;

    void start() { run(this); }
    bool done() const { return done_; }

    /// Suspends until the task is done and gives its result (or throws what it threw). Once only.
    auto finished() {
        struct Awaiter {
            Concurrent& self;
            bool await_ready() const noexcept { return self.done_; }
            void await_suspend(std::coroutine_handle<> waiter) const noexcept { self.waiter_ = waiter; }
            T await_resume() const {
                if (self.failure_) std::rethrow_exception(self.failure_);
                return std::move(*self.result_);
            }
        };
        return Awaiter{*this};
    }

  private:
    struct Runner {
        struct promise_type {
            std::suspend_never initial_suspend() const noexcept { return {}; }
            std::suspend_never final_suspend() const noexcept { return {}; }
            Runner get_return_object() const noexcept { return {}; }
            void return_void() const noexcept {}
            void unhandled_exception() const noexcept { std::terminate(); }  // run() lets nothing out
            static void* operator new(std::size_t size) { return take_frame(size); }
            static void operator delete(void* frame, std::size_t size) noexcept { give_frame(frame, size); }
        };
    };

    static Runner run(Concurrent* self) {
        try {
            T result = co_await self->task_;
            self->result_.emplace(std::move(result));
        } catch (...) {
            self->failure_ = std::current_exception();
        }
        self->done_ = true;
        if (const auto waiter = std::exchange(self->waiter_, {})) waiter.resume();
    }

    Task<T> task_;
    std::optional<T> result_;
    std::exception_ptr failure_;
    std::coroutine_handle<> waiter_;
    bool done_ = false;
};

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
