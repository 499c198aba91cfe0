#pragma once
/// When a server counts as up: two small state machines, one fed by active checks, one by live traffic. Both are pure
/// (time comes in as an argument) and neither is thread-safe: ActiveHealth belongs to the health checker on the control
/// thread, PassiveHealth to an EndpointState, which guards it.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nsboot_lb::upstream {

using TimePoint = std::chrono::steady_clock::time_point;

/// What an active check or an attempt of live traffic came to.
enum class Failure : std::uint8_t {
    connect_refused,
    connect_timeout,
    connect_failed,  ///< unreachable network or host, TLS handshake failed …
    reset,           ///< the connection broke before the response was complete
    timeout,         ///< nothing came within `timeouts.response` or the check's `timeout`
    bad_status,      ///< a status outside `expect_status`, or a 502, 503 or 504 of live traffic
    bad_body,        ///< `expect_body` was not in it
    protocol,        ///< what came was not HTTP
};
/// As logs and reasons say it: "connection refused", "timeout" …
std::string_view to_string(Failure failure);

/// `rise` and `fall` on consecutive results. Until the first result a server counts as up.
class ActiveHealth {
  public:
    ActiveHealth(std::uint32_t rise, std::uint32_t fall, bool up = true);
    /// Whether this result turned the state over.
    bool success();
    bool failure();
    bool up() const { return up_; }

  private:
    std::uint32_t rise_;
    std::uint32_t fall_;
    std::uint32_t streak_ = 0;  ///< consecutive results that speak against the state
    bool up_;
};

struct PassivePolicy {
    std::uint32_t max_fails = 3;  ///< 0 = never ejects
    std::chrono::nanoseconds fail_timeout{std::chrono::seconds{30}};
    bool operator==(const PassivePolicy&) const = default;
};

/// How often a server is checked, and how many passed checks say something.
struct CheckRhythm {
    std::uint32_t rise = 2;
    std::chrono::nanoseconds interval{std::chrono::seconds{3}};
};

/// `max_fails` failures within `fail_timeout` eject for `fail_timeout`; then one request probes: its success readmits,
/// its failure ejects for as long again. A probe that never reports is given up after `fail_timeout`.
///
/// Active checks that pass readmit earlier, on trial: the next failure ejects again. Checks may pass at a server that
/// is broken, so each further ejection needs twice as many of them, up to `fail_timeout`'s worth.
class PassiveHealth {
  public:
    enum class Change : std::uint8_t { none, ejected, readmitted };

    explicit PassiveHealth(PassivePolicy policy);
    /// Of a new configuration. Turning it off readmits.
    Change set_policy(PassivePolicy policy);
    Change success();
    Change failure(TimePoint now);
    /// Whether the caller's request is the one that probes. Only once the ejection is over, and only for one caller.
    bool claim_probe(TimePoint now);
    /// The probing request ended without a verdict on the server: the next one may probe at once.
    void give_up_probe(TimePoint now);
    /// Somebody who knows better (active checks that had it down, the operator) says that it is well.
    Change readmit();
    /// An active check that began at `begun` has passed. `rise` of them in a row, begun after the ejection, readmit.
    Change check_passed(TimePoint begun, CheckRhythm rhythm, TimePoint now);
    /// One has not.
    void check_failed() { checks_passed_ = 0; }

    bool out() const { return out_; }
    bool probing() const { return probing_; }
    /// While out: from when on a request may probe.
    TimePoint probe_from() const { return probe_from_; }
    PassivePolicy policy() const { return policy_; }

  private:
    void note_failure(TimePoint now);
    void eject(TimePoint now);
    void stay_out(TimePoint now);
    std::uint64_t checks_needed(CheckRhythm rhythm) const;

    PassivePolicy policy_;
    std::vector<TimePoint> failures_;  ///< a ring of the last max_fails failures
    std::size_t oldest_ = 0;
    TimePoint probe_from_{};
    TimePoint ejected_{};              ///< when last
    std::uint32_t ejections_ = 0;      ///< that followed each other within ten fail_timeout
    std::uint32_t checks_passed_ = 0;  ///< in a row since then
    bool out_ = false;
    bool probing_ = false;
};

}  // namespace nsboot_lb::upstream
