#include "least_of_draws.hpp"

namespace nsboot_lb::upstream {

DrawingBalancer::DrawingBalancer(std::shared_ptr<const Pool> pool, std::uint64_t seed)
    : TieredBalancer(std::move(pool)), random_(seed) {
    for (auto& draw : draws_) draw.reserve(seats().size());
}

void DrawingBalancer::go_on_from(const Balancer& before) {
    if (const auto* const other = dynamic_cast<const DrawingBalancer*>(&before)) random_ = other->random_;
}

std::optional<std::size_t> DrawingBalancer::least_of(std::size_t draws, std::size_t tier, const PickContext& context) {
    const auto all = seats().tier(tier);
    std::optional<std::size_t> best;
    std::uint32_t best_in_flight = 0;
    std::size_t compared = 0;
    // Twice as many tries as draws: some fall on the same server again, some on one that is full or tried.
    for (std::size_t i = 0; i < 2 * draws && compared < draws; ++i) {
        const std::size_t drawn = all[draws_[tier].draw(random_)];
        if (drawn == best || !open(drawn, context)) continue;
        ++compared;
        const auto in_flight = seats()[drawn].in_flight();
        if (best && !less_loaded(in_flight, seats()[drawn], best_in_flight, seats()[*best])) continue;
        best = drawn;
        best_in_flight = in_flight;
    }
    return best ? best : least_of_all(tier, context);
}

std::optional<std::size_t> DrawingBalancer::least_of_all(std::size_t tier, const PickContext& context) {
    std::optional<std::size_t> best;
    for (const std::size_t endpoint : seats().tier(tier)) {
        if (!open(endpoint, context)) continue;
        const auto& seat = seats()[endpoint];
        if (!best || less_loaded(seat.in_flight(), seat, seats()[*best].in_flight(), seats()[*best])) best = endpoint;
    }
    return best;
}

void DrawingBalancer::rebuilt() {
    for (std::size_t tier = 0; tier < tier_count; ++tier) {
        const auto all = seats().tier(tier);
        draws_[tier].build(all.size(), [&](std::size_t i) { return seats()[all[i]].weight; });
    }
}

}  // namespace nsboot_lb::upstream
