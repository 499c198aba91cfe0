#include "attempt.hpp"

#include "nsboot_lb/http/h1/parse.hpp"
#include "request_head.hpp"
#include "response_head.hpp"

namespace nsboot_lb::forward {

using observe::Reason;
using upstream::Failure;
using upstream::Outcome;

namespace {

/// RFC 9110 15.2: any number of interim responses may come; more than this is an attack or a defect.
constexpr int most_interim_responses = 16;

Started failed(Outcome outcome, Failure failure, int status, Reason reason) {
    Started result;
    result.request_sent = outcome != Outcome::not_connected;
    result.outcome = outcome;
    result.failure = failure;
    result.status = status;
    result.reason = reason;
    return result;
}

Started client_left() {
    Started result;
    result.client_gone = true;
    result.reason = Reason::client_aborted;
    return result;
}

Started connect_failed(Failure failure) {
    switch (failure) {
        case Failure::connect_timeout: return failed(Outcome::not_connected, failure, 504, Reason::connect_timeout);
        case Failure::connect_refused: return failed(Outcome::not_connected, failure, 502, Reason::connect_refused);
        default: return failed(Outcome::not_connected, failure, 502, Reason::connect_failed);
    }
}

/// The connection broke before a response began. On one that had been idle the server may just have closed it.
Started broken(const Attempt& attempt, Reason reason) {
    const auto outcome = attempt.connection->reused() ? Outcome::stale_idle : Outcome::reset;
    return failed(outcome, Failure::reset, 502, reason);
}

/// Why the upload stopped, where that and not the server ended the try.
Started upload_stopped(RelayEnd end) {
    Started result = client_left();
    switch (end) {
        case RelayEnd::source_malformed: result.status = 400, result.reason = Reason::bad_chunk; break;
        case RelayEnd::too_large: result.status = 413, result.reason = Reason::body_too_large; break;
        case RelayEnd::source_timed_out: result.status = 408, result.reason = Reason::body_timeout; break;
        case RelayEnd::too_slow: result.status = 408, result.reason = Reason::client_too_slow; break;
        case RelayEnd::sink_timed_out: return failed(Outcome::timeout, Failure::timeout, 504, Reason::upstream_stalled);
        default: return result;
    }
    result.client_gone = false;
    result.client_fault = true;
    return result;
}

void prepare_body(Exchange& exchange, Attempt& attempt) {
    const auto& request = exchange.request;
    attempt.request_body.emplace(exchange.client->stream, exchange.client->input);
    attempt.request_body->begin(request.framing, request.content_length, exchange.view->snapshot->request_limits);
    attempt.request_sink.emplace(attempt.connection->stream);
    attempt.request_sink->begin(request.framing);
}

/// Relays the request's body. The server's time to answer begins when it has all of it, or takes no more.
net::Task<RelayEnd> upload_body(Worker& worker, Exchange& exchange, Attempt& attempt) {
    RelayPlan plan;
    plan.source = &*attempt.request_body;
    plan.sink = &*attempt.request_sink;
    plan.source_limit = exchange.view->body_timeout;
    plan.sink_limit = exchange.route->idle;
    plan.client_is_source = true;
    plan.least_rate = exchange.view->snapshot->config->timeouts.min_rate;
    if (exchange.request.framing == http::Framing::chunked) plan.most_bytes = exchange.route->entry->max_body;
    plan.stop = &attempt.upload_stopped;
    plan.moved = &exchange.body_received;
    exchange.request_body_started = true;
    const auto end = co_await relay(worker, plan);
    exchange.request_body_ended = attempt.request_body->ended();
    if (!attempt.awaits_head) co_return end;
    // A server that refuses an upload answers and closes: what it said is still to be read.
    if (end == RelayEnd::complete || end == RelayEnd::sink_failed)
        attempt.connection->stream.read_deadline().arm(*exchange.route->response);
    else if (end != RelayEnd::cancelled)
        attempt.connection->stream.cancel_read();
    co_return end;
}

/// An idle connection, or a new one.
net::Task<Started> get_connection(Worker& worker, Exchange& exchange, Attempt& attempt, bool fresh_connection) {
    auto& view = attempt.endpoint_view;
    if (!fresh_connection) attempt.connection = view.idle->take();
    // What must not be sent twice gets a connection that is certainly open, as far as can be known.
    if (attempt.connection && !upstream::may_repeat(exchange.request.method_text) &&
        !attempt.connection->stream.quiet())
        attempt.connection.reset();
    if (attempt.connection) {
        view.counters->reused.add();
        co_return Started{};
    }
    const auto began = worker.now();
    auto connected =
        co_await upstream::connect(worker.reactor, attempt.endpoint, *exchange.route->connect, &attempt.connecting);
    if (connected.cancelled) co_return client_left();
    if (!connected.connection) co_return connect_failed(connected.failure);
    view.counters->opened.add();
    view.counters->connect_duration.observe(worker.now() - began);
    attempt.connection = std::move(connected.connection);
    co_return Started{};
}

/// Passes an interim response on to those who can take it (RFC 9110 15.2).
net::Task<bool> send_interim(Worker& worker, Exchange& exchange) {
    const auto& head = worker.response_head;
    if (exchange.request.minor_version == 0) co_return true;
    // A 100 that was not asked for would only confuse; to a boot client it is fatal.
    if (head.status == 100 && !exchange.request.expect_continue) co_return true;
    write_interim_head(worker, head, worker.response_out);
    const iovec whole{const_cast<char*>(worker.response_out.text().data()), worker.response_out.size()};
    exchange.head_sent += whole.iov_len;
    const auto written =
        co_await net::write_all(exchange.client->stream, std::span{&whole, 1}, *exchange.view->send_timeout);
    co_return written.ok;
}

enum class HeadRead : std::uint8_t { final_head, interim, incomplete, failed };

/// Looks at what was received. An interim head is taken off the text.
HeadRead look_at(Worker& worker, const Exchange& exchange, std::string_view text, http::HeadError& error) {
    auto& head = worker.response_head;
    switch (http::h1::parse_response(text, exchange.view->snapshot->response_limits, head, worker.mended_head, error)) {
        case http::h1::Parsed::incomplete: return HeadRead::incomplete;
        case http::h1::Parsed::failed: return HeadRead::failed;
        case http::h1::Parsed::complete: break;
    }
    if (head.status != 101) return head.status < 200 ? HeadRead::interim : HeadRead::final_head;
    const bool asked = exchange.request.upgrade == http::UpgradeKind::websocket;
    return asked && head.upgrade == http::UpgradeKind::websocket ? HeadRead::final_head : HeadRead::failed;
}

/// The wait for the head ended without anything to read.
net::Task<Started> unreadable(Attempt& attempt, net::Ready ready) {
    if (attempt.client_gone) co_return client_left();
    if (ready == net::Ready::timed_out)
        co_return failed(Outcome::timeout, Failure::timeout, 504, Reason::upstream_timeout);
    if (!attempt.upload || !attempt.upload->done()) co_return client_left();
    const auto end = co_await attempt.upload->finished();
    attempt.upload.reset();
    co_return upload_stopped(end);
}

/// What was received, with what was there before in front of it.
std::string_view gather(Attempt& attempt, std::string_view received) {
    auto& input = attempt.connection->input;
    attempt.head_in_input = !input.empty();
    if (!attempt.head_in_input) return received;
    input.append(received);
    return input.view();
}

/// Keeps `text` over the next wait.
void keep(Attempt& attempt, std::string_view text) {
    if (!attempt.head_in_input) attempt.connection->input.append(text);
}

/// Reads until a final response head is there. In the usual case it comes in one piece and is parsed where it was read.
net::Task<Started> read_head(Worker& worker, Exchange& exchange, Attempt& attempt) {
    auto& stream = attempt.connection->stream;
    auto& input = attempt.connection->input;
    bool begun = false;
    for (int interim = 0; interim <= most_interim_responses;) {
        std::string_view text = input.view();
        attempt.head_in_input = true;
        if (text.empty() || begun) {
            const auto ready = co_await stream.readable();
            if (ready != net::Ready::ok) {
                auto stopped = co_await unreadable(attempt, ready);
                co_return stopped;
            }
            const auto result = stream.read_some(worker.scratch->bytes);
            if (result.status == net::IoStatus::would_block) continue;
            if (result.status != net::IoStatus::ok) {
                if (begun) co_return failed(Outcome::reset, Failure::reset, 502, Reason::upstream_closed);
                const bool closed = result.status == net::IoStatus::end;
                co_return broken(attempt, closed ? Reason::upstream_closed : Reason::upstream_reset);
            }
            text = gather(attempt, {worker.scratch->bytes.data(), result.bytes});
        }
        http::HeadError error;
        switch (look_at(worker, exchange, text, error)) {
            case HeadRead::failed: {
                const auto reason = error.reason == Reason::none ? Reason::upstream_protocol : error.reason;
                co_return failed(Outcome::reset, Failure::protocol, 502, reason);
            }
            case HeadRead::incomplete:
                keep(attempt, text);
                begun = true;  // read more before looking again
                continue;
            case HeadRead::final_head: {
                if (!attempt.head_in_input) attempt.rest = text.substr(worker.response_head.size);
                Started done;
                done.has_head = true;
                done.request_sent = true;
                done.outcome = Outcome::status;
                co_return done;
            }
            case HeadRead::interim: break;
        }
        ++interim;
        keep(attempt, text);  // sending may wait, and the scratch is not ours meanwhile
        const auto size = worker.response_head.size;
        const bool sent = co_await send_interim(worker, exchange);
        if (!sent) co_return client_left();
        input.consume(size);
        begun = false;
    }
    co_return failed(Outcome::reset, Failure::protocol, 502, Reason::upstream_protocol);
}

}  // namespace

Attempt::Attempt(Worker& worker, Exchange& exchange, std::size_t endpoint_index, upstream::InFlight taken)
    : endpoint(exchange.route->pool->pool->endpoint(endpoint_index)),
      endpoint_view(exchange.route->pool->endpoints[endpoint_index]),
      slot(std::move(taken)) {
    exchange.server = endpoint.server;
    exchange.attempt_began = worker.now();
    ++exchange.attempts;
    endpoint_view.counters->connections_active.add();
}

void Attempt::cancel() {
    if (connecting.stream != nullptr) connecting.stream->cancel();
    if (connection && connection->stream.is_open()) connection->stream.cancel();
}

net::Task<void> Attempt::stop_upload() {
    if (!upload) co_return;
    upload_stopped = true;
    request_body->stream().cancel_read();
    if (connection) connection->stream.cancel();
    (void)co_await upload->finished();
    upload.reset();
}

net::Task<Started> start(Worker& worker, Exchange& exchange, Attempt& attempt, bool fresh_connection) {
    auto connected = co_await get_connection(worker, exchange, attempt, fresh_connection);
    if (!attempt.connection) co_return connected;
    auto& stream = attempt.connection->stream;
    ++attempt.connection->requests;

    write_request_head(worker, exchange, attempt.endpoint, worker.request_out);
    const iovec head{const_cast<char*>(worker.request_out.text().data()), worker.request_out.size()};
    const auto written = co_await net::write_all(stream, std::span{&head, 1}, *exchange.route->idle);
    if (!written.ok) {
        if (attempt.client_gone) co_return client_left();
        if (written.timed_out) co_return failed(Outcome::timeout, Failure::timeout, 504, Reason::upstream_stalled);
        co_return broken(attempt, Reason::upstream_reset);
    }
    if (exchange.request.framing != http::Framing::none) {
        prepare_body(exchange, attempt);
        attempt.awaits_head = true;
        attempt.upload.emplace(upload_body(worker, exchange, attempt));
        attempt.upload->start();
        if (attempt.upload->done() && !stream.read_deadline().armed()) {
            // Over before read_head() began to wait: nobody was there to be told.
            const auto end = co_await attempt.upload->finished();
            attempt.upload.reset();
            co_return upload_stopped(end);
        }
    } else {
        stream.read_deadline().arm(*exchange.route->response);
    }
    auto started = co_await read_head(worker, exchange, attempt);
    attempt.awaits_head = false;
    stream.read_deadline().disarm();
    co_return started;
}

net::Task<void> abandon(Attempt& attempt) {
    co_await attempt.stop_upload();
    attempt.connection.reset();
}

}  // namespace nsboot_lb::forward
