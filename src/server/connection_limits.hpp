#pragma once
/// How many client connections there may be, in all and from one address. Shared by all workers: asked when a
/// connection is accepted, told when it ends. Where there is no room, the newest connection waits while one that has
/// been of no use for longest goes (WorkerThread says which may), on whichever worker it is.
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/net/deadline.hpp"

namespace nsboot_lb::server {

class ConnectionLimits {
  public:
    explicit ConnectionLimits(unsigned workers) : workers_(workers) {}
    ConnectionLimits(const ConnectionLimits&) = delete;
    ConnectionLimits& operator=(const ConnectionLimits&) = delete;

    /// 0 = no limit. `descriptors`: of clients, servers and pipes together. Connections there are stay.
    void set(std::uint64_t connections, std::uint64_t per_client, std::uint64_t descriptors);

    /// Counts a connection. False if there is no room for it; then it is not counted.
    bool try_begin();
    /// Whoever waits for room is told. `evicted`: it went to make room.
    void end(bool evicted);
    std::uint64_t most() const { return most_.load(std::memory_order_relaxed); }
    std::uint64_t count() const { return counts_.load(std::memory_order_relaxed).connections; }

    /// One connection more, or less, waits for room on a worker.
    void begin_waiting(unsigned worker);
    void end_waiting(unsigned worker);
    /// Counts one of those that wait as a connection, which waits no longer. False if there is no room for it.
    bool try_admit(unsigned worker);
    /// Whether more wait than there is room for, or have been told to go for them.
    bool wants_room() const;

    /// Connections of one address are counted only where there is a limit.
    bool counts_clients() const { return most_per_client_.load(std::memory_order_relaxed) != 0; }
    /// False if the address has too many already; then nothing is counted.
    bool begin_client(const base::IpAddress& client);
    void end_client(const base::IpAddress& client);

    /// What each worker shows to the others. `admit` and `evict` are called from any thread and only post.
    struct Hooks {
        std::function<void()> admit;  ///< there may be room for those that wait
        std::function<void()> evict;  ///< the oldest that may go has to
    };
    void join(unsigned worker, Hooks hooks) { workers_[worker].hooks = std::move(hooks); }
    /// Since when a worker's oldest connection that may go has been of no use; nothing if there is none.
    void show_oldest(unsigned worker, std::optional<net::TimePoint> since);
    /// Whose connection is to go: the worker's number.
    std::optional<unsigned> find_oldest() const;
    /// Has that worker's oldest go. It counts as leaving from now on, until end(), or until there was nobody to go.
    void evict(unsigned worker);
    void evicted_nobody();

  private:
    static constexpr std::size_t shard_count = 16;
    static constexpr std::int64_t none = INT64_MAX;
    struct alignas(64) Worker {
        std::atomic<std::int64_t> oldest{none};  ///< steady clock
        std::atomic<std::size_t> waiting{0};
        Hooks hooks;
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_map<base::IpAddress, std::uint64_t> counts;
    };
    /// Changed together, so that nobody sees a connection twice, or not at all.
    struct Counts {
        std::uint32_t connections = 0;
        std::uint16_t waiting = 0;  ///< for room, on all workers
        std::uint16_t leaving = 0;  ///< were told to make room and are not gone yet
    };
    static_assert(std::atomic<Counts>::is_always_lock_free);
    template <class Change>
    void change(Change change);
    std::uint64_t room_beside(const Counts& counts) const;
    void tell_waiting();
    Shard& shard_of(const base::IpAddress& client) {
        return shards_[std::hash<base::IpAddress>{}(client) % shard_count];
    }

    std::atomic<std::uint64_t> most_{0};
    std::atomic<std::uint64_t> most_per_client_{0};
    std::atomic<std::uint64_t> most_descriptors_{0};
    alignas(64) std::atomic<Counts> counts_{};
    std::vector<Worker> workers_;
    std::array<Shard, shard_count> shards_;
};

}  // namespace nsboot_lb::server
