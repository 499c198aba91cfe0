#pragma once
/// A named set of servers. A Pool is one configuration of it (its PoolBasis) with its resolved addresses, immutable and
/// part of a Snapshot; its PoolState is shared by every Pool of that name, so it survives reloads and changed DNS
/// answers. Built by one thread at a time, read by any.
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/base/kept.hpp"
#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/upstream/endpoint.hpp"
#include "nsboot_lb/upstream/retry.hpp"
#include "nsboot_lb/upstream/wait_queue.hpp"

namespace nsboot_lb::upstream {

/// A server changed its standing; to be logged once.
struct Transition {
    std::string_view pool;
    std::string_view server;
    std::string_view address;
    std::string_view what;  ///< "up", "down", "ejected", "readmitted", "draining", "weight" …
    std::string_view
        reason;  ///< "connection refused", "timeout after 1s", "status 503", "3 failures, last: reset", "operator"
};
/// Called on the thread that noticed, a worker's too: must not block or throw.
using TransitionHandler = std::function<void(const Transition&)>;

class PoolState {
  public:
    PoolState(std::string name, TransitionHandler on_transition);

    const std::string& name() const { return name_; }
    /// Grows whenever an endpoint's availability or weight changed; balancers rebuild their tables on that.
    std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
    void next_generation() { generation_.fetch_add(1, std::memory_order_release); }
    /// The same, and who waits is offered what is free now.
    void availability_changed(TimePoint now) {
        next_generation();
        queue.availability_changed(now);
    }
    void report(const Transition& transition) const;

    WaitQueue queue;
    RetryBudget retry_budget;

    // --- Whoever builds a Pool. ---

    /// By server and address; "10.0.0.1:80" …
    using EndpointName = std::string;
    base::Kept<EndpointName, EndpointState> endpoints;

    // --- The control thread. ---

    /// How often a Pool of that name went live.
    std::uint64_t activations = 0;

  private:
    const std::string name_;
    const TransitionHandler on_transition_;
    alignas(64) std::atomic<std::uint64_t> generation_{1};
};

/// What names stand for: the last good answer for each host of the configuration that is not a literal address.
using Addresses = std::map<std::string, std::vector<base::IpAddress>, std::less<>>;

/// What a pool and its servers count in.
struct PoolCounts {
    std::shared_ptr<observe::PerWorker<observe::PoolCounters>> pool;
    std::vector<std::shared_ptr<observe::PerWorker<observe::ServerCounters>>> servers;  ///< as configured
};
PoolCounts counts_of(const config::Pool& pool, observe::Statistics& statistics);

/// All of a Pool but its addresses, which come and go: a changed answer makes a new Pool of the same basis.
struct PoolBasis {
    std::shared_ptr<const config::Pool> config;
    std::string cookie_key;  ///< what cookie.key_file holds; empty without one
    std::shared_ptr<PoolState> state;
    PoolCounts counts;
};

class SlotTable;

class Pool {
  public:
    /// An endpoint (server name and address) that another Pool of that state has or had, and that anything still uses,
    /// is the same EndpointState. Nothing that is in use changes until activate(). A host without an entry in
    /// `addresses` has no endpoints.
    Pool(std::shared_ptr<const PoolBasis> basis, const Addresses& addresses);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    /// Once, on the control thread, when the Snapshot goes live: hands the new policies to the endpoints that stayed
    /// (what the operator set survives where the server's own keys are unchanged) and begins the slow start of those
    /// that are new beside a previous Pool. Who waits in the queue waits for these endpoints from then on.
    void activate(TimePoint now) const;

    const std::shared_ptr<const PoolBasis>& basis() const { return basis_; }
    /// Whether a Pool of the same basis with these addresses would have the same endpoints.
    bool has(const Addresses& addresses) const;
    const std::string& name() const { return config().name; }
    const config::Pool& config() const { return *basis_->config; }
    std::span<const Endpoint> endpoints() const { return endpoints_; }
    const Endpoint& endpoint(std::size_t index) const { return endpoints_[index]; }
    const std::string& cookie_key() const { return basis_->cookie_key; }
    /// The queue, the retry budget and the generation: shared and thread-safe, hence not const.
    PoolState& state() const { return *basis_->state; }
    const std::shared_ptr<observe::PerWorker<observe::PoolCounters>>& counters() const { return basis_->counts.pool; }

    /// Whether a new request could be served or could wait: what /readyz asks.
    bool available(TimePoint now) const;
    /// Nothing if that endpoint is not (or no longer) in this Pool.
    std::optional<std::size_t> index_of(const EndpointState& state) const;
    /// Whether a request that has tried `tried` may go to this endpoint: no better tier is left (see Tier).
    bool admits(std::size_t index, std::span<const std::uint16_t> tried, TimePoint now) const;
    /// What ip-hash and uri-hash look up, made on first use.
    const SlotTable& slot_table() const;

  private:
    const std::shared_ptr<const PoolBasis> basis_;
    const std::vector<Endpoint> endpoints_;
    mutable std::once_flag slot_table_made_;
    mutable std::unique_ptr<const SlotTable> slot_table_;
};

/// Which endpoints are asked before which. A request moves on to the next tier only when the better ones are empty or
/// tried; one whose servers are full waits instead.
enum class Tier : std::uint8_t {
    primary,
    backup,
    last_resort,  ///< ejected by live traffic alone: better than a 503, so the last server is never out
    last_backup,  ///< the same of backup servers
    closed,       ///< no new requests
};
inline constexpr std::size_t tier_count = 4;
Tier tier_of(const Endpoint& endpoint, Standing standing);

}  // namespace nsboot_lb::upstream
