#include "tiered.hpp"

namespace nsboot_lb::upstream {

std::optional<std::size_t> TieredBalancer::pick(const PickContext& context) {
    // A probe that another worker claims first leaves its seat in the next generation; there are only so many probes.
    for (std::size_t attempt = 0; attempt <= seats_.size(); ++attempt) {
        refresh(context.now);
        const auto tier = first_tier(context);
        if (tier == tier_count) return std::nullopt;
        const auto chosen = choose(tier, context);
        if (!chosen || !seats_[*chosen].probe || seats_[*chosen].state->claim_probe(context.now)) return chosen;
    }
    return std::nullopt;
}

Refusal TieredBalancer::refusal(const PickContext& context) {
    refresh(context.now);
    if (first_tier(context) != tier_count) return Refusal::full;
    for (std::size_t tier = 0; tier < tier_count; ++tier)
        if (!seats_.tier(tier).empty()) return Refusal::all_tried;
    return Refusal::no_server;
}

std::size_t TieredBalancer::first_tier(const PickContext& context) const {
    for (std::size_t tier = 0; tier < tier_count; ++tier) {
        const auto members = seats_.tier(tier);
        // At most tried.size() members can be excluded, so this looks at one more than that.
        if (std::ranges::any_of(members, [&](std::uint16_t member) { return !tried(context, member); })) return tier;
    }
    return tier_count;
}

}  // namespace nsboot_lb::upstream
