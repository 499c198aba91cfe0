/// round-robin and weighted: smooth weighted round-robin. Up to sixteen servers take exactly nginx's turns; more are
/// put into groups of sixteen, which take turns by their weight as their members do, so that hundreds stay cheap and
/// every share stays exact.
#include <ranges>

#include "policies.hpp"
#include "smooth.hpp"
#include "tiered.hpp"

namespace nsboot_lb::upstream {

namespace {

constexpr std::size_t group_size = 16;

class RoundRobin final : public TieredBalancer {
  public:
    RoundRobin(std::shared_ptr<const Pool> pool, std::uint64_t seed)
        : TieredBalancer(std::move(pool)),
          members_(seats().size()),
          groups_(seats().size() / group_size + 1),
          turns_to_skip_(seats().size() != 0 ? seed % seats().size() : 0) {
        for (auto& weights : group_weights_) weights.reserve(groups_of(seats().size()));
    }

    void go_on_from(const Balancer& before) override {
        const auto* const other = dynamic_cast<const RoundRobin*>(&before);
        if (other == nullptr) return;
        members_.take_over(other->members_, places_in(other->seats().pool(), seats().pool()));
        turns_to_skip_ = other->turns_to_skip_;
    }

  private:
    static std::size_t groups_of(std::size_t members) { return (members + group_size - 1) / group_size; }

    std::optional<std::size_t> choose(std::size_t tier, const PickContext& context) override {
        // Workers begin at different servers, else the first requests of all would meet at one.
        for (; turns_to_skip_ > 0; --turns_to_skip_) take_turn(tier, context);
        return take_turn(tier, context);
    }

    std::optional<std::size_t> take_turn(std::size_t tier, const PickContext& context) {
        const auto all = seats().tier(tier);
        if (all.size() <= group_size) return choose_of(all, context);
        const auto& weights = group_weights_[tier];
        const auto group = groups_.choose(
            std::views::iota(std::size_t{0}, weights.size()), [&](std::size_t g) { return weights[g]; },
            [](std::size_t) { return true; });
        // Past the group whose turn it is only where all its members are full or tried.
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const auto first = (*group + i) % weights.size() * group_size;
            if (const auto chosen = choose_of(all.subspan(first, std::min(group_size, all.size() - first)), context))
                return chosen;
        }
        return std::nullopt;
    }

    std::optional<std::size_t> choose_of(std::span<const std::uint16_t> members, const PickContext& context) {
        return members_.choose(
            members, [&](std::size_t endpoint) { return seats()[endpoint].weight; },
            [&](std::size_t endpoint) { return open(endpoint, context); });
    }

    void rebuilt() override {
        groups_.forget();
        for (std::size_t tier = 0; tier < tier_count; ++tier) {
            const auto all = seats().tier(tier);
            group_weights_[tier].assign(groups_of(all.size()), 0);
            for (std::size_t i = 0; i < all.size(); ++i) group_weights_[tier][i / group_size] += seats()[all[i]].weight;
        }
    }

    SmoothChooser members_;  ///< by endpoint
    SmoothChooser groups_;
    std::array<std::vector<std::uint64_t>, tier_count> group_weights_;
    std::uint64_t turns_to_skip_;
};

}  // namespace

std::unique_ptr<Balancer> make_round_robin(std::shared_ptr<const Pool> pool, std::uint64_t seed) {
    return std::make_unique<RoundRobin>(std::move(pool), seed);
}

}  // namespace nsboot_lb::upstream
