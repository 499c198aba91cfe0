#pragma once
/// Where exchanges wait when max_connections binds: one bounded first-in-first-out queue per pool, across workers. Any
/// worker may enter, leave or free a slot; a freed slot is handed to the first waiter that can use it, so nobody
/// overtakes. While nobody waits it costs one load. The queue belongs to the PoolState, a ticket to the waiting
/// exchange.
///
/// Who waits keeps the Pool that it began with, while another may have taken that Pool's place. What holds then: places
/// in the queue stay; limits are those of the current Pool's servers; a slot of a server that both have goes to whoever
/// is first; a ticket that the current Pool has no server for any more is outdated and woken, and its exchange picks
/// anew from the current Pool.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>

#include "nsboot_lb/upstream/health.hpp"

namespace nsboot_lb::upstream {

struct Endpoint;
class EndpointState;
class Pool;
class WaitQueue;
struct Admitted;

/// A place in the queue. Lives on the waiting exchange's worker and stays where it is until destroyed; leaving (the
/// destructor) is always allowed, and a slot that was handed over but not taken goes to the next waiter.
class WaitTicket {
  public:
    /// `pool` and `tried` (endpoint indices of that pool) outlive the ticket and do not change. `wake` is called once,
    /// when a slot was handed over or the ticket is outdated: from any thread and under the queue's lock, so it only
    /// posts to the waiter's worker.
    WaitTicket(const Pool& pool, std::span<const std::uint16_t> tried, std::function<void()> wake);
    ~WaitTicket();
    WaitTicket(const WaitTicket&) = delete;
    WaitTicket& operator=(const WaitTicket&) = delete;

    /// The slot that was handed over, once; nothing while there is none. On the waiter's worker.
    std::optional<Admitted> take();
    /// Whether there is nothing to wait for any more: the pool has been replaced, and of the servers that may be used
    /// now this ticket's has none that it has not tried. On the waiter's worker.
    bool outdated() const;

  private:
    friend class WaitQueue;
    const Pool& pool_;
    std::span<const std::uint16_t> tried_;
    std::function<void()> wake_;
    // Guarded by the queue's mutex.
    WaitTicket* before_ = nullptr;
    WaitTicket* behind_ = nullptr;
    bool queued_ = false;
    bool outdated_ = false;
    std::optional<std::size_t> handed_;  ///< endpoint index
};

class WaitQueue {
  public:
    WaitQueue() = default;
    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;

    /// False if as many as the pool's queue_size wait already. A slot that is free right now is handed over at once.
    bool enter(WaitTicket& ticket, TimePoint now);
    /// How many wait.
    std::size_t size() const { return waiting_.load(std::memory_order_relaxed); }
    /// Whether newcomers have to queue up too.
    bool busy() const { return waiting_.load(std::memory_order_seq_cst) != 0; }
    /// A slot of this endpoint became free: hand it to the first waiter that can use it.
    void slot_freed(const EndpointState& state);
    /// An endpoint came back, was given weight or was lost: hand out what is free.
    void availability_changed(TimePoint now);
    /// The current Pool from now on. availability_changed() has to follow.
    void follow(const Pool& current);

  private:
    friend class WaitTicket;
    std::optional<std::size_t> taken(WaitTicket& ticket);
    void leave(WaitTicket& ticket);
    void link(WaitTicket& ticket);
    void unlink(WaitTicket& ticket);
    void hand(WaitTicket& ticket, std::size_t endpoint);
    bool serve(WaitTicket& ticket, TimePoint now);
    void serve_front(TimePoint now);
    bool take_slot(const Endpoint& endpoint, TimePoint now) const;
    void wake_if_outdated(WaitTicket& ticket, TimePoint now);

    alignas(64) std::atomic<std::size_t> waiting_{0};
    std::mutex mutex_;
    const Pool* current_ = nullptr;                            ///< to be compared with, no more: it may be gone
    std::unordered_map<std::uint64_t, std::uint32_t> limits_;  ///< max_connections of its endpoints, by id
    WaitTicket* first_ = nullptr;
    WaitTicket* last_ = nullptr;
};

}  // namespace nsboot_lb::upstream
