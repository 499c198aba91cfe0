#pragma once
/// A named set of servers. A Pool is one configuration of it with its resolved addresses, immutable and part of a
/// Snapshot; its PoolState is shared by every Pool of that name, so it survives reloads and changed DNS answers. Built
/// on the control thread, read by any.
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/config/config.hpp"
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
    void availability_changed(TimePoint now);
    void report(const Transition& transition) const;

    WaitQueue queue;
    RetryBudget retry_budget;

  private:
    const std::string name_;
    const TransitionHandler on_transition_;
    alignas(64) std::atomic<std::uint64_t> generation_{1};
};

/// What names stand for: the last good answer for each host of the configuration that is not a literal address.
using Addresses = std::map<std::string, std::vector<base::IpAddress>, std::less<>>;

class Pool {
  public:
    Pool(config::Pool config, std::vector<Endpoint> endpoints, std::shared_ptr<PoolState> state);

    const std::string& name() const { return config_.name; }
    const config::Pool& config() const { return config_; }
    std::span<const Endpoint> endpoints() const { return endpoints_; }
    const Endpoint& endpoint(std::size_t index) const { return endpoints_[index]; }
    /// The queue, the retry budget and the generation. Shared and thread-safe, hence not const.
    PoolState& state() const { return *state_; }
    const std::shared_ptr<PoolState>& shared_state() const { return state_; }
    /// Null where the builder was given none.
    std::shared_ptr<observe::PerWorker<observe::PoolCounters>> counters;

    /// Whether a new request could be served or could wait: what /readyz asks.
    bool available(TimePoint now) const;
    /// Nothing if that endpoint is not (or no longer) in this Pool.
    std::optional<std::size_t> index_of(const EndpointState& state) const;

  private:
    config::Pool config_;
    std::vector<Endpoint> endpoints_;
    std::shared_ptr<PoolState> state_;
};

/// Who counts for a server; called once per endpoint. May be empty.
using ServerCountersSource = std::function<std::shared_ptr<observe::PerWorker<observe::ServerCounters>>(
    std::string_view pool, std::string_view server)>;

/// Builds the Pool of a configuration. Every endpoint that `previous` has too (same server name and address) keeps its
/// EndpointState; what the operator set survives if the server's own keys are unchanged. Endpoints that are new beside
/// a `previous` begin their slow start. A host without an entry in `addresses` has no endpoints.
std::shared_ptr<Pool> build_pool(const config::Pool& config, const Addresses& addresses, const Pool* previous,
                                 TimePoint now, const TransitionHandler& on_transition,
                                 const ServerCountersSource& counters = {});

}  // namespace nsboot_lb::upstream
