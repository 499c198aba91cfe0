#include "connection_limits.hpp"

#include <algorithm>

#include "nsboot_lb/net/descriptors.hpp"

namespace nsboot_lb::server {

void ConnectionLimits::set(std::uint64_t connections, std::uint64_t per_client, std::uint64_t descriptors) {
    most_.store(connections, std::memory_order_relaxed);
    most_per_client_.store(per_client, std::memory_order_relaxed);
    most_descriptors_.store(descriptors, std::memory_order_relaxed);
}

template <class Change>
void ConnectionLimits::change(Change change) {
    auto counts = counts_.load(std::memory_order_relaxed);
    for (;;) {
        auto changed = counts;
        change(changed);
        if (counts_.compare_exchange_weak(counts, changed, std::memory_order_seq_cst)) return;
    }
}

std::uint64_t ConnectionLimits::room_beside(const Counts& counts) const {
    const auto less = [](std::uint64_t most, std::uint64_t count) { return most > count ? most - count : 0; };
    const auto most = most_.load(std::memory_order_relaxed);
    const auto most_descriptors = most_descriptors_.load(std::memory_order_relaxed);
    auto room = most != 0 ? less(most, counts.connections) : UINT64_MAX;
    if (most_descriptors != 0) room = std::min(room, less(most_descriptors + 1, net::descriptors_in_use()));
    return room;
}

bool ConnectionLimits::try_begin() {
    bool begun = false;
    change([&](Counts& counts) {
        begun = room_beside(counts) != 0;
        if (begun) ++counts.connections;
    });
    return begun;
}

// Sequentially consistent with begin_waiting() and the try that follows it: one of the two sees the other.
void ConnectionLimits::end(bool evicted) {
    change([&](Counts& counts) {
        --counts.connections;
        if (evicted) --counts.leaving;
    });
    tell_waiting();
}

void ConnectionLimits::begin_waiting(unsigned worker) {
    workers_[worker].waiting.fetch_add(1, std::memory_order_seq_cst);
    change([](Counts& counts) { ++counts.waiting; });
}

void ConnectionLimits::end_waiting(unsigned worker) {
    change([](Counts& counts) { --counts.waiting; });
    workers_[worker].waiting.fetch_sub(1, std::memory_order_seq_cst);
}

bool ConnectionLimits::try_admit(unsigned worker) {
    bool admitted = false;
    change([&](Counts& counts) {
        admitted = room_beside(counts) != 0;
        if (!admitted) return;
        ++counts.connections;
        --counts.waiting;
    });
    if (admitted) workers_[worker].waiting.fetch_sub(1, std::memory_order_seq_cst);
    return admitted;
}

bool ConnectionLimits::wants_room() const {
    const auto counts = counts_.load(std::memory_order_seq_cst);
    return counts.waiting > counts.leaving &&
           static_cast<std::uint64_t>(counts.waiting - counts.leaving) > room_beside(counts);
}

void ConnectionLimits::evict(unsigned worker) {
    change([](Counts& counts) { ++counts.leaving; });
    workers_[worker].hooks.evict();
}

void ConnectionLimits::evicted_nobody() {
    change([](Counts& counts) { --counts.leaving; });
    tell_waiting();
}

void ConnectionLimits::tell_waiting() {
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
