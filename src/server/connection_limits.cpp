#include "connection_limits.hpp"

namespace nsboot_lb::server {

bool ConnectionLimits::begin(const base::IpAddress& client) {
    // Counted even where there is no limit now, so that a limit that a reload brings is right from its first moment.
    auto& shard = shard_of(client);
    const auto most = most_per_client_.load(std::memory_order_relaxed);
    {
        const std::lock_guard lock{shard.mutex};
        auto& count = shard.counts[client];
        if (most != 0 && count >= most) return false;
        ++count;
    }
    count_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

void ConnectionLimits::end(const base::IpAddress& client) {
    count_.fetch_sub(1, std::memory_order_relaxed);
    auto& shard = shard_of(client);
    const std::lock_guard lock{shard.mutex};
    const auto found = shard.counts.find(client);
    if (found != shard.counts.end() && --found->second == 0) shard.counts.erase(found);
}

}  // namespace nsboot_lb::server
