#include "nsboot_lb/base/token_bucket.hpp"

#include <algorithm>

namespace nsboot_lb::base {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;
constexpr std::uint64_t grants_per_second = 100;
/// Of a century: far enough to be never, and sums of it with the time do not overflow.
constexpr std::uint64_t longest_cost_ns = 100ULL * 365 * 86'400 * nanoseconds_per_second;

BucketRule::TimePoint at(BucketRule::TimePoint::rep since_epoch) {
    return BucketRule::TimePoint(BucketRule::TimePoint::duration(since_epoch));
}

}  // namespace

BucketRule::BucketRule(std::uint64_t bytes_per_second, std::uint64_t burst_bytes)
    : bytes_per_second_(std::max<std::uint64_t>(bytes_per_second, 1)),
      burst_bytes_(std::max<std::uint64_t>(burst_bytes, 1)),
      quantum_bytes_(std::clamp<std::uint64_t>(bytes_per_second_ / grants_per_second, 1, burst_bytes_)),
      capacity_(cost_of(burst_bytes_)) {}

BucketRule::Nanoseconds BucketRule::cost_of(std::uint64_t bytes) const {
    const Wide cost = (Wide{bytes} * nanoseconds_per_second + bytes_per_second_ - 1) / bytes_per_second_;
    return Nanoseconds(static_cast<std::int64_t>(std::min<Wide>(cost, longest_cost_ns)));
}

std::uint64_t BucketRule::least_grant(std::uint64_t wanted_bytes) const {
    return std::min(wanted_bytes, quantum_bytes_);
}

BucketRule::Grant BucketRule::take(std::uint64_t wanted_bytes, TimePoint full_at, TimePoint now) const {
    const auto bytes = std::min(wanted_bytes, available(full_at, now));
    if (bytes == 0 || bytes < least_grant(wanted_bytes)) return {.bytes = 0, .full_at = full_at};
    return {.bytes = bytes, .full_at = std::max(full_at, now) + cost_of(bytes)};
}

std::uint64_t BucketRule::available(TimePoint full_at, TimePoint now) const {
    // Negative when another thread, whose `now` was later, has emptied the bucket.
    const auto saved = capacity_ - (std::max(full_at, now) - now);
    if (saved.count() <= 0) return 0;
    const Wide affordable = Wide(saved.count()) * bytes_per_second_ / nanoseconds_per_second;
    return static_cast<std::uint64_t>(std::min<Wide>(affordable, burst_bytes_));
}

BucketRule::TimePoint BucketRule::ready_at(std::uint64_t wanted_bytes, TimePoint full_at) const {
    return full_at - capacity_ + cost_of(least_grant(wanted_bytes));
}

BucketRule::TimePoint BucketRule::give_back(std::uint64_t bytes, TimePoint full_at) const {
    return full_at - cost_of(bytes);
}

BucketRule::TimePoint BucketRule::as_full_as(const BucketRule& other, TimePoint full_at, TimePoint now) const {
    if (full_at <= now) return full_at;
    const Wide missing = Wide((full_at - now).count()) * Wide(capacity_.count()) / Wide(other.capacity_.count());
    return now + Nanoseconds(static_cast<std::int64_t>(std::min<Wide>(missing, longest_cost_ns)));
}

std::uint64_t usual_burst_bytes(std::uint64_t bytes_per_second) {
    return std::max<std::uint64_t>(bytes_per_second / 10, 16 * 1024);
}

std::uint64_t TokenBucket::take(std::uint64_t wanted_bytes, TimePoint now) {
    const auto grant = rule_.take(wanted_bytes, full_at_, now);
    full_at_ = grant.full_at;
    return grant.bytes;
}

// Each word stands for itself, so no order with other memory is needed: who takes while the limit changes is granted
// something between the two.
BucketRule SharedTokenBucket::rule() const {
    return {bytes_per_second_.load(std::memory_order_relaxed), burst_bytes_.load(std::memory_order_relaxed)};
}

std::uint64_t SharedTokenBucket::take(std::uint64_t wanted_bytes, TimePoint now) {
    const auto valid = rule();
    auto seen = full_at_.load(std::memory_order_relaxed);
    for (;;) {
        const auto grant = valid.take(wanted_bytes, at(seen), now);
        if (grant.bytes == 0) return 0;
        const auto next = grant.full_at.time_since_epoch().count();
        if (full_at_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return grant.bytes;
    }
}

std::uint64_t SharedTokenBucket::available(TimePoint now) const {
    return rule().available(at(full_at_.load(std::memory_order_relaxed)), now);
}

SharedTokenBucket::TimePoint SharedTokenBucket::ready_at(std::uint64_t wanted_bytes) const {
    return rule().ready_at(wanted_bytes, at(full_at_.load(std::memory_order_relaxed)));
}

void SharedTokenBucket::give_back(std::uint64_t bytes) {
    const auto since_epoch = rule().give_back(bytes, TimePoint{}).time_since_epoch().count();
    full_at_.fetch_add(since_epoch, std::memory_order_relaxed);
}

void SharedTokenBucket::change(std::uint64_t bytes_per_second, std::uint64_t burst_bytes, TimePoint now) {
    const auto before = rule();
    const BucketRule after{bytes_per_second, burst_bytes};
    bytes_per_second_.store(bytes_per_second, std::memory_order_relaxed);
    burst_bytes_.store(burst_bytes, std::memory_order_relaxed);
    auto seen = full_at_.load(std::memory_order_relaxed);
    while (!full_at_.compare_exchange_weak(seen, after.as_full_as(before, at(seen), now).time_since_epoch().count(),
                                           std::memory_order_relaxed)) {
    }
}

}  // namespace nsboot_lb::base
