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

RelayPlan plan_of(Exchange& exchange, Attempt& attempt, http::BodySource& body) {
    const auto& config = *exchange.view->snapshot->config;
    RelayPlan plan;
    plan.source = &body;
    plan.sink = exchange.response;
    plan.scope = &attempt.scope();
    plan.source_limit = exchange.route->idle;
    plan.sink_limit = exchange.view->send_timeout;
    plan.least_rate = config.timeouts.min_rate;
    plan.most_unsent = config.limits.socket_buffer;
    plan.forward_trailers = exchange.request.accepts_trailers;
    plan.moved = &exchange.body_sent;
    return plan;
}

}  // namespace

net::Task<End> deliver(Worker& worker, Exchange& exchange, Attempt& attempt) {
    auto& head = worker.response_head;
    exchange.status = head.status;
    if (head.status == 101) {
        succeeded(worker, exchange, attempt);
        const auto end = co_await tunnel(worker, exchange, attempt);
        co_return end;
    }
    const bool has_body = http::has_body(exchange.request.method, head.status);
    exchange.response->start(start_of(worker, exchange, has_body));
    auto& body = attempt.begin_response_body(has_body);
    // Behind an interim response that the client has not taken yet nothing is read before a wait.
    if (exchange.response->holds()) body.hold();
    auto plan = plan_of(exchange, attempt, body);
    Bandwidth::Share share;
    if (exchange.route->entry->bandwidth) {
        body.hold();  // nothing of it may go before it is allowed
        share = exchange.route->entry->bandwidth->share_of(exchange.client_address);
        plan.bandwidth = &share;
    }
    Relay relay{worker, plan};
    auto end = relay.pump();
    if (!end) end = co_await relay.run();
    if (*end != RelayEnd::complete) {
        exchange.reason = reason_of(*end, attempt.scope());
        attempt.close(false);
        co_return End::cut_short;
    }
    succeeded(worker, exchange, attempt);
    attempt.give_back();  // or, where nobody needs the rest of the request (RFC 9112 9.6), closes it
    co_return End::complete;
}

}  // namespace nsboot_lb::forward
