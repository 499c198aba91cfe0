#pragma once
/// A coroutine's wait for time to pass, by the worker's deadlines, or just for the others' turn. Lives in the coroutine
/// that waits.
#include <coroutine>
#include <cstddef>
#include <utility>

#include "nsboot_lb/net/deadline.hpp"
#include "nsboot_lb/net/reactor.hpp"

namespace nsboot_lb::net {

/// co_await Pause{reactor, list}: goes on after the list's duration.
class Pause {
  public:
    Pause(Reactor& reactor, DeadlineList& length) : reactor_(reactor), length_(length), deadline_(&over, this) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
        waiter_ = waiter;
        deadline_.arm(length_);
    }
    void await_resume() const noexcept {}

  private:
    static void over(void* self) {
        auto& pause = *static_cast<Pause*>(self);
        pause.reactor_.resume_later(std::exchange(pause.waiter_, {}));
    }
    Reactor& reactor_;
    DeadlineList& length_;
    std::coroutine_handle<> waiter_;
    Deadline deadline_;
};

/// co_await Yield{reactor}: goes on after everybody else who is ready has had a turn. For work that may never have to
/// wait, such as a body between two sockets that are both faster than this worker.
class Yield {
  public:
    explicit Yield(Reactor& reactor) : reactor_(reactor) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const { reactor_.resume_later(waiter); }
    void await_resume() const noexcept {}

  private:
    Reactor& reactor_;
};

/// Counts what a coroutine moves without waiting, to say when it is the others' turn.
class Turn {
  public:
    bool used_up(std::size_t bytes) {
        moved_ += bytes;
        if (moved_ < most_bytes) return false;
        moved_ = 0;
        return true;
    }

  private:
    static constexpr std::size_t most_bytes = 4 * 1024 * 1024;  ///< a millisecond or two
    std::size_t moved_ = 0;
};

}  // namespace nsboot_lb::net
