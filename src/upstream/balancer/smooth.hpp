#pragma once
/// Smooth weighted round-robin, nginx's way: each step every member gains its weight and the one that has most is
/// chosen and pays the total. Shares are exact over each period and interleaved. Belongs to one Balancer.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace nsboot_lb::upstream {

class SmoothChooser {
  public:
    explicit SmoothChooser(std::size_t size) : credit_(size) {}

    /// Of those members that `open` admits.
    template <class Members, class Weight, class Open>
    std::optional<std::size_t> choose(const Members& members, Weight weight, Open open) {
        std::int64_t total = 0;
        std::optional<std::size_t> best;
        for (const std::size_t member : members) {
            if (!open(member)) continue;
            const auto gain = static_cast<std::int64_t>(weight(member));
            credit_[member] += gain;
            total += gain;
            if (!best || credit_[member] > credit_[*best]) best = member;
        }
        if (best) credit_[*best] -= total;
        return best;
    }
    /// The credit of members that the other one has too, at these places.
    void take_over(const SmoothChooser& before, std::span<const std::optional<std::size_t>> places) {
        for (std::size_t member = 0; member < credit_.size(); ++member)
            if (places[member]) credit_[member] = before.credit_[*places[member]];
    }
    void forget() { credit_.assign(credit_.size(), 0); }

  private:
    std::vector<std::int64_t> credit_;
};

}  // namespace nsboot_lb::upstream
