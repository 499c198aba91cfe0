#pragma once
/// Bandwidth limits as token buckets: so many bytes per second on average, so many at once. TokenBucket belongs to one
/// worker; SharedTokenBucket may be used by all of them at the same time. Both are fed with the time and never look at
/// a clock or wait.
#include <atomic>
#include <chrono>
#include <cstdint>

namespace nsboot_lb::base {

/// The arithmetic of a bucket (the generic cell rate algorithm): all that has to be remembered is when the bucket would
/// be full again, which is why one atomic word is enough to share it. Costs are rounded up to whole nanoseconds, so
/// that the limit is never exceeded; a take of a kilobyte or more loses less than one part in a thousand at 1 GB/s.
class BucketRule {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Nanoseconds = std::chrono::nanoseconds;

    /// 0 is taken for 1.
    BucketRule(std::uint64_t bytes_per_second, std::uint64_t burst_bytes);

    struct Grant {
        std::uint64_t bytes = 0;
        TimePoint full_at;  ///< of the bucket from then on
    };
    Grant take(std::uint64_t wanted_bytes, TimePoint full_at, TimePoint now) const;
    /// What is in the bucket.
    std::uint64_t available(TimePoint full_at, TimePoint now) const;
    TimePoint ready_at(std::uint64_t wanted_bytes, TimePoint full_at) const;
    TimePoint give_back(std::uint64_t bytes, TimePoint full_at) const;
    /// When a bucket of this rule is full that is filled as far as one of `other` is now.
    TimePoint as_full_as(const BucketRule& other, TimePoint full_at, TimePoint now) const;

  private:
    Nanoseconds cost_of(std::uint64_t bytes) const;
    std::uint64_t least_grant(std::uint64_t wanted_bytes) const;

    std::uint64_t bytes_per_second_;
    std::uint64_t burst_bytes_;
    std::uint64_t quantum_bytes_;  ///< grants are not smaller: else a limit would turn a download into tiny writes
    Nanoseconds capacity_;         ///< what a full bucket is worth
};

/// What may go at once under a limit that says nothing of it: a tenth of a second's worth, at least 16 KiB.
std::uint64_t usual_burst_bytes(std::uint64_t bytes_per_second);

class TokenBucket {
  public:
    using TimePoint = BucketRule::TimePoint;

    /// Full at first. 0 is taken for 1.
    TokenBucket(std::uint64_t bytes_per_second, std::uint64_t burst_bytes) : rule_(bytes_per_second, burst_bytes) {}

    /// How many of the wanted bytes may go now; they count as gone. 0 unless all of them may, or a hundredth of a
    /// second's worth, or the whole burst, whichever is least.
    std::uint64_t take(std::uint64_t wanted_bytes, TimePoint now);
    /// From when on take() gives something, if nobody else takes; in the past if it does now.
    TimePoint ready_at(std::uint64_t wanted_bytes) const { return rule_.ready_at(wanted_bytes, full_at_); }
    /// Of bytes that were taken and did not go after all.
    void give_back(std::uint64_t bytes) { full_at_ = rule_.give_back(bytes, full_at_); }

  private:
    BucketRule rule_;
    TimePoint full_at_{};
};

/// The same for all workers together. Not split into one share for each: a lone busy worker could then use but its own
/// share, and a take happens once for each write of many kilobytes, so the one word is no bottleneck.
class SharedTokenBucket {
  public:
    using TimePoint = BucketRule::TimePoint;

    SharedTokenBucket(std::uint64_t bytes_per_second, std::uint64_t burst_bytes)
        : bytes_per_second_(bytes_per_second), burst_bytes_(burst_bytes) {}

    std::uint64_t take(std::uint64_t wanted_bytes, TimePoint now);
    std::uint64_t available(TimePoint now) const;
    TimePoint ready_at(std::uint64_t wanted_bytes) const;
    void give_back(std::uint64_t bytes);
    /// Another limit from now on, while others may take; what is in the bucket stays the same part of the whole. For
    /// one thread at a time.
    void change(std::uint64_t bytes_per_second, std::uint64_t burst_bytes, TimePoint now);

  private:
    static constexpr std::size_t cache_line_bytes = 64;

    BucketRule rule() const;

    std::atomic<std::uint64_t> bytes_per_second_;
    std::atomic<std::uint64_t> burst_bytes_;
    alignas(cache_line_bytes) std::atomic<TimePoint::rep> full_at_{0};  ///< since the clock's epoch
};

}  // namespace nsboot_lb::base
