#pragma once
/// The bandwidth limits of a route: of each client address, over all its connections, and of all clients together. Part
/// of a snapshot and shared by the workers; a Share is an exchange's hold on both buckets.
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/base/token_bucket.hpp"
#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::forward {

class Bandwidth {
  public:
    using TimePoint = base::SharedTokenBucket::TimePoint;

    explicit Bandwidth(const config::Bandwidth& limits);

    class Share {
      public:
        /// How many of the wanted bytes may go now: at most what both limits have left.
        std::uint64_t take(std::uint64_t wanted_bytes, TimePoint now);
        /// Of bytes that were taken and did not go.
        void give_back(std::uint64_t bytes);

      private:
        friend class Bandwidth;
        std::shared_ptr<base::SharedTokenBucket> client_;
        std::shared_ptr<base::SharedTokenBucket> total_;
    };
    Share share_of(const base::IpAddress& client);

  private:
    static constexpr std::size_t shard_count = 16;
    struct Shard {
        std::mutex mutex;
        std::unordered_map<base::IpAddress, std::weak_ptr<base::SharedTokenBucket>> buckets;
        std::size_t sweep_at = 64;  ///< size at which buckets that nobody holds are thrown out
    };
    std::shared_ptr<base::SharedTokenBucket> client_bucket(const base::IpAddress& client);

    const std::uint64_t per_client_;
    const std::shared_ptr<base::SharedTokenBucket> total_;
    std::array<Shard, shard_count> shards_;
};

}  // namespace nsboot_lb::forward
