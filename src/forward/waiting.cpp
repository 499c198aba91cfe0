#include "waiting.hpp"

#include <utility>

namespace nsboot_lb::forward {

using observe::Reason;

/// What a posted wake-up finds: the wait, unless it is over.
struct Waiting::Wake {
    Waiting* waiting = nullptr;  ///< touched on the worker only
};

Waiting::Waiting(Worker& worker, const upstream::Pool& pool, std::span<const std::uint16_t> tried,
                 net::DeadlineList& limit, observe::PoolCounters& counters)
    : worker_(worker),
      pool_(pool),
      limit_(limit),
      counters_(counters),
      wake_(std::make_shared<Wake>(this)),
      ticket_(pool, tried,
              [&reactor = worker.reactor, wake = wake_] {
                  reactor.post([wake] {
                      if (wake->waiting != nullptr) wake->waiting->finish();
                  });
              }),
      deadline_(&timed_out, this) {}

Waiting::~Waiting() {
    wake_->waiting = nullptr;
}

void Waiting::timed_out(void* self) {
    static_cast<Waiting*>(self)->finish();
}

void Waiting::give_up() {
    given_up_ = true;
    finish();
}

void Waiting::finish() {
    over_ = true;
    if (waiter_) worker_.reactor.resume_later(std::exchange(waiter_, {}));
}

net::Task<std::expected<upstream::Admitted, Reason>> Waiting::wait() {
    struct Over {
        Waiting& waiting;
        bool await_ready() const noexcept { return waiting.over_; }
        void await_suspend(std::coroutine_handle<> coroutine) const noexcept { waiting.waiter_ = coroutine; }
        void await_resume() const noexcept {}
    };
    if (!pool_.state().queue.enter(ticket_, worker_.now())) co_return std::unexpected{Reason::queue_full};
    counters_.queue_length.add();
    deadline_.arm(limit_);
    Over over{*this};
    co_await over;
    deadline_.disarm();
    counters_.queue_length.sub();
    auto admitted = ticket_.take();
    if (admitted) co_return std::move(*admitted);
    if (given_up_) co_return std::unexpected{Reason::none};
    counters_.queue_timeouts.add();
    co_return std::unexpected{Reason::queue_timeout};
}

}  // namespace nsboot_lb::forward
