/// uri-hash: the path decides, so that each server's own cache holds its part of the files. With bounded load
/// ("Consistent Hashing with Bounded Loads", Mirrokni, Thorup and Zadimoghaddam 2016): a server that has 150 % of its
/// share in flight passes on to the next in the path's line, so one hot path cannot drown it.
#include "hash.hpp"
#include "hashing.hpp"
#include "policies.hpp"

namespace nsboot_lb::upstream {

namespace {

constexpr double bound = 1.5;
/// Larger pools are summed up once in so many picks.
constexpr std::uint32_t picks_per_sum = 16;

class UriHash final : public HashingBalancer {
  public:
    explicit UriHash(std::shared_ptr<const Pool> pool) : HashingBalancer(std::move(pool)) {}

  private:
    std::optional<std::size_t> choose(std::size_t tier, const PickContext& context) override {
        const auto path = context.path.substr(0, context.path.find('?'));
        const auto with_this_one = static_cast<double>(in_flight(tier) + 1);
        const double most_per_weight = bound * with_this_one / static_cast<double>(seats().tier_weight(tier));
        const auto key = hash_bytes(path);
        if (const auto chosen = first_in_line(key, tier, context, most_per_weight)) return chosen;
        // Those below the bound are full or tried, or counts moved meanwhile: better too much than nothing.
        return first_in_line(key, tier, context, unbounded);
    }

    /// In the whole tier; in larger pools as of a few picks ago, and those picks.
    std::uint64_t in_flight(std::size_t tier) {
        const auto members = seats().tier(tier);
        if (members.size() > picks_per_sum && tier == summed_tier_ && picks_since_ < picks_per_sum)
            return sum_ + ++picks_since_;
        sum_ = 0;
        for (const std::size_t endpoint : members) sum_ += seats()[endpoint].in_flight();
        picks_since_ = 0;
        summed_tier_ = tier;
        return sum_;
    }

    void rebuilt() override {
        HashingBalancer::rebuilt();
        picks_since_ = picks_per_sum;
    }

    std::uint64_t sum_ = 0;
    std::uint32_t picks_since_ = picks_per_sum;
    std::size_t summed_tier_ = tier_count;
};

}  // namespace

std::unique_ptr<Balancer> make_uri_hash(std::shared_ptr<const Pool> pool) {
    return std::make_unique<UriHash>(std::move(pool));
}

}  // namespace nsboot_lb::upstream
