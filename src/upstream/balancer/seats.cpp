#include "seats.hpp"

#include <unordered_map>

namespace nsboot_lb::upstream {

Seats::Seats(std::shared_ptr<const Pool> pool)
    : pool_(std::move(pool)), state_(&pool_->state()), seats_(pool_->endpoints().size()) {
    for (auto& tier : tiers_) tier.reserve(seats_.size());
}

void Seats::rebuild(TimePoint now) {
    // Before the states are read: a change that comes in between leads to one more rebuild, not to a missed one.
    generation_ = state_->generation();
    valid_until_ = TimePoint::max();
    for (auto& tier : tiers_) tier.clear();
    tier_weights_.fill(0);
    for (const auto& endpoint : pool_->endpoints()) {
        auto& seat = seats_[endpoint.index];
        const auto standing = endpoint.standing(now);
        seat = {.state = endpoint.state.get(),
                .weight = effective_weight(endpoint, now),
                .max_connections = endpoint.max_connections,
                .tier = tier_of(endpoint, standing),
                .probe = standing == Standing::probe_due};
        if (standing == Standing::ejected)
            if (const auto until = endpoint.state->ejected_until()) valid_until_ = std::min(valid_until_, *until);
        if (seat.tier == Tier::closed) continue;
        tiers_[static_cast<std::size_t>(seat.tier)].push_back(endpoint.index);
        tier_weights_[static_cast<std::size_t>(seat.tier)] += seat.weight;
    }
}

std::vector<std::optional<std::size_t>> places_in(const Pool& before, const Pool& pool) {
    std::unordered_map<std::uint64_t, std::size_t> elsewhere;
    std::vector<std::optional<std::size_t>> places;
    places.reserve(pool.endpoints().size());
    for (const auto& endpoint : pool.endpoints()) {
        const auto id = endpoint.id();
        // Mostly nothing has moved.
        if (endpoint.index < before.endpoints().size() && before.endpoint(endpoint.index).id() == id) {
            places.emplace_back(endpoint.index);
            continue;
        }
        if (elsewhere.empty())
            for (const auto& other : before.endpoints()) elsewhere.emplace(other.id(), other.index);
        const auto found = elsewhere.find(id);
        places.push_back(found != elsewhere.end() ? std::optional{found->second} : std::nullopt);
    }
    return places;
}

std::uint32_t Seats::effective_weight(const Endpoint& endpoint, TimePoint now) {
    const auto full = std::max(endpoint.weight() * weight_unit, 1U);
    const std::chrono::nanoseconds length = pool_->config().slow_start;
    const auto begin = endpoint.state->slow_start_begin();
    if (!begin || length.count() == 0 || now >= *begin + length) return full;
    // The ramp goes up in a hundred steps, each of which is one rebuild per worker; the last ends where the ramp does.
    const auto step = std::max<std::chrono::nanoseconds>(length / 100, std::chrono::milliseconds{1});
    valid_until_ = std::min({valid_until_, now + step, *begin + length});
    const auto passed = std::max<std::chrono::nanoseconds>(now - *begin, std::chrono::nanoseconds{0});
    const double share = static_cast<double>(passed.count()) / static_cast<double>(length.count());
    return std::max(static_cast<std::uint32_t>(full * share), 1U);
}

}  // namespace nsboot_lb::upstream
