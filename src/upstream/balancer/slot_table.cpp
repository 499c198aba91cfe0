#include "slot_table.hpp"

#include <algorithm>

#include "hash.hpp"

namespace nsboot_lb::upstream {

namespace {

struct Contender {
    std::uint16_t index;
    std::uint64_t hash;
    double weight;
};

/// A server is its name, so that its clients stay with it when it gets another address. Of those that are given by a
/// DNS name each address is one of several.
std::uint64_t hash_of(const Endpoint& endpoint) {
    const bool one_of_several = endpoint.unix_path.empty() && endpoint.host != endpoint.text;
    return mix(hash_bytes(endpoint.server)) ^ (one_of_several ? hash_bytes(endpoint.text) : 0);
}

/// With equal weights the scores order as the hashes do, so the logarithm is spared.
std::uint16_t winner(std::span<const Contender> contenders, std::uint64_t key, bool equal_weights) {
    const auto score = [&](const Contender& contender) {
        return equal_weights ? static_cast<double>(mix(key ^ contender.hash))
                             : rendezvous_score(key, contender.hash, contender.weight);
    };
    const auto best = std::ranges::max_element(contenders, std::ranges::less{}, score);
    return best == contenders.end() ? SlotTable::nobody : best->index;
}

}  // namespace

SlotTable::SlotTable(std::span<const Endpoint> endpoints) {
    std::vector<Contender> contenders;
    for (const auto& endpoint : endpoints) {
        server_hashes_.push_back(hash_of(endpoint));
        if (!endpoint.backup)
            contenders.push_back({endpoint.index, server_hashes_.back(), static_cast<double>(base_weight(endpoint))});
    }
    const bool equal_weights =
        std::ranges::all_of(contenders, [&](const Contender& c) { return c.weight == contenders.front().weight; });
    owners_.reserve(std::size_t{1} << slot_bits);
    for (std::uint64_t slot = 0; slot < std::uint64_t{1} << slot_bits; ++slot)
        owners_.push_back(winner(contenders, mix(slot), equal_weights));
}

}  // namespace nsboot_lb::upstream
