#pragma once
/// One worker's copy of what decides a pick: each endpoint's tier, effective weight and limit, in one array, rebuilt
/// only when the pool's generation grew or time passed that matters (an ejection ends, a slow start goes on). Belongs
/// to one Balancer. After construction nothing allocates.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nsboot_lb/upstream/balancer.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::upstream {

struct Seat {
    EndpointState* state = nullptr;
    std::uint32_t weight = 0;  ///< of a weight_unit; never 0 in a tier
    std::uint32_t max_connections = 0;
    Tier tier = Tier::closed;
    bool probe = false;  ///< whoever picks it must claim the probe first

    std::uint32_t in_flight() const { return state->in_flight(); }
    bool full() const { return max_connections != 0 && in_flight() >= max_connections; }
};

class Seats {
  public:
    /// What a configured weight of 1 is here, so that a slow start has room below it.
    static constexpr std::uint32_t weight_unit = 256;

    explicit Seats(std::shared_ptr<const Pool> pool);

    /// Whether anything was rebuilt.
    bool refresh(TimePoint now) {
        if (state_->generation() == generation_ && now < valid_until_) [[likely]]
            return false;
        rebuild(now);
        return true;
    }

    const Pool& pool() const { return *pool_; }
    const Seat& operator[](std::size_t endpoint) const { return seats_[endpoint]; }
    std::size_t size() const { return seats_.size(); }
    /// The endpoints of a tier, in the order of the configuration.
    std::span<const std::uint16_t> tier(std::size_t tier) const { return tiers_[tier]; }
    std::uint64_t tier_weight(std::size_t tier) const { return tier_weights_[tier]; }

  private:
    void rebuild(TimePoint now);
    std::uint32_t effective_weight(const Endpoint& endpoint, TimePoint now);

    const std::shared_ptr<const Pool> pool_;
    const PoolState* const state_;
    std::uint64_t generation_ = 0;
    TimePoint valid_until_{};
    std::vector<Seat> seats_;
    std::array<std::vector<std::uint16_t>, tier_count> tiers_;
    std::array<std::uint64_t, tier_count> tier_weights_{};
};

/// Where each endpoint of a pool stands in an earlier one.
std::vector<std::optional<std::size_t>> places_in(const Pool& before, const Pool& pool);

inline bool tried(const PickContext& context, std::size_t endpoint) {
    return std::ranges::find(context.tried, static_cast<std::uint16_t>(endpoint)) != context.tried.end();
}

}  // namespace nsboot_lb::upstream
