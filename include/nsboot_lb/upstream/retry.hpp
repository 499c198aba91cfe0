#pragma once
/// Whether an exchange may be sent again after a failed attempt, and how many such retries a pool can afford. decide()
/// is pure; a RetryBudget is shared by all workers and belongs to the PoolState.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/upstream/health.hpp"

namespace nsboot_lb::upstream {

/// RFC 9110 9.2.1: GET, HEAD, OPTIONS and TRACE. Methods are case-sensitive; an unknown one is not safe.
bool is_safe(std::string_view method);
/// RFC 9110 9.2.2: the safe ones, PUT and DELETE.
bool is_idempotent(std::string_view method);
/// Whether a request may reach a server twice: the idempotent methods but DELETE, which runs commands on NSBoot's API
/// and answers a second time with an error for what the first did.
bool may_repeat(std::string_view method);

/// How an attempt ended.
enum class Outcome : std::uint8_t {
    not_connected,  ///< refused, unreachable or timed out while connecting: no byte was sent
    stale_idle,  ///< a reused idle connection turned out closed before it took a byte, or before any byte of a response
    reset,       ///< broken after the request was (partly) sent
    timeout,     ///< the server was silent; it may still be working on it
    status,      ///< a complete response head with `Attempted::status`
};

struct Attempted {
    Outcome outcome = Outcome::reset;
    int status = 0;                   ///< of Outcome::status
    bool request_sent = false;        ///< the kernel took at least one byte of the request
    bool response_started = false;    ///< at least one byte of a response reached the client
    bool body_replayable = true;      ///< no body, or all of what was sent is still held
    bool repeatable = false;          ///< may_repeat(method)
    std::uint32_t attempts_made = 1;  ///< this one included
    std::uint32_t stale_retries = 0;  ///< how many of them ended as stale_idle
};

enum class Verdict : std::uint8_t {
    give_up,
    same_server,     ///< on a fresh connection; costs neither an attempt nor the budget (RFC 9112 9.3.1)
    another_server,  ///< ask RetryBudget::take() first
};
/// What to do next. A stale idle connection costs an exchange nothing, once.
Verdict decide(const Attempted& attempted, const config::Retries& policy);

/// Retries may add at most `budget` (a share; 0 forbids them) to the requests of the last ten seconds, and ten in any
/// case else, so that a pool with little traffic can fail over. Counting a request touches a line of this thread's own.
class RetryBudget {
  public:
    static constexpr std::uint32_t window_seconds = 10;
    static constexpr std::uint32_t least_retries = 10;

    void count_request(TimePoint now);
    /// Takes one retry from the budget, if there is one.
    bool take(double share, TimePoint now);
    /// Requests counted within the window that ends now.
    std::uint64_t requests(TimePoint now) const;

  private:
    static bool within_window(std::int64_t second, std::int64_t now) {
        return second >= 0 && second <= now && now - second < window_seconds;
    }

    static constexpr std::size_t bucket_count = window_seconds + 1;
    static constexpr std::size_t shard_count = 16;
    struct Bucket {
        std::atomic<std::int64_t> second{-1};
        std::atomic<std::uint32_t> requests{0};
    };
    struct alignas(64) Shard {
        std::array<Bucket, bucket_count> buckets;
    };
    struct Spent {
        std::int64_t second = -1;
        std::uint32_t retries = 0;
    };

    std::array<Shard, shard_count> shards_;
    std::mutex mutex_;
    std::array<Spent, bucket_count> spent_;  ///< guarded by mutex_
};

}  // namespace nsboot_lb::upstream
