#include "deliver.hpp"

#include <algorithm>

#include "answer.hpp"
#include "response_head.hpp"
#include "tunnel.hpp"

namespace nsboot_lb::forward {

using http::Framing;
using observe::Reason;

namespace {

/// A body that came whole with its head and is not larger is copied behind the head: one send of one piece.
constexpr std::size_t most_copied_bytes = 16 * 1024;

std::chrono::milliseconds idle_limit(const PoolView& pool, const http::ResponseHead& head) {
    auto limit = pool.idle_timeout->duration();
    // Half a second earlier than the server said, so that it is we who close.
    if (head.keep_alive_timeout_s)
        limit = std::min(limit, std::chrono::milliseconds{std::uint64_t{*head.keep_alive_timeout_s} * 1000} -
                                    std::chrono::milliseconds{500});
    return limit;
}

/// What decides about reuse, taken from the head before the scratch is anybody's again.
struct Reuse {
    bool allowed = false;
    std::chrono::milliseconds idle{};
};

Reuse reuse_of(const Worker& worker, const Attempt& attempt, const PoolView& pool, const http::ResponseHead& head) {
    const auto& keepalive = pool.pool->config().keepalive;
    const auto& connection = *attempt.connection;
    Reuse reuse;
    reuse.idle = idle_limit(pool, head);
    reuse.allowed = head.keep_alive && reuse.idle.count() > 0 &&
                    (keepalive.max_requests == 0 || connection.requests < keepalive.max_requests) &&
                    (keepalive.max_lifetime.count() == 0 || worker.now() - connection.opened < keepalive.max_lifetime);
    return reuse;
}

void give_back(Worker& worker, Exchange& exchange, Attempt& attempt, const Reuse& reuse) {
    auto& pool = *exchange.route->pool;
    attempt.connection->stream.read_deadline().disarm();
    // Bytes behind a complete response are nobody's: such a connection is out of step (RFC 9112 6.3).
    if (reuse.allowed && attempt.uploaded() && attempt.connection->input.empty()) {
        auto& list =
            reuse.idle == pool.idle_timeout->duration() ? *pool.idle_timeout : worker.deadlines.list(reuse.idle);
        attempt.endpoint_view.idle->give(std::move(attempt.connection), pool.most_idle, list);
    }
    attempt.connection.reset();
}

void succeeded(Worker& worker, Exchange& exchange, const Attempt& attempt) {
    exchange.upstream_duration = worker.now() - exchange.attempt_began;
    attempt.endpoint_view.counters->duration.observe(exchange.upstream_duration);
}

After cut_short(Exchange& exchange, Attempt& attempt, Reason reason) {
    exchange.reason = reason;
    attempt.connection.reset();
    return After::reset;
}

Reason reason_of(RelayEnd end) {
    switch (end) {
        case RelayEnd::source_truncated: return Reason::upstream_truncated;
        case RelayEnd::source_reset: return Reason::upstream_reset;
        case RelayEnd::source_malformed: return Reason::upstream_protocol;
        case RelayEnd::source_timed_out: return Reason::upstream_stalled;
        case RelayEnd::sink_timed_out:
        case RelayEnd::too_slow: return Reason::client_too_slow;
        default: return Reason::client_aborted;
    }
}

/// Sends the rest of a body after its first bytes went out with the head.
net::Task<RelayEnd> relay_rest(Worker& worker, Exchange& exchange, Attempt& attempt, http::h1::BodySource& source,
                               http::h1::BodySink& sink) {
    Bandwidth::Share share;
    RelayPlan plan;
    plan.source = &source;
    plan.sink = &sink;
    plan.source_limit = exchange.route->idle;
    plan.sink_limit = exchange.view->send_timeout;
    plan.least_rate = exchange.view->snapshot->config->timeouts.min_rate;
    plan.forward_trailers = exchange.request.accepts_trailers;
    plan.moved = &exchange.body_sent;
    if (exchange.route->entry->bandwidth) {
        share = exchange.route->entry->bandwidth->share_of(exchange.client_address);
        plan.bandwidth = &share;
    }
    const auto end = co_await relay(worker, plan);
    if (end == RelayEnd::cancelled && !attempt.client_gone) co_return RelayEnd::source_reset;
    co_return end;
}

/// Head and the first bytes of a body that needs no coding, often all of it, in one send. `last`: it is all of it, and
/// the connection is closed next.
net::Task<RelayEnd> send_with_head(Worker& worker, Exchange& exchange, std::string_view body, bool last) {
    auto& out = worker.response_out;
    exchange.head_sent += out.size();
    exchange.body_sent += body.size();
    std::array<iovec, 2> pieces{};
    std::size_t count = 1;
    if (body.size() <= most_copied_bytes)
        out.append(body);
    else
        pieces[count++] = {const_cast<char*>(body.data()), body.size()};
    auto head = out.text();
    if (last && count == 1) {
        const auto taken = exchange.client->stream.write_last(head);
        if (taken.status == net::IoStatus::failed) co_return RelayEnd::sink_failed;
        head.remove_prefix(taken.bytes);
        if (head.empty()) co_return RelayEnd::complete;
    }
    pieces[0] = {const_cast<char*>(head.data()), head.size()};
    const auto written =
        co_await net::write_all(exchange.client->stream, std::span{pieces}.first(count), *exchange.view->send_timeout);
    if (written.ok) co_return RelayEnd::complete;
    co_return written.timed_out ? RelayEnd::sink_timed_out : RelayEnd::sink_failed;
}

}  // namespace

net::Task<After> deliver(Worker& worker, Exchange& exchange, Attempt& attempt) {
    auto& head = worker.response_head;
    auto& connection = *attempt.connection;
    if (head.status == 101) {
        succeeded(worker, exchange, attempt);
        exchange.upgraded = worker.now();
        const auto after = co_await tunnel(worker, exchange, attempt);
        co_return after;
    }
    const auto reuse = reuse_of(worker, attempt, *exchange.route->pool, head);
    const auto framing = frame_for_client(worker, exchange, head, attempt.uploaded());
    const bool body = has_body(exchange.request.method, head.status);
    http::h1::BodySource source{connection.stream, connection.input};
    http::h1::BodySink sink{exchange.client->stream};
    source.begin(body ? head.framing : Framing::none, head.content_length, exchange.view->snapshot->response_limits);
    sink.begin(framing.framing);
    exchange.status = head.status;
    exchange.response_started = true;
    write_response_head(worker, exchange, head, framing, worker.response_out);

    auto rest = attempt.rest;
    if (attempt.head_in_input) connection.input.consume(head.size);  // what is behind it stays there
    // Bytes that go out as they came ride with the head, up to the end of the body.
    auto with_head = rest.substr(0, 0);
    if (source.plain() && sink.plain() && !exchange.route->entry->bandwidth) {
        with_head = rest.substr(
            0, source.decoder().framing() == Framing::length
                   ? static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), source.decoder().remaining()))
                   : rest.size());
        source.decoder().skip(with_head.size());
    }
    if (with_head.size() < rest.size()) connection.input.append(rest.substr(with_head.size()));
    const bool last = source.ended() && !framing.keep_alive && attempt.uploaded();
    auto end = co_await send_with_head(worker, exchange, with_head, last);
    if (end == RelayEnd::complete && !source.ended())
        end = co_await relay_rest(worker, exchange, attempt, source, sink);
    if (end != RelayEnd::complete) {
        co_await attempt.stop_upload();
        co_return cut_short(exchange, attempt, reason_of(end));
    }
    succeeded(worker, exchange, attempt);
    const bool uploaded = attempt.uploaded();
    if (!uploaded) co_await attempt.stop_upload();  // nobody needs the rest (RFC 9112 9.6)
    if (uploaded)
        give_back(worker, exchange, attempt, reuse);
    else
        attempt.connection.reset();
    if (framing.keep_alive) co_return After::keep;
    co_return uploaded ? After::close : After::linger;
}

}  // namespace nsboot_lb::forward
