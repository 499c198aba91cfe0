#include "nsboot_lb/forward/bandwidth.hpp"

#include <algorithm>
#include <utility>

namespace nsboot_lb::forward {

namespace {

/// Below that a part would turn downloads into tiny writes: rather some have to wait longer.
constexpr std::uint64_t least_part = 16 * 1024;

void change(base::SharedTokenBucket& bucket, std::uint64_t bytes_per_second, Bandwidth::TimePoint now) {
    bucket.change(bytes_per_second, base::usual_burst_bytes(bytes_per_second), now);
}

}  // namespace

// A bucket whose limit is lifted stays as it is, unasked, until there is a limit again.
void Bandwidth::limit(const config::Bandwidth& limits, TimePoint now) {
    if (limits.total != 0 && limits.total != of_all_) change(total_, limits.total, now);
    of_all_ = limits.total;
    if (per_client_.exchange(limits.per_client) == limits.per_client || limits.per_client == 0) return;
    for (auto& shard : shards_) {
        const std::lock_guard lock{shard.mutex};
        shard.buckets.for_each([&](auto& bucket) { change(bucket, limits.per_client, now); });
    }
}

Bandwidth::Share Bandwidth::share_of(const base::IpAddress& client) {
    Share share;
    share.of_ = shared_from_this();
    if (per_client_.load(std::memory_order_relaxed) != 0) share.client_ = client_bucket(client);
    return share;
}

std::shared_ptr<base::SharedTokenBucket> Bandwidth::client_bucket(const base::IpAddress& client) {
    auto& shard = shards_[std::hash<base::IpAddress>{}(client) % shard_count];
    const std::lock_guard lock{shard.mutex};
    return shard.buckets.get(client, [this] {
        const auto rate = per_client_.load();  // with the lock held, so that limit() changes what it misses
        return std::make_shared<base::SharedTokenBucket>(rate, base::usual_burst_bytes(rate));
    });
}

std::uint64_t Bandwidth::Share::fair_part(std::uint64_t wanted_bytes, TimePoint now) {
    const auto others = of_->waiting_.load(std::memory_order_relaxed);
    if (others == 0) {
        has_waited_ = true;  // who comes next finds it without a part
        return wanted_bytes;
    }
    if (std::exchange(has_waited_, false)) part_ = std::max(of_->total_.available(now) / (others + 1), least_part);
    return std::min(wanted_bytes, part_);
}

std::uint64_t Bandwidth::Share::take(std::uint64_t wanted_bytes, TimePoint now) {
    auto* const client = of_->per_client_.load(std::memory_order_relaxed) != 0 ? client_.get() : nullptr;
    const bool shared = of_->of_all_.load(std::memory_order_relaxed) != 0;
    if (shared) wanted_bytes = fair_part(wanted_bytes, now);
    const auto granted = client != nullptr ? client->take(wanted_bytes, now) : wanted_bytes;
    if (granted == 0 || !shared) return granted;
    const auto of_total = of_->total_.take(granted, now);
    if (client != nullptr && of_total < granted) client->give_back(granted - of_total);
    part_ -= std::min(part_, of_total);
    return of_total;
}

void Bandwidth::Share::give_back(std::uint64_t bytes) {
    part_ += bytes;
    if (client_) client_->give_back(bytes);
    if (of_->of_all_.load(std::memory_order_relaxed) != 0) of_->total_.give_back(bytes);
}

}  // namespace nsboot_lb::forward
