#include "deliver.hpp"

#include "tunnel.hpp"

namespace nsboot_lb::forward {

using observe::Reason;

namespace {

void succeeded(Worker& worker, Exchange& exchange, const Attempt& attempt) {
    exchange.upstream_duration = worker.now() - attempt.began();
    attempt.counters().duration.observe(exchange.upstream_duration);
}

Reason reason_of(RelayEnd end, const net::Scope& scope) {
    switch (end) {
        case RelayEnd::source_truncated: return Reason::upstream_truncated;
        case RelayEnd::source_reset: return Reason::upstream_reset;
        case RelayEnd::source_malformed: return Reason::upstream_protocol;
        case RelayEnd::source_timed_out: return Reason::upstream_stalled;
        case RelayEnd::sink_timed_out:
        case RelayEnd::too_slow: return Reason::client_too_slow;
        case RelayEnd::cancelled: return ended_because(scope);
        default: return Reason::client_aborted;
    }
}

http::ResponseStart start_of(Worker& worker, const Exchange& exchange, bool has_body) {
    const auto& head = worker.response_head;
    const auto settled = [&](http::FieldId id) {
        return exchange.settled_response_fields[static_cast<std::size_t>(id)];
    };
    http::ResponseStart start{.head = head, .additions = exchange.response_additions, .has_body = has_body};
    if (!settled(http::FieldId::via)) start.via = worker.pseudonym;
    if (!head.has_date && !settled(http::FieldId::date)) start.date = worker.date.at(worker.wall_now());
    return start;
}

}  // namespace

RelayPlan Delivery::plan_of(http::BodySource& body) {
    const auto& config = *exchange_.view->snapshot->config;
    RelayPlan plan;
    plan.source = &body;
    plan.sink = exchange_.response;
    plan.scope = &attempt_.scope();
    plan.source_limit = exchange_.route->idle;
    plan.sink_limit = exchange_.view->send_timeout;
    plan.least_rate = config.timeouts.min_rate;
    plan.most_unsent = config.limits.socket_buffer;
    plan.forward_trailers = exchange_.request.accepts_trailers;
    plan.moved = &exchange_.body_sent;
    return plan;
}

std::optional<End> Delivery::try_deliver() {
    const auto& head = worker_.response_head;
    exchange_.status = head.status;
    if (head.status == 101) return std::nullopt;
    const bool has_body = http::has_body(exchange_.request.method, head.status);
    exchange_.response->start(start_of(worker_, exchange_, has_body));
    auto& body = attempt_.begin_response_body(has_body);
    // Behind an interim response that the client has not taken yet nothing is read before a wait.
    if (exchange_.response->holds()) body.hold();
    auto plan = plan_of(body);
    if (exchange_.route->entry->bandwidth) {
        body.hold();  // nothing of it may go before it is allowed
        plan.bandwidth = &share_.emplace(exchange_.route->entry->bandwidth->share_of(exchange_.client_address));
    }
    const auto end = relay_.emplace(worker_, plan).pump();
    if (!end) return std::nullopt;
    return finish(*end);
}

net::Task<End> Delivery::deliver() {
    if (!relay_) {
        succeeded(worker_, exchange_, attempt_);
        const auto end = co_await tunnel(worker_, exchange_, attempt_);
        co_return end;
    }
    const auto end = co_await relay_->run();
    co_return finish(end);
}

End Delivery::finish(RelayEnd end) {
    if (end != RelayEnd::complete) {
        exchange_.reason = reason_of(end, attempt_.scope());
        attempt_.close(false);
        return End::cut_short;
    }
    succeeded(worker_, exchange_, attempt_);
    attempt_.give_back();  // or, where nobody needs the rest of the request (RFC 9112 9.6), closes it
    return End::complete;
}

}  // namespace nsboot_lb::forward
