#include "nsboot_lb/upstream/admission.hpp"

namespace nsboot_lb::upstream {

std::expected<Admitted, Refusal> admit(Balancer& balancer, const Pool& pool, const PickContext& context) {
    if (pool.state().queue.busy()) return std::unexpected(balancer.refusal(context));
    // Another worker may take the last slot between pick() and try_begin(); then the next pick() sees it taken.
    constexpr int most_races = 8;
    for (int race = 0; race < most_races; ++race) {
        const auto picked = balancer.pick(context);
        if (!picked) break;
        const auto& endpoint = pool.endpoint(*picked);
        if (auto slot = InFlight::try_begin(endpoint)) return Admitted{.endpoint = *picked, .slot = std::move(slot)};
        endpoint.state->report_nothing(context.now);  // it may have been picked for its probe
    }
    return std::unexpected(balancer.refusal(context));
}

}  // namespace nsboot_lb::upstream
