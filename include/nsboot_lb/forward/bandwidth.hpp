#pragma once
/// The bandwidth limits of a route: of each client address, over all its connections, and of all clients together. It
/// outlives the snapshots that have the route, so that a reload neither gives anybody more nor forgets what was taken.
/// Shared by the workers; a Share is an exchange's hold on both buckets.
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/base/kept.hpp"
#include "nsboot_lb/base/token_bucket.hpp"
#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::forward {

class Bandwidth : public std::enable_shared_from_this<Bandwidth> {
  public:
    using TimePoint = base::SharedTokenBucket::TimePoint;

    /// Without limits.
    Bandwidth() = default;
    Bandwidth(const Bandwidth&) = delete;
    Bandwidth& operator=(const Bandwidth&) = delete;

    /// The limits from now on, also of those who have a Share already; only a limit per client that there was none of
    /// before begins with the exchanges to come. The buckets stay as full as they are, in proportion. On the control
    /// thread.
    void limit(const config::Bandwidth& limits, TimePoint now);

    class Share {
      public:
        /// How many of the wanted bytes may go now: at most what both limits have left. While others wait for what all
        /// share, it is an equal part of that, until it has waited itself.
        std::uint64_t take(std::uint64_t wanted_bytes, TimePoint now);
        /// Of bytes that were taken and did not go.
        void give_back(std::uint64_t bytes);
        /// It waits for more, and others may not take everything meanwhile.
        void begin_wait() { of_->waiting_.fetch_add(1, std::memory_order_relaxed); }
        void end_wait() {
            of_->waiting_.fetch_sub(1, std::memory_order_relaxed);
            has_waited_ = true;
        }

      private:
        friend class Bandwidth;
        std::uint64_t fair_part(std::uint64_t wanted_bytes, TimePoint now);

        std::shared_ptr<Bandwidth> of_;
        std::shared_ptr<base::SharedTokenBucket> client_;
        std::uint64_t part_ = 0;  ///< what is left of its part
        bool has_waited_ = true;  ///< since it was given that
    };
    Share share_of(const base::IpAddress& client);

  private:
    static constexpr std::size_t shard_count = 16;
    struct Shard {
        std::mutex mutex;
        base::Kept<base::IpAddress, base::SharedTokenBucket> buckets;
    };
    std::shared_ptr<base::SharedTokenBucket> client_bucket(const base::IpAddress& client);

    std::atomic<std::uint64_t> per_client_{0};  ///< bytes per second; 0 = no limit
    std::atomic<std::uint64_t> of_all_{0};      ///< the same
    base::SharedTokenBucket total_{0, 0};
    std::atomic<std::uint64_t> waiting_{0};  ///< shares that wait
    std::array<Shard, shard_count> shards_;
};

}  // namespace nsboot_lb::forward
