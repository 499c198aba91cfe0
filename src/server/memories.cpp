#include "memories.hpp"

#include <algorithm>
#include <chrono>

namespace nsboot_lb::server {

std::vector<ServerMemory> remember(const forward::Snapshot& snapshot) {
    std::vector<ServerMemory> all;
    for (const auto& pool : snapshot.pools) {
        for (const auto& endpoint : pool->endpoints()) {
            const auto& state = *endpoint.state;
            const ServerMemory memory{.pool = pool->name(),
                                      .server = endpoint.server,
                                      .address = endpoint.text,
                                      .state = static_cast<ServerState>(state.admin_state()),
                                      .weight = state.weight_override(),
                                      .healthy = state.active_up(),
                                      .reason = state.unhealthy_reason()};
            if (memory.state != ServerState::up || memory.weight || !memory.healthy) all.push_back(memory);
        }
    }
    return all;
}

void recall(const forward::Snapshot& snapshot, const std::vector<ServerMemory>& memories) {
    const auto now = std::chrono::steady_clock::now();
    for (const auto& pool : snapshot.pools) {
        for (const auto& endpoint : pool->endpoints()) {
            const auto memory = std::ranges::find_if(memories, [&](const ServerMemory& candidate) {
                return candidate.pool == pool->name() && candidate.server == endpoint.server &&
                       candidate.address == endpoint.text;
            });
            if (memory == memories.end()) continue;
            endpoint.state->set_admin_state(static_cast<upstream::AdminState>(memory->state), now);
            endpoint.state->override_weight(memory->weight, now);
            endpoint.state->set_active_health(memory->healthy, memory->reason, now);
        }
    }
}

}  // namespace nsboot_lb::server
