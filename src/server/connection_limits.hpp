#pragma once
/// How many client connections there may be, in all and from one address. Shared by all workers; asked when a
/// connection is accepted and told when it ends.
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::server {

class ConnectionLimits {
  public:
    /// 0 = no limit. Of a new configuration; connections there are stay.
    void set(std::uint64_t connections, std::uint64_t per_client) {
        most_.store(connections, std::memory_order_relaxed);
        most_per_client_.store(per_client, std::memory_order_relaxed);
    }
    /// Counts a connection. False if the address has too many already; then nothing is counted.
    bool begin(const base::IpAddress& client);
    void end(const base::IpAddress& client);
    /// Whether there are more than there may be, the last one counted: an idle one should make room.
    bool exceeded() const {
        const auto most = most_.load(std::memory_order_relaxed);
        return most != 0 && count_.load(std::memory_order_relaxed) > most;
    }
    std::uint64_t most() const { return most_.load(std::memory_order_relaxed); }
    std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

  private:
    static constexpr std::size_t shard_count = 16;
    struct Shard {
        std::mutex mutex;
        std::unordered_map<base::IpAddress, std::uint64_t> counts;
    };
    Shard& shard_of(const base::IpAddress& client) {
        return shards_[std::hash<base::IpAddress>{}(client) % shard_count];
    }

    std::atomic<std::uint64_t> most_{0};
    std::atomic<std::uint64_t> most_per_client_{0};
    alignas(64) std::atomic<std::uint64_t> count_{0};
    std::array<Shard, shard_count> shards_;
};

}  // namespace nsboot_lb::server
