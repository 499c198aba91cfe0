#pragma once
/// One resolved address of a configured server (Endpoint, immutable, part of a Pool) and what is known of it at run
/// time (EndpointState, shared by every Pool that has the endpoint, so it survives reloads). Any thread may use both;
/// an EndpointState is the only thing on the pick path that threads share.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/upstream/health.hpp"

namespace nsboot_lb::upstream {

class PoolState;

/// What a configuration says of a server's use.
struct ServerKeys {
    std::uint32_t weight = 1;
    std::uint32_t max_connections = 0;
    bool backup = false;
    bool operator==(const ServerKeys&) const = default;
};

/// What the operator said.
enum class AdminState : std::uint8_t { up, drain, down };
std::string_view to_string(AdminState state);

/// What an endpoint may be given, all in all, most available first.
enum class Standing : std::uint8_t {
    available,
    probe_due,  ///< ejected by live traffic, its time is over: one request may probe
    ejected,    ///< by live traffic
    draining,   ///< by the operator, or of weight 0: only sessions that stick to it
    unhealthy,  ///< by active checks
    down,       ///< by the operator
};
std::string_view to_string(Standing standing);

class EndpointState {
  public:
    EndpointState(std::shared_ptr<PoolState> pool, std::string server, std::string address, PassivePolicy passive);
    EndpointState(const EndpointState&) = delete;
    EndpointState& operator=(const EndpointState&) = delete;

    /// Unique within the process, the same across reloads.
    std::uint64_t id() const { return id_; }
    PoolState& pool() const { return *pool_; }

    // --- Exchanges in flight. Use InFlight, which cannot forget to end. ---

    /// Takes a slot; false when `max_connections` (0 = no limit) are taken, which is never exceeded.
    bool try_begin(std::uint32_t max_connections);
    /// Gives it back; the first waiter of the pool gets it.
    void end();
    std::uint32_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }

    // --- Live traffic, from any worker. ---

    /// A complete response, or a response head of any status but those that failover is configured for. Cheap.
    void report_success(TimePoint now) {
        if (probing_.load(std::memory_order_relaxed)) end_probe(now);
    }
    void report_failure(Failure failure, TimePoint now);
    /// The request ended before the server could show anything: its client left, or broke it. If it may have been the
    /// one that probes, another one may at once.
    void report_nothing(TimePoint now) {
        if (probing_.load(std::memory_order_relaxed)) give_up_probe(now);
    }
    /// Whether the caller's request is the one that probes an ejected server whose time is over.
    bool claim_probe(TimePoint now);
    /// Takes the claim back: there is no slot for it.
    void unclaim_probe(TimePoint now);

    // --- The control thread: active checks, the admin API, reload. ---

    /// The verdict of the active checks, with its reason ("status 503", "2 checks passed").
    void set_active_health(bool up, std::string_view reason, TimePoint now);
    /// An active check that began at `begun` has passed or not. What live traffic ejected comes back by it.
    void report_check(bool passed, TimePoint begun, CheckRhythm rhythm, TimePoint now);
    void set_admin_state(AdminState state, TimePoint now);
    /// Replaces the configured weight; nothing goes back to it.
    void override_weight(std::optional<std::uint32_t> weight, TimePoint now);
    void set_passive_policy(PassivePolicy policy, TimePoint now);
    /// It is part of its pool's `activation`, counted from 1. What the operator set goes if the server's keys are
    /// others than those it was set under; an endpoint that joins a pool which was there before begins a slow start.
    void join(std::uint64_t activation, const ServerKeys& keys, TimePoint now);
    /// Shows with the next availability change.
    void begin_slow_start(TimePoint now);

    // --- What is known, from any thread. ---

    bool active_up() const { return active_up_.load(std::memory_order_relaxed); }
    AdminState admin_state() const { return admin_.load(std::memory_order_relaxed); }
    std::optional<std::uint32_t> weight_override() const;
    /// While ejected by live traffic: from when on a request may probe.
    std::optional<TimePoint> ejected_until() const;
    /// When its slow start began; nothing if it never had one.
    std::optional<TimePoint> slow_start_begin() const;
    /// Why the active checks say that it is down, and why live traffic ejected it, as it was logged; empty if they did
    /// not. These take a lock: not on the way of a request.
    std::string unhealthy_reason() const;
    std::string ejection_reason() const;

  private:
    static constexpr std::int64_t in_service = INT64_MIN;  ///< of probe_from_
    static constexpr std::int64_t never = INT64_MIN;       ///< of slow_start_begin_
    static constexpr std::int64_t as_configured = -1;      ///< of weight_override_

    void end_probe(TimePoint now);
    void give_up_probe(TimePoint now);
    void come_back(std::string_view reason, TimePoint now);
    void mirror();  ///< with mutex_ held: passive_ into the atomics
    void announce(PassiveHealth::Change change, std::string_view reason, TimePoint now);
    void report(std::string_view what, std::string_view reason) const;

    // Constant.
    const std::uint64_t id_;
    const std::shared_ptr<PoolState> pool_;
    const std::string server_;
    const std::string address_;

    // The control thread's.
    std::uint64_t activation_ = 0;  ///< the latest that it was part of
    ServerKeys keys_;               ///< its keys there

    // Written by every exchange of every worker.
    alignas(64) std::atomic<std::uint32_t> in_flight_{0};

    // Read on every report, written when something changes.
    alignas(64) std::atomic<std::int64_t> probe_from_{in_service};  ///< steady clock, ns
    std::atomic<std::int64_t> slow_start_begin_{never};             ///< steady clock, ns
    std::atomic<std::int64_t> weight_override_{as_configured};
    std::atomic<AdminState> admin_{AdminState::up};
    std::atomic<bool> active_up_{true};
    std::atomic<bool> probing_{false};

    // Failures, probes and changes only.
    mutable std::mutex mutex_;
    PassiveHealth passive_;         ///< guarded by mutex_; probe_from_ and probing_ mirror it
    std::string unhealthy_reason_;  ///< guarded by mutex_
    std::string ejection_reason_;   ///< guarded by mutex_
};

struct Endpoint {
    std::string pool;
    std::string server;  ///< the configured server's name; several endpoints share it when a name has several addresses
    base::IpAddress address;
    std::uint16_t port = 0;
    std::string unix_path;    ///< not empty: a unix socket, address and port mean nothing
    std::string text;         ///< "10.0.0.1:80", "[::1]:80" or "unix:/path"
    std::string host;         ///< as configured, with port: what a Host header of the daemon's own requests says
    std::uint16_t index = 0;  ///< in the pool
    std::uint32_t configured_weight = 1;
    std::uint32_t max_connections = 0;  ///< 0 = no limit
    bool backup = false;

    std::shared_ptr<EndpointState> state;                                   ///< never null
    std::shared_ptr<observe::PerWorker<observe::ServerCounters>> counters;  ///< shared by all endpoints of the server

    std::uint64_t id() const { return state->id(); }
    /// The operator's weight, else the configured one. Slow start is not in it.
    std::uint32_t weight() const { return state->weight_override().value_or(configured_weight); }
    Standing standing(TimePoint now) const;
    /// Why it has that standing: "connection refused", "3 failures, last: timeout", "operator", "weight 0"; empty if it
    /// is available. Takes a lock: not on the way of a request.
    std::string reason(Standing standing) const;
};

/// A slot of an endpoint, held by one exchange (tunnels included) for as long as it lasts. The exchange's snapshot
/// keeps the endpoint alive.
class InFlight {
  public:
    InFlight() = default;
    InFlight(InFlight&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    InFlight& operator=(InFlight&& other) noexcept {
        if (this != &other) {
            release();
            state_ = std::exchange(other.state_, nullptr);
        }
        return *this;
    }
    ~InFlight() { release(); }

    /// Nothing is held (operator bool says so) when the endpoint is full.
    static InFlight try_begin(const Endpoint& endpoint) {
        return endpoint.state->try_begin(endpoint.max_connections) ? InFlight{*endpoint.state} : InFlight{};
    }
    /// Takes over a slot that was begun for the caller.
    static InFlight adopt(const Endpoint& endpoint) { return InFlight{*endpoint.state}; }

    void release() {
        if (auto* state = std::exchange(state_, nullptr)) state->end();
    }
    explicit operator bool() const { return state_ != nullptr; }

  private:
    explicit InFlight(EndpointState& state) : state_(&state) {}
    EndpointState* state_ = nullptr;
};

}  // namespace nsboot_lb::upstream
