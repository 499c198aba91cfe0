#include "nsboot_lb/upstream/wait_queue.hpp"

#include <algorithm>
#include <utility>

#include "nsboot_lb/upstream/balancer.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::upstream {

namespace {

/// Where no clock is at hand, ejections simply last.
constexpr TimePoint no_clock = TimePoint::min();

}  // namespace

WaitTicket::WaitTicket(const Pool& pool, std::span<const std::uint16_t> tried, std::function<void()> wake)
    : pool_(pool), tried_(tried), wake_(std::move(wake)) {}

WaitTicket::~WaitTicket() {
    pool_.state().queue.leave(*this);
}

std::optional<Admitted> WaitTicket::take() {
    const auto handed = pool_.state().queue.taken(*this);
    if (!handed) return std::nullopt;
    return Admitted{.endpoint = *handed, .slot = InFlight::adopt(pool_.endpoint(*handed))};
}

bool WaitTicket::outdated() const {
    auto& queue = pool_.state().queue;
    const std::scoped_lock lock(queue.mutex_);
    return outdated_;
}

bool WaitQueue::enter(WaitTicket& ticket, TimePoint now) {
    const std::scoped_lock lock(mutex_);
    if (size() >= ticket.pool_.config().queue_size) return false;
    link(ticket);
    serve_front(now);
    // The front may be waiting for a server that this one need not wait for.
    if (ticket.queued_ && !serve(ticket, now)) wake_if_outdated(ticket, now);
    return true;
}

void WaitQueue::slot_freed(const EndpointState& state) {
    const std::scoped_lock lock(mutex_);
    for (auto* ticket = first_; ticket != nullptr; ticket = ticket->behind_) {
        const auto index = ticket->pool_.index_of(state);
        if (!index || !ticket->pool_.admits(*index, ticket->tried_, no_clock)) continue;
        if (take_slot(ticket->pool_.endpoint(*index), no_clock)) hand(*ticket, *index);
        return;
    }
}

void WaitQueue::availability_changed(TimePoint now) {
    if (!busy()) return;
    const std::scoped_lock lock(mutex_);
    serve_front(now);
    for (auto* ticket = first_; ticket != nullptr;) {
        auto* const next = ticket->behind_;
        wake_if_outdated(*ticket, now);
        ticket = next;
    }
}

void WaitQueue::follow(const Pool& current) {
    std::unordered_map<std::uint64_t, std::uint32_t> limits;
    for (const auto& endpoint : current.endpoints()) limits.emplace(endpoint.id(), endpoint.max_connections);
    const std::scoped_lock lock(mutex_);
    current_ = &current;
    limits_.swap(limits);
}

bool WaitQueue::take_slot(const Endpoint& endpoint, TimePoint now) const {
    const bool probes = endpoint.standing(now) == Standing::probe_due;
    if (probes && !endpoint.state->claim_probe(now)) return false;
    const auto limit = limits_.find(endpoint.id());
    const bool taken = endpoint.state->try_begin(limit != limits_.end() ? limit->second : endpoint.max_connections);
    if (probes && !taken) endpoint.state->unclaim_probe(now);
    return taken;
}

void WaitQueue::wake_if_outdated(WaitTicket& ticket, TimePoint now) {
    if (current_ == nullptr || &ticket.pool_ == current_) return;
    const bool has_one = std::ranges::any_of(ticket.pool_.endpoints(), [&](const Endpoint& endpoint) {
        return limits_.contains(endpoint.id()) && tier_of(endpoint, endpoint.standing(now)) != Tier::closed &&
               std::ranges::find(ticket.tried_, endpoint.index) == ticket.tried_.end();
    });
    if (has_one) return;
    unlink(ticket);
    ticket.outdated_ = true;
    ticket.wake_();
}

void WaitQueue::serve_front(TimePoint now) {
    while (first_ != nullptr && serve(*first_, now)) {
    }
}

bool WaitQueue::serve(WaitTicket& ticket, TimePoint now) {
    for (const auto& endpoint : ticket.pool_.endpoints()) {
        if (!ticket.pool_.admits(endpoint.index, ticket.tried_, now) || !take_slot(endpoint, now)) continue;
        hand(ticket, endpoint.index);
        return true;
    }
    return false;
}

void WaitQueue::hand(WaitTicket& ticket, std::size_t endpoint) {
    unlink(ticket);
    ticket.handed_ = endpoint;
    ticket.wake_();
}

std::optional<std::size_t> WaitQueue::taken(WaitTicket& ticket) {
    const std::scoped_lock lock(mutex_);
    return std::exchange(ticket.handed_, std::nullopt);
}

void WaitQueue::leave(WaitTicket& ticket) {
    std::optional<std::size_t> unused;
    {
        const std::scoped_lock lock(mutex_);
        if (ticket.queued_) unlink(ticket);
        unused = std::exchange(ticket.handed_, std::nullopt);
    }
    if (!unused) return;
    const auto& state = ticket.pool_.endpoint(*unused).state;
    state->report_nothing(std::chrono::steady_clock::now());  // the slot may have been for a probe
    // Outside the lock, for it comes back here as slot_freed().
    state->end();
}

void WaitQueue::link(WaitTicket& ticket) {
    ticket.before_ = last_;
    ticket.behind_ = nullptr;
    (last_ != nullptr ? last_->behind_ : first_) = &ticket;
    last_ = &ticket;
    ticket.queued_ = true;
    // Before looking for a free slot; see EndpointState::end().
    waiting_.fetch_add(1, std::memory_order_seq_cst);
}

void WaitQueue::unlink(WaitTicket& ticket) {
    (ticket.before_ != nullptr ? ticket.before_->behind_ : first_) = ticket.behind_;
    (ticket.behind_ != nullptr ? ticket.behind_->before_ : last_) = ticket.before_;
    ticket.queued_ = false;
    waiting_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace nsboot_lb::upstream
