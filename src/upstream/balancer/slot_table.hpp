#pragma once
/// Which server of a pool each of 32,768 slots belongs to, and so each key: by rendezvous hashing over all configured
/// servers, well or not, so that the table changes with the configuration and the names' addresses only. Immutable,
/// made once per Pool on the control thread, read by the hash balancers of all workers.
#include <cstdint>
#include <span>
#include <vector>

#include "nsboot_lb/upstream/endpoint.hpp"

namespace nsboot_lb::upstream {

class SlotTable {
  public:
    static constexpr unsigned slot_bits = 15;
    static constexpr std::uint16_t nobody = UINT16_MAX;

    /// Backup servers have no slots.
    explicit SlotTable(std::span<const Endpoint> endpoints);

    /// The endpoint's index, or nobody if the pool has only backup servers.
    std::uint16_t owner(std::uint64_t hash) const { return owners_[hash >> (64 - slot_bits)]; }
    /// What a server's keys are drawn by: the same for the same server name (and address, if it has several) in any
    /// pool.
    std::uint64_t server_hash(std::size_t endpoint) const { return server_hashes_[endpoint]; }
    /// The weight that an endpoint's share of the slots is made of.
    static std::uint32_t base_weight(const Endpoint& endpoint) {
        return endpoint.configured_weight != 0 ? endpoint.configured_weight : 1;
    }

  private:
    std::vector<std::uint16_t> owners_;
    std::vector<std::uint64_t> server_hashes_;
};

}  // namespace nsboot_lb::upstream
