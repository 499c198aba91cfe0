#include "connection_limits.hpp"

#include "nsboot_lb/net/descriptors.hpp"

namespace nsboot_lb::server {

void ConnectionLimits::set(std::uint64_t connections, std::uint64_t per_client, std::uint64_t descriptors) {
    most_.store(connections, std::memory_order_relaxed);
    most_per_client_.store(per_client, std::memory_order_relaxed);
    most_descriptors_.store(descriptors, std::memory_order_relaxed);
}

bool ConnectionLimits::try_begin() {
    const auto most_descriptors = most_descriptors_.load(std::memory_order_relaxed);
    if (most_descriptors != 0 && net::descriptors_in_use() > most_descriptors) return false;
    const auto most = most_.load(std::memory_order_relaxed);
    auto count = count_.load(std::memory_order_relaxed);
    do {
        if (most != 0 && count >= most) return false;
    } while (!count_.compare_exchange_weak(count, count + 1, std::memory_order_seq_cst));
    return true;
}

// Sequentially consistent with show_waiting() and the try that follows it: one of the two sees the other.
void ConnectionLimits::end() {
    count_.fetch_sub(1, std::memory_order_seq_cst);
    for (const auto& worker : workers_) {
        if (worker.waiting.load(std::memory_order_seq_cst) != 0) worker.hooks.admit();
    }
}

bool ConnectionLimits::begin_client(const base::IpAddress& client) {
    auto& shard = shard_of(client);
    const auto most = most_per_client_.load(std::memory_order_relaxed);
    const std::lock_guard lock{shard.mutex};
    auto& count = shard.counts[client];
    if (most != 0 && count >= most) return false;
    ++count;
    return true;
}

void ConnectionLimits::end_client(const base::IpAddress& client) {
    auto& shard = shard_of(client);
    const std::lock_guard lock{shard.mutex};
    const auto found = shard.counts.find(client);
    if (found != shard.counts.end() && --found->second == 0) shard.counts.erase(found);
}

void ConnectionLimits::show_oldest(unsigned worker, std::optional<net::TimePoint> since) {
    workers_[worker].oldest.store(since ? since->time_since_epoch().count() : none, std::memory_order_relaxed);
}

void ConnectionLimits::show_waiting(unsigned worker, std::size_t count) {
    const auto before = workers_[worker].waiting.exchange(count, std::memory_order_seq_cst);
    waiting_.fetch_add(count - before, std::memory_order_seq_cst);  // unsigned: also less
}

std::optional<unsigned> ConnectionLimits::find_oldest() const {
    std::optional<unsigned> found;
    auto oldest = none;
    for (unsigned i = 0; i < workers_.size(); ++i) {
        const auto since = workers_[i].oldest.load(std::memory_order_relaxed);
        if (since < oldest) {
            oldest = since;
            found = i;
        }
    }
    return found;
}

}  // namespace nsboot_lb::server
