#pragma once
/// A coroutine's wait for time to pass, by the worker's deadlines. Lives in the coroutine that waits.
#include <coroutine>
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

}  // namespace nsboot_lb::net
