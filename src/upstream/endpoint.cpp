#include "nsboot_lb/upstream/endpoint.hpp"

#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::upstream {

namespace {

constexpr const char* by_operator = "operator";

std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::int64_t to_ns(TimePoint time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

TimePoint from_ns(std::int64_t ns) {
    return TimePoint{std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds{ns})};
}

std::string failures_text(std::uint32_t count, Failure last) {
    auto text = std::to_string(count) + (count == 1 ? " failure: " : " failures, last: ");
    return text.append(to_string(last));
}

}  // namespace

std::string_view to_string(AdminState state) {
    switch (state) {
        case AdminState::up: return "up";
        case AdminState::drain: return "drain";
        case AdminState::down: return "down";
    }
    return "";
}

std::string_view to_string(Standing standing) {
    switch (standing) {
        case Standing::available: return "available";
        case Standing::probe_due: return "probe_due";
        case Standing::ejected: return "ejected";
        case Standing::draining: return "draining";
        case Standing::unhealthy: return "unhealthy";
        case Standing::down: return "down";
    }
    return "";
}

EndpointState::EndpointState(std::shared_ptr<PoolState> pool, std::string server, std::string address,
                             PassivePolicy passive)
    : id_(next_id()),
      pool_(std::move(pool)),
      server_(std::move(server)),
      address_(std::move(address)),
      passive_(passive) {}

bool EndpointState::try_begin(std::uint32_t max_connections) {
    if (max_connections == 0) {
        in_flight_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    auto taken = in_flight_.load(std::memory_order_seq_cst);
    while (taken < max_connections)
        if (in_flight_.compare_exchange_weak(taken, taken + 1, std::memory_order_seq_cst)) return true;
    return false;
}

void EndpointState::end() {
    // Sequentially consistent with a waiter that enters the queue and then looks for a slot: one of the two sees the
    // other.
    in_flight_.fetch_sub(1, std::memory_order_seq_cst);
    if (pool_->queue.busy()) pool_->queue.slot_freed(*this);
}

void EndpointState::end_probe(TimePoint now) {
    auto change = PassiveHealth::Change::none;
    {
        const std::scoped_lock lock(mutex_);
        change = passive_.success();
        mirror();
    }
    announce(change, "the probing request succeeded", now);
}

void EndpointState::report_failure(Failure failure, TimePoint now) {
    auto change = PassiveHealth::Change::none;
    std::string reason;
    {
        const std::scoped_lock lock(mutex_);
        change = passive_.failure(now);
        if (change == PassiveHealth::Change::ejected)
            ejection_reason_ = reason = failures_text(passive_.policy().max_fails, failure);
        mirror();
    }
    announce(change, reason, now);
}

void EndpointState::give_up_probe(TimePoint now) {
    unclaim_probe(now);
    pool_->availability_changed(now);
}

void EndpointState::unclaim_probe(TimePoint now) {
    {
        const std::scoped_lock lock(mutex_);
        passive_.give_up_probe(now);
        mirror();
    }
    pool_->next_generation();  // as in claim_probe()
}

bool EndpointState::claim_probe(TimePoint now) {
    {
        const std::scoped_lock lock(mutex_);
        if (!passive_.claim_probe(now)) return false;
        mirror();
    }
    // Not availability_changed(): the queue, which this may be called from, cannot gain by it.
    pool_->next_generation();
    return true;
}

void EndpointState::set_active_health(bool up, std::string_view reason, TimePoint now) {
    {
        const std::scoped_lock lock(mutex_);
        if (active_up_.exchange(up, std::memory_order_relaxed) == up) return;
        unhealthy_reason_ = up ? std::string_view{} : reason;
    }
    report(up ? "up" : "down", reason);
    up ? come_back(reason, now) : pool_->availability_changed(now);
}

void EndpointState::report_check(bool passed, TimePoint begun, CheckRhythm rhythm, TimePoint now) {
    if (probe_from_.load(std::memory_order_relaxed) == in_service) return;
    auto change = PassiveHealth::Change::none;
    {
        const std::scoped_lock lock(mutex_);
        if (passed)
            change = passive_.check_passed(begun, rhythm, now);
        else
            passive_.check_failed();
        mirror();
    }
    announce(change, "its checks pass", now);
}

void EndpointState::set_admin_state(AdminState state, TimePoint now) {
    const auto before = admin_.exchange(state, std::memory_order_relaxed);
    if (before == state) return;
    report(to_string(state), by_operator);
    // A server that was only drained is warm: no slow start.
    if (state == AdminState::up && before == AdminState::down)
        come_back(by_operator, now);
    else
        pool_->availability_changed(now);
}

void EndpointState::override_weight(std::optional<std::uint32_t> weight, TimePoint now) {
    const auto value = weight ? std::int64_t{*weight} : as_configured;
    if (weight_override_.exchange(value, std::memory_order_relaxed) == value) return;
    report("weight", weight ? std::to_string(*weight) + ", by the operator" : std::string{"as configured"});
    pool_->availability_changed(now);
}

void EndpointState::set_passive_policy(PassivePolicy policy, TimePoint now) {
    auto change = PassiveHealth::Change::none;
    {
        const std::scoped_lock lock(mutex_);
        change = passive_.set_policy(policy);
        mirror();
    }
    announce(change, "passive health is off", now);
}

void EndpointState::join(std::uint64_t activation, const ServerKeys& keys, TimePoint now) {
    if (activation_ != 0 && keys_ != keys) {
        set_admin_state(AdminState::up, now);
        override_weight(std::nullopt, now);
    }
    if (activation > 1 && activation_ + 1 < activation) begin_slow_start(now);
    activation_ = activation;
    keys_ = keys;
}

void EndpointState::begin_slow_start(TimePoint now) {
    slow_start_begin_.store(to_ns(now), std::memory_order_relaxed);
}

std::optional<std::uint32_t> EndpointState::weight_override() const {
    const auto value = weight_override_.load(std::memory_order_relaxed);
    return value == as_configured ? std::nullopt : std::optional{static_cast<std::uint32_t>(value)};
}

std::optional<TimePoint> EndpointState::ejected_until() const {
    const auto ns = probe_from_.load(std::memory_order_relaxed);
    return ns == in_service ? std::nullopt : std::optional{from_ns(ns)};
}

std::optional<TimePoint> EndpointState::slow_start_begin() const {
    const auto ns = slow_start_begin_.load(std::memory_order_relaxed);
    return ns == never ? std::nullopt : std::optional{from_ns(ns)};
}

std::string EndpointState::unhealthy_reason() const {
    const std::scoped_lock lock(mutex_);
    return unhealthy_reason_;
}

std::string EndpointState::ejection_reason() const {
    const std::scoped_lock lock(mutex_);
    return ejection_reason_;
}

void EndpointState::come_back(std::string_view reason, TimePoint now) {
    auto change = PassiveHealth::Change::none;
    {
        const std::scoped_lock lock(mutex_);
        change = passive_.readmit();
        mirror();
    }
    if (change != PassiveHealth::Change::none) report("readmitted", reason);
    begin_slow_start(now);
    pool_->availability_changed(now);
}

void EndpointState::mirror() {
    probe_from_.store(passive_.out() ? to_ns(passive_.probe_from()) : in_service, std::memory_order_relaxed);
    probing_.store(passive_.probing(), std::memory_order_relaxed);
    if (!passive_.out()) ejection_reason_.clear();
}

void EndpointState::announce(PassiveHealth::Change change, std::string_view reason, TimePoint now) {
    if (change == PassiveHealth::Change::none) return;
    const bool readmitted = change == PassiveHealth::Change::readmitted;
    report(readmitted ? "readmitted" : "ejected", reason);
    if (readmitted) begin_slow_start(now);
    pool_->availability_changed(now);
}

void EndpointState::report(std::string_view what, std::string_view reason) const {
    pool_->report({.pool = pool_->name(), .server = server_, .address = address_, .what = what, .reason = reason});
}

Standing Endpoint::standing(TimePoint now) const {
    const auto admin = state->admin_state();
    if (admin == AdminState::down) return Standing::down;
    if (!state->active_up()) return Standing::unhealthy;
    if (admin == AdminState::drain || weight() == 0) return Standing::draining;
    const auto ejected_until = state->ejected_until();
    if (!ejected_until) return Standing::available;
    return now >= *ejected_until ? Standing::probe_due : Standing::ejected;
}

std::string Endpoint::reason(Standing standing) const {
    switch (standing) {
        case Standing::available: break;
        case Standing::probe_due:
        case Standing::ejected: return state->ejection_reason();
        case Standing::draining: return state->admin_state() == AdminState::drain ? by_operator : "weight 0";
        case Standing::unhealthy: return state->unhealthy_reason();
        case Standing::down: return by_operator;
    }
    return {};
}

}  // namespace nsboot_lb::upstream
