#pragma once
/// What all policies share: tiers, exclusions, probes. A policy only chooses one of the open seats of a tier. Belongs
/// to one worker, as every Balancer.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "nsboot_lb/upstream/balancer.hpp"
#include "seats.hpp"

namespace nsboot_lb::upstream {

class TieredBalancer : public Balancer {
  public:
    explicit TieredBalancer(std::shared_ptr<const Pool> pool) : seats_(std::move(pool)) {}
    std::optional<std::size_t> pick(const PickContext& context) final;
    Refusal refusal(const PickContext& context) final;

  protected:
    /// One of the open seats of the tier; nothing if there is none.
    virtual std::optional<std::size_t> choose(std::size_t tier, const PickContext& context) = 0;
    /// After the seats were rebuilt: tables of the policy's own.
    virtual void rebuilt() {}

    const Seats& seats() const { return seats_; }
    bool open(std::size_t endpoint, const PickContext& context) const {
        return !tried(context, endpoint) && !seats_[endpoint].full();
    }

  private:
    void refresh(TimePoint now) {
        if (seats_.refresh(now)) rebuilt();
    }
    /// The first tier with a seat that was not tried; tier_count if there is none.
    std::size_t first_tier(const PickContext& context) const;

    Seats seats_;
};

}  // namespace nsboot_lb::upstream
