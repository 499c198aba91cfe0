#include "nsboot_lb/forward/bandwidth.hpp"

#include <algorithm>

namespace nsboot_lb::forward {

namespace {
std::shared_ptr<base::SharedTokenBucket> bucket_of(std::uint64_t bytes_per_second) {
    if (bytes_per_second == 0) return nullptr;
    return std::make_shared<base::SharedTokenBucket>(bytes_per_second, base::usual_burst_bytes(bytes_per_second));
}
}  // namespace

Bandwidth::Bandwidth(const config::Bandwidth& limits)
    : per_client_(limits.per_client), total_(bucket_of(limits.total)) {}

Bandwidth::Share Bandwidth::share_of(const base::IpAddress& client) {
    Share share;
    share.total_ = total_;
    if (per_client_ != 0) share.client_ = client_bucket(client);
    return share;
}

std::shared_ptr<base::SharedTokenBucket> Bandwidth::client_bucket(const base::IpAddress& client) {
    auto& shard = shards_[std::hash<base::IpAddress>{}(client) % shard_count];
    const std::lock_guard lock{shard.mutex};
    if (shard.buckets.size() >= shard.sweep_at) {
        std::erase_if(shard.buckets, [](const auto& entry) { return entry.second.expired(); });
        shard.sweep_at = std::max<std::size_t>(64, shard.buckets.size() * 2);
    }
    auto& known = shard.buckets[client];
    auto bucket = known.lock();
    if (!bucket) known = bucket = bucket_of(per_client_);
    return bucket;
}

std::uint64_t Bandwidth::Share::take(std::uint64_t wanted_bytes, TimePoint now) {
    auto granted = client_ ? client_->take(wanted_bytes, now) : wanted_bytes;
    if (!total_ || granted == 0) return granted;
    const auto of_total = total_->take(granted, now);
    if (client_ && of_total < granted) client_->give_back(granted - of_total);
    return of_total;
}

void Bandwidth::Share::give_back(std::uint64_t bytes) {
    if (client_) client_->give_back(bytes);
    if (total_) total_->give_back(bytes);
}

}  // namespace nsboot_lb::forward
