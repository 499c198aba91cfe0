#pragma once
/// An exchange's wait for a slot where max_connections binds. Lives in the coroutine that forwards; the slot may be
/// handed over by any thread, and the wait then ends on this worker.
#include <expected>
#include <memory>

#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/upstream/balancer.hpp"
#include "nsboot_lb/upstream/wait_queue.hpp"

namespace nsboot_lb::forward {

class Waiting {
  public:
    Waiting(Worker& worker, const upstream::Pool& pool, std::span<const std::uint16_t> tried, net::DeadlineList& limit,
            observe::PoolCounters& counters);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

    /// A slot, or why there is none: queue_full, queue_timeout, or none if the scope was cancelled.
    net::Task<std::expected<upstream::Admitted, observe::Reason>> wait(net::Scope& scope);
    /// The pool has been replaced by one that may have a server for it: nothing here will ever be free.
    bool outdated() const { return ticket_.outdated(); }

  private:
    struct Wake;

    Worker& worker_;
    const upstream::Pool& pool_;
    net::DeadlineList& limit_;
    observe::PoolCounters& counters_;
    net::Readiness handed_;       ///< a slot was handed over
    std::shared_ptr<Wake> wake_;  ///< outlives this while a wake-up is on its way
    upstream::WaitTicket ticket_;
};

}  // namespace nsboot_lb::forward
