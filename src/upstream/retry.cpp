#include "nsboot_lb/upstream/retry.hpp"

#include <algorithm>

namespace nsboot_lb::upstream {

namespace {

std::int64_t second_of(TimePoint now) {
    return std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
}

/// Threads take shards in turn, so that up to shard_count of them never meet on a cache line.
std::size_t shard_of_this_thread(std::size_t shards) {
    static std::atomic<std::size_t> threads{0};
    thread_local const std::size_t number = threads.fetch_add(1, std::memory_order_relaxed);
    return number % shards;
}

bool has(const std::vector<int>& statuses, int status) {
    return std::ranges::find(statuses, status) != statuses.end();
}

bool wanted(const Attempted& attempted, const config::Retries& policy) {
    switch (attempted.outcome) {
        case Outcome::not_connected: return policy.on_connect_failure;
        case Outcome::stale_idle:
        case Outcome::reset: return policy.on_reset;
        case Outcome::timeout: return has(policy.on_status, 504);
        case Outcome::status: return has(policy.on_status, attempted.status);
    }
    return false;
}

/// Whether sending again cannot make the server do a thing twice. RFC 9110 9.2.2: what provably did not arrive may
/// always be sent again; anything else only if doing it twice is harmless.
bool harmless(const Attempted& attempted) {
    const bool arrived = attempted.outcome != Outcome::not_connected && attempted.request_sent;
    return !arrived || (attempted.repeatable && attempted.body_replayable);
}

}  // namespace

bool is_idempotent(std::string_view method) {
    return is_safe(method) || method == "PUT" || method == "DELETE";
}

bool is_safe(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

bool may_repeat(std::string_view method) {
    return is_idempotent(method) && method != "DELETE";
}

Verdict decide(const Attempted& attempted, const config::Retries& policy) {
    if (attempted.response_started || !harmless(attempted)) return Verdict::give_up;
    if (attempted.outcome == Outcome::stale_idle && attempted.stale_retries <= 1) return Verdict::same_server;
    if (!wanted(attempted, policy) || attempted.attempts_made > policy.attempts) return Verdict::give_up;
    return Verdict::another_server;
}

void RetryBudget::count_request(TimePoint now) {
    const auto second = second_of(now);
    auto& bucket = shards_[shard_of_this_thread(shard_count)].buckets[static_cast<std::size_t>(second) % bucket_count];
    // Threads that share a shard may lose a count to each other; a budget can bear that, and a locked addition costs
    // more than all the rest here.
    if (bucket.second.load(std::memory_order_relaxed) != second) {
        bucket.requests.store(0, std::memory_order_relaxed);
        bucket.second.store(second, std::memory_order_relaxed);
    }
    bucket.requests.store(bucket.requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

std::uint64_t RetryBudget::requests(TimePoint now) const {
    const auto second = second_of(now);
    std::uint64_t total = 0;
    for (const auto& shard : shards_)
        for (const auto& bucket : shard.buckets)
            if (within_window(bucket.second.load(std::memory_order_relaxed), second))
                total += bucket.requests.load(std::memory_order_relaxed);
    return total;
}

bool RetryBudget::take(double share, TimePoint now) {
    if (share <= 0) return false;
    const auto second = second_of(now);
    const auto allowed =
        std::max<std::uint64_t>(least_retries, static_cast<std::uint64_t>(share * static_cast<double>(requests(now))));
    const std::scoped_lock lock(mutex_);
    std::uint64_t spent = 0;
    for (const auto& bucket : spent_)
        if (within_window(bucket.second, second)) spent += bucket.retries;
    if (spent >= allowed) return false;
    auto& bucket = spent_[static_cast<std::size_t>(second) % bucket_count];
    if (bucket.second != second) bucket = {second, 0};
    ++bucket.retries;
    return true;
}

}  // namespace nsboot_lb::upstream
