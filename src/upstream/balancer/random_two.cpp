/// random-two: two servers drawn at random by weight, the less loaded of them for its weight. What many balancers that
/// do not know of each other do well with: none of them herds to the one server that looks idle to all.
#include "least_of_draws.hpp"
#include "policies.hpp"

namespace nsboot_lb::upstream {

namespace {

class RandomTwo final : public DrawingBalancer {
  public:
    RandomTwo(std::shared_ptr<const Pool> pool, std::uint64_t seed) : DrawingBalancer(std::move(pool), seed) {}

  private:
    std::optional<std::size_t> choose(std::size_t tier, const PickContext& context) override {
        return least_of(2, tier, context);
    }
};

}  // namespace

std::unique_ptr<Balancer> make_random_two(std::shared_ptr<const Pool> pool, std::uint64_t seed) {
    return std::make_unique<RandomTwo>(std::move(pool), seed);
}

}  // namespace nsboot_lb::upstream
