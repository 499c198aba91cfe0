/// least-conn: the server with the fewest exchanges in flight for its weight, counted over all workers; slots handed to
/// waiting exchanges count too. Ties take smooth weighted turns, so that an idle pool is served like round-robin. Up to
/// 32 servers are all looked at; of more, the least loaded of five that are drawn by weight, which is as good within a
/// fraction of a request and does not grow with the pool.
#include "least_of_draws.hpp"
#include "policies.hpp"
#include "smooth.hpp"

namespace nsboot_lb::upstream {

namespace {

constexpr std::size_t most_looked_at = 32;
constexpr std::size_t draws_in_large_pools = 5;

class LeastConn final : public DrawingBalancer {
  public:
    LeastConn(std::shared_ptr<const Pool> pool, std::uint64_t seed)
        : DrawingBalancer(std::move(pool), seed),
          turns_(seats().size()),
          turns_to_skip_(seats().size() != 0 ? seed % seats().size() : 0) {}

    void go_on_from(const Balancer& before) override {
        DrawingBalancer::go_on_from(before);
        const auto* const other = dynamic_cast<const LeastConn*>(&before);
        if (other == nullptr) return;
        turns_.take_over(other->turns_, places_in(other->seats().pool(), seats().pool()));
        turns_to_skip_ = other->turns_to_skip_;
    }

  private:
    struct Tied {
        std::array<std::uint16_t, most_looked_at> members;
        std::size_t count = 0;
        std::span<const std::uint16_t> all() const { return {members.data(), count}; }
    };

    std::optional<std::size_t> choose(std::size_t tier, const PickContext& context) override {
        if (seats().tier(tier).size() > most_looked_at) return least_of(draws_in_large_pools, tier, context);
        const auto tied = least_loaded(tier, context);
        // Workers begin at different servers, else the first requests of all would meet at one.
        for (; turns_to_skip_ > 0; --turns_to_skip_) take_turn(tied);
        return take_turn(tied);
    }

    std::optional<std::size_t> take_turn(const Tied& tied) {
        return turns_.choose(
            tied.all(), [&](std::size_t endpoint) { return seats()[endpoint].weight; },
            [](std::size_t) { return true; });
    }

    Tied least_loaded(std::size_t tier, const PickContext& context) const {
        Tied tied;
        std::uint32_t least = 0;
        for (const std::uint16_t endpoint : seats().tier(tier)) {
            if (!open(endpoint, context)) continue;
            const auto& seat = seats()[endpoint];
            const auto in_flight = seat.in_flight();
            if (tied.count != 0) {
                const auto& best = seats()[tied.members[0]];
                if (less_loaded(least, best, in_flight, seat)) continue;
                if (less_loaded(in_flight, seat, least, best)) tied.count = 0;
            }
            if (tied.count == 0) least = in_flight;
            tied.members[tied.count++] = endpoint;
        }
        return tied;
    }

    SmoothChooser turns_;  ///< by endpoint
    std::uint64_t turns_to_skip_;
};

}  // namespace

std::unique_ptr<Balancer> make_least_conn(std::shared_ptr<const Pool> pool, std::uint64_t seed) {
    return std::make_unique<LeastConn>(std::move(pool), seed);
}

}  // namespace nsboot_lb::upstream
