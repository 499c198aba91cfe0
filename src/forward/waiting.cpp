#include "waiting.hpp"

#include "gauged.hpp"

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
      handed_(worker.reactor),
      wake_(std::make_shared<Wake>(this)),
      ticket_(pool, tried, [&reactor = worker.reactor, wake = wake_] {
          reactor.post([wake] {
              if (wake->waiting != nullptr) wake->waiting->handed_.set();
          });
      }) {}

Waiting::~Waiting() {
    wake_->waiting = nullptr;
}

net::Task<std::expected<upstream::Admitted, Reason>> Waiting::wait(net::Scope& scope) {
    if (!pool_.state().queue.enter(ticket_, worker_.now())) co_return std::unexpected{Reason::queue_full};
    const Gauged counted{counters_.queue_length};
    handed_.deadline().arm(limit_);
    const auto ready = co_await handed_.wait(scope);
    // Gone, it has no use for a slot; late, it may still have been given one.
    if (ready == net::Ready::cancelled) co_return std::unexpected{Reason::none};
    if (auto admitted = ticket_.take()) co_return std::move(*admitted);
    if (outdated()) co_return std::unexpected{Reason::queue_timeout};
    counters_.queue_timeouts.add();
    co_return std::unexpected{Reason::queue_timeout};
}

}  // namespace nsboot_lb::forward
