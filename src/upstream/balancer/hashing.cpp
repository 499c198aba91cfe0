#include "hashing.hpp"

#include <cmath>

#include "hash.hpp"
#include "slot_table.hpp"

namespace nsboot_lb::upstream {

namespace {

constexpr std::uint64_t all_keys = std::uint64_t{1} << 32;
/// Where so many in a row will not have a key, most of the pool is out, and looking at the rest costs little.
constexpr int longest_line = 32;

/// What the operator makes of a server's configured weight.
double raised(const Endpoint& endpoint) {
    return static_cast<double>(endpoint.weight()) / SlotTable::base_weight(endpoint);
}

}  // namespace

HashingBalancer::HashingBalancer(std::shared_ptr<const Pool> pool)
    : TieredBalancer(pool), table_(pool->slot_table()), shares_(pool->endpoints().size()) {}

std::optional<std::size_t> HashingBalancer::first_in_line(std::uint64_t key, std::size_t tier,
                                                          const PickContext& context, double most_per_weight) const {
    auto hash = key;
    for (int step = 0; step < longest_line; ++step, hash = mix(hash)) {
        const auto owner = table_.owner(hash);
        if (owner == SlotTable::nobody) break;
        if ((hash & (all_keys - 1)) < shares_[owner] && takes(owner, tier, context, most_per_weight)) return owner;
    }
    return best_score(key, tier, context, most_per_weight);
}

bool HashingBalancer::takes(std::size_t endpoint, std::size_t tier, const PickContext& context,
                            double most_per_weight) const {
    const auto& seat = seats()[endpoint];
    if (static_cast<std::size_t>(seat.tier) != tier || !open(endpoint, context)) return false;
    return most_per_weight == unbounded || seat.in_flight() < std::max(1.0, std::ceil(most_per_weight * seat.weight));
}

std::optional<std::size_t> HashingBalancer::best_score(std::uint64_t key, std::size_t tier, const PickContext& context,
                                                       double most_per_weight) const {
    std::optional<std::size_t> best;
    double best_score = 0;
    for (const std::size_t endpoint : seats().tier(tier)) {
        if (!takes(endpoint, tier, context, most_per_weight)) continue;
        const double score = rendezvous_score(key, table_.server_hash(endpoint), seats()[endpoint].weight);
        if (best && score <= best_score) continue;
        best = endpoint;
        best_score = score;
    }
    return best;
}

void HashingBalancer::rebuilt() {
    // In proportion to the server that the operator raised most, well or not: what is lost or ramps up moves no other's
    // keys.
    double most_raised = 0;
    for (const auto& endpoint : seats().pool().endpoints())
        if (!endpoint.backup) most_raised = std::max(most_raised, raised(endpoint));
    for (const auto& endpoint : seats().pool().endpoints()) {
        const double base = static_cast<double>(SlotTable::base_weight(endpoint)) * Seats::weight_unit;
        const double share = most_raised > 0 ? seats()[endpoint.index].weight / base / most_raised : 0;
        shares_[endpoint.index] = static_cast<std::uint64_t>(std::min(share, 1.0) * static_cast<double>(all_keys));
    }
}

}  // namespace nsboot_lb::upstream
