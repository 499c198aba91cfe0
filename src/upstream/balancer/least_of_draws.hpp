#pragma once
/// The less loaded of a few servers drawn at random by weight: what random-two does, and least-conn in large pools. A
/// base for those two; belongs to one worker.
#include <array>
#include <optional>

#include "random.hpp"
#include "tiered.hpp"

namespace nsboot_lb::upstream {

class DrawingBalancer : public TieredBalancer {
  public:
    void go_on_from(const Balancer& before) override;

  protected:
    DrawingBalancer(std::shared_ptr<const Pool> pool, std::uint64_t seed);

    /// Of `draws` draws that are open and, where the tier has so many, distinct; of all open ones if none was.
    std::optional<std::size_t> least_of(std::size_t draws, std::size_t tier, const PickContext& context);
    /// Whether `a` has less in flight for its weight.
    static bool less_loaded(std::uint32_t a_in_flight, const Seat& a, std::uint32_t b_in_flight, const Seat& b) {
        return std::uint64_t{a_in_flight} * b.weight < std::uint64_t{b_in_flight} * a.weight;
    }
    void rebuilt() override;

  private:
    std::optional<std::size_t> least_of_all(std::size_t tier, const PickContext& context);

    std::array<WeightedDraw, tier_count> draws_;
    Random random_;
};

}  // namespace nsboot_lb::upstream
