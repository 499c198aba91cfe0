#include "memories.hpp"

#include <chrono>
#include <map>
#include <string_view>
#include <tuple>

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
    using Name = std::tuple<std::string_view, std::string_view, std::string_view>;
    std::map<Name, const ServerMemory*> by_name;
    for (const auto& memory : memories) by_name.emplace(Name{memory.pool, memory.server, memory.address}, &memory);
    const auto now = std::chrono::steady_clock::now();
    for (const auto& pool : snapshot.pools) {
        for (const auto& endpoint : pool->endpoints()) {
            const auto found = by_name.find(Name{pool->name(), endpoint.server, endpoint.text});
            if (found == by_name.end()) continue;
            const auto& memory = *found->second;
            endpoint.state->set_admin_state(static_cast<upstream::AdminState>(memory.state), now);
            endpoint.state->override_weight(memory.weight, now);
            endpoint.state->set_active_health(memory.healthy, memory.reason, now);
        }
    }
}

}  // namespace nsboot_lb::server
