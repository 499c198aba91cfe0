#pragma once
/// What ip-hash and uri-hash share: each key has its own fixed line of servers and goes to the first that will have it.
/// Losing a server therefore moves that server's keys alone, evenly over the others, and they come back with it. A base
/// for those two; belongs to one worker.
#include <limits>
#include <optional>
#include <vector>

#include "tiered.hpp"

namespace nsboot_lb::upstream {

class SlotTable;

class HashingBalancer : public TieredBalancer {
  protected:
    static constexpr double unbounded = std::numeric_limits<double>::infinity();

    explicit HashingBalancer(std::shared_ptr<const Pool> pool);

    /// The first in the key's line that is of the tier, open, and has less than `most_per_weight` in flight for each
    /// unit of its weight (one is always allowed).
    std::optional<std::size_t> first_in_line(std::uint64_t key, std::size_t tier, const PickContext& context,
                                             double most_per_weight) const;
    void rebuilt() override;

  private:
    bool takes(std::size_t endpoint, std::size_t tier, const PickContext& context, double most_per_weight) const;
    std::optional<std::size_t> best_score(std::uint64_t key, std::size_t tier, const PickContext& context,
                                          double most_per_weight) const;

    const SlotTable& table_;
    /// By endpoint, of 2^32: the part of its slots' keys that a server takes. Less than all while its effective weight
    /// is less than what its slots were made for.
    std::vector<std::uint64_t> shares_;
};

}  // namespace nsboot_lb::upstream
