#include "nsboot_lb/upstream/health.hpp"

#include <algorithm>

namespace nsboot_lb::upstream {

std::string_view to_string(Failure failure) {
    switch (failure) {
        case Failure::connect_refused: return "connection refused";
        case Failure::connect_timeout: return "connect timeout";
        case Failure::connect_failed: return "connect failed";
        case Failure::reset: return "connection reset";
        case Failure::timeout: return "timeout";
        case Failure::bad_status: return "bad status";
        case Failure::bad_body: return "unexpected body";
        case Failure::protocol: return "protocol error";
    }
    return "";
}

ActiveHealth::ActiveHealth(std::uint32_t rise, std::uint32_t fall, bool up)
    : rise_(std::max(rise, 1U)), fall_(std::max(fall, 1U)), up_(up) {}

bool ActiveHealth::success() {
    streak_ = up_ ? 0 : streak_ + 1;
    if (streak_ < rise_ || up_) return false;
    streak_ = 0;
    return up_ = true;
}

bool ActiveHealth::failure() {
    streak_ = up_ ? streak_ + 1 : 0;
    if (streak_ < fall_ || !up_) return false;
    streak_ = 0;
    up_ = false;
    return true;
}

PassiveHealth::PassiveHealth(PassivePolicy policy) : policy_(policy) {
    failures_.reserve(policy.max_fails);
}

PassiveHealth::Change PassiveHealth::set_policy(PassivePolicy policy) {
    if (policy == policy_) return Change::none;
    policy_ = policy;
    failures_.clear();
    oldest_ = 0;
    return policy.max_fails == 0 ? readmit() : Change::none;
}

PassiveHealth::Change PassiveHealth::success() {
    return probing_ ? readmit() : Change::none;
}

PassiveHealth::Change PassiveHealth::failure(TimePoint now) {
    if (policy_.max_fails == 0) return Change::none;
    if (out_) {
        if (probing_ || now >= probe_from_) eject(now);
        return Change::none;
    }
    note_failure(now);
    // The oldest of the last max_fails failures tells whether all of them fell within the window.
    if (failures_.size() < policy_.max_fails || now - failures_[oldest_] > policy_.fail_timeout) return Change::none;
    failures_.clear();
    oldest_ = 0;
    eject(now);
    return Change::ejected;
}

PassiveHealth::Change PassiveHealth::check_passed(TimePoint begun, CheckRhythm rhythm, TimePoint now) {
    if (!out_ || begun <= ejected_ || ++checks_passed_ < checks_needed(rhythm)) return Change::none;
    // On trial: of the failures that eject only the last is missing.
    for (std::uint32_t i = 1; i < policy_.max_fails; ++i) note_failure(now);
    return readmit();
}

std::uint64_t PassiveHealth::checks_needed(CheckRhythm rhythm) const {
    constexpr std::uint32_t most_doublings = 16;
    const std::uint64_t rise = std::max(rhythm.rise, 1U);
    const auto interval = std::max<std::chrono::nanoseconds>(rhythm.interval, std::chrono::milliseconds{1});
    const auto whole_time = static_cast<std::uint64_t>(policy_.fail_timeout / interval);
    return std::min(rise << std::min(ejections_ - 1, most_doublings), std::max(rise, whole_time));
}

bool PassiveHealth::claim_probe(TimePoint now) {
    if (!out_ || now < probe_from_) return false;
    stay_out(now);
    return probing_ = true;
}

void PassiveHealth::give_up_probe(TimePoint now) {
    if (!probing_) return;
    probing_ = false;
    probe_from_ = now;
}

PassiveHealth::Change PassiveHealth::readmit() {
    if (!out_) return Change::none;
    out_ = probing_ = false;
    return Change::readmitted;
}

void PassiveHealth::note_failure(TimePoint now) {
    if (failures_.size() < policy_.max_fails) {
        failures_.push_back(now);
        return;
    }
    failures_[oldest_] = now;
    oldest_ = (oldest_ + 1) % failures_.size();
}

void PassiveHealth::eject(TimePoint now) {
    constexpr int remembered = 10;
    ejections_ = ejections_ != 0 && now - ejected_ <= remembered * policy_.fail_timeout ? ejections_ + 1 : 1;
    ejected_ = now;
    checks_passed_ = 0;
    stay_out(now);
}

void PassiveHealth::stay_out(TimePoint now) {
    out_ = true;
    probing_ = false;
    probe_from_ = now + policy_.fail_timeout;
}

}  // namespace nsboot_lb::upstream
