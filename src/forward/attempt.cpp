#include "attempt.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "nsboot_lb/http/h1/parse.hpp"

namespace nsboot_lb::forward {

using observe::Reason;
using upstream::Failure;
using upstream::Outcome;

namespace {

using namespace std::chrono_literals;

/// RFC 9110 15.2: any number of interim responses may come; more than this is an attack or a defect.
constexpr int most_interim_responses = 16;
/// A server that had closed an idle connection is heard of at once. One that breaks it later has worked on the request.
constexpr auto most_stale_delay = 1s;
/// Different times that idle connections of a pool are kept.
constexpr int most_idle_limits = 64;

Tried failure(Outcome outcome, Failure kind, int status, Reason reason) {
    Tried result;
    result.request_sent = outcome != Outcome::not_connected;
    result.outcome = outcome;
    result.failure = kind;
    result.status = status;
    result.reason = reason;
    return result;
}

Tried cancelled() {
    Tried result;
    result.cancelled = true;
    return result;
}

Tried not_connected(const upstream::Connected& connected) {
    if (connected.cancelled) return cancelled();
    if (connected.own_fault) {
        auto result = failure(Outcome::not_connected, connected.failure, 503, Reason::no_descriptors);
        result.own_fault = true;
        result.no_ports = connected.error == EADDRNOTAVAIL;
        return result;
    }
    switch (connected.failure) {
        case Failure::connect_timeout:
            return failure(Outcome::not_connected, connected.failure, 504, Reason::connect_timeout);
        case Failure::connect_refused:
            return failure(Outcome::not_connected, connected.failure, 502, Reason::connect_refused);
        default: return failure(Outcome::not_connected, connected.failure, 502, Reason::connect_failed);
    }
}

Tried timed_out(Reason reason) {
    return failure(Outcome::timeout, Failure::timeout, 504, reason);
}

Tried protocol_error(Reason reason = Reason::upstream_protocol) {
    if (reason == Reason::none) reason = Reason::upstream_protocol;
    return failure(Outcome::reset, Failure::protocol, 502, reason);
}

}  // namespace

Attempt::Attempt(Worker& worker, const AttemptPlan& plan, std::size_t endpoint_index, upstream::InFlight slot,
                 net::Scope& outer)
    : worker_(worker),
      plan_(plan),
      endpoint_(plan.pool.pool->endpoint(endpoint_index)),
      view_(plan.pool.endpoints[endpoint_index]),
      slot_(std::move(slot)),
      began_(worker.now()),
      scope_(outer) {
    view_.counters->connections_active.add();
}

bool Attempt::take_idle() {
    auto connection = view_.idle->take(worker_.now());
    if (!connection) return false;
    // What must not be sent twice, or cannot be, gets a connection that is certainly open, as far as can be known.
    const bool can_be_sent_again = plan_.repeatable && plan_.body == nullptr;
    if (!can_be_sent_again && !connection->stream.quiet()) return false;
    connection_ = std::move(connection);
    view_.counters->reused.add();
    return true;
}

net::Task<std::optional<Tried>> Attempt::connect() {
    auto connected = co_await upstream::connect(worker_.reactor, scope_, endpoint_, *plan_.connect);
    if (!connected.connection) co_return not_connected(connected);
    view_.counters->opened.add();
    view_.counters->connect_duration.observe(worker_.now() - began_);
    connection_ = std::move(connected.connection);
    co_return std::nullopt;
}

std::optional<Tried> Attempt::send_head() {
    ++connection_->requests;
    plan_.owner.write_head(endpoint_, worker_.request_out);
    const auto head = worker_.request_out.text();
    const auto written = connection_->stream.try_write(head);
    head_is_sent();
    if (written.status == net::IoStatus::failed) return broken(Reason::upstream_reset);
    if (written.bytes < head.size()) unsent_ = head.substr(written.bytes);
    return std::nullopt;
}

net::Task<std::optional<Tried>> Attempt::send_rest() {
    const auto rest = std::exchange(unsent_, {});
    const auto written = co_await net::write_all(connection_->stream, scope_, rest, *plan_.idle);
    head_is_sent();
    if (written.ok) co_return std::nullopt;
    if (written.cancelled) co_return cancelled();
    co_return written.timed_out ? timed_out(Reason::upstream_stalled) : broken(Reason::upstream_reset);
}

/// The server's time to answer begins here, unless it is to get a body first that waits for nothing.
void Attempt::head_is_sent() {
    sent_ = worker_.now();
    awaits_head_ = true;
    body_waits_ = plan_.body_waits;
    if (plan_.body == nullptr || body_waits_) readable().deadline().arm(*plan_.response);
}

net::Task<RelayEnd> Attempt::upload() {
    writer_.emplace(connection_->stream, *worker_.scratch);
    writer_->begin(plan_.body_framing);
    RelayPlan plan;
    plan.source = plan_.body;
    plan.sink = &*writer_;
    plan.scope = &upload_scope_;
    plan.source_limit = plan_.body_timeout;
    plan.sink_limit = plan_.idle;
    plan.client_is_source = true;
    plan.source_waits = &body_waits_;
    plan.least_rate = plan_.least_rate;
    plan.most_bytes = plan_.most_body;
    plan.moved = plan_.uploaded;
    Relay relay{worker_, plan};
    auto end = relay.pump();
    if (!end) end = co_await relay.run();
    upload_end_ = *end;
    sent_ = worker_.now();
    if (awaits_head_) {
        // A server that refuses an upload answers and closes: what it said is still to be read.
        if (upload_failed())
            connection_->stream.readable().nudge();
        else if (*end != RelayEnd::cancelled)
            connection_->stream.readable().deadline().arm(*plan_.response);
    }
    co_return *end;
}

std::optional<Tried> Attempt::upload_failed() const {
    if (!upload_end_) return std::nullopt;
    Tried result = cancelled();
    switch (*upload_end_) {
        case RelayEnd::complete:
        case RelayEnd::sink_failed: return std::nullopt;
        case RelayEnd::source_malformed: result.status = 400, result.reason = Reason::bad_chunk; break;
        case RelayEnd::too_large: result.status = 413, result.reason = Reason::body_too_large; break;
        case RelayEnd::source_timed_out: result.status = 408, result.reason = Reason::body_timeout; break;
        case RelayEnd::too_slow: result.status = 408, result.reason = Reason::client_too_slow; break;
        case RelayEnd::sink_timed_out: return timed_out(Reason::upstream_stalled);
        case RelayEnd::source_truncated:
        case RelayEnd::source_reset:
        case RelayEnd::cancelled: return result;  // the client is gone
    }
    result.cancelled = false;
    result.client_fault = true;
    return result;
}

/// The connection broke before a response began. On one that had been idle the server may just have closed it.
Tried Attempt::broken(Reason reason) const {
    const bool stale = connection_->reused() && worker_.now() - sent_ < most_stale_delay;
    return failure(stale ? Outcome::stale_idle : Outcome::reset, Failure::reset, 502, reason);
}

Attempt::HeadRead Attempt::look_at(std::string_view text, http::HeadError& error) {
    auto& head = worker_.response_head;
    switch (http::h1::parse_response(text, plan_.response_limits, head, worker_.mended_head, error)) {
        case http::h1::Parsed::incomplete: return HeadRead::incomplete;
        case http::h1::Parsed::failed: return HeadRead::failed;
        case http::h1::Parsed::complete: break;
    }
    if (head.status != 101) return head.status < 200 ? HeadRead::interim : HeadRead::final_head;
    return plan_.websocket && head.upgrade == http::UpgradeKind::websocket ? HeadRead::final_head : HeadRead::failed;
}

/// What was received, with what was there before in front of it.
std::string_view Attempt::received(std::string_view bytes) {
    auto& input = connection_->input;
    head_in_input_ = !input.empty();
    if (!head_in_input_) return bytes;
    input.append(bytes);
    return input.view();
}

/// Keeps `text` over the next wait.
void Attempt::keep(std::string_view text) {
    if (!head_in_input_) connection_->input.append(text);
}

std::optional<Tried> Attempt::try_read_head(net::Ready ready) {
    if (const auto failed = upload_failed()) return failed;
    if (ready == net::Ready::cancelled) return cancelled();
    if (ready == net::Ready::timed_out && !body_has_begun()) return timed_out(Reason::upstream_timeout);
    if (ready == net::Ready::timed_out) {
        readable().deadline().disarm();  // until the body has ended: see upload()
        return std::nullopt;
    }
    return read_more();
}

/// A body that was to wait for a 100 came without one.
bool Attempt::body_has_begun() const {
    return body_waits_ && !upload_end_ && *plan_.uploaded != 0;
}

/// The server has said that the body may come: from now on that is the client's to do.
void Attempt::on_continue() {
    if (!std::exchange(body_waits_, false) || upload_end_) return;
    readable().deadline().disarm();
    plan_.body->readable().deadline().arm(*plan_.body_timeout);
}

std::optional<Tried> Attempt::read_more() {
    const auto result = connection_->stream.try_read(worker_.scratch->bytes);
    if (result.status == net::IoStatus::would_block) return std::nullopt;
    if (result.status != net::IoStatus::ok) {
        if (begun_) return failure(Outcome::reset, Failure::reset, 502, Reason::upstream_closed);
        return broken(result.status == net::IoStatus::end ? Reason::upstream_closed : Reason::upstream_reset);
    }
    return take_head(received({worker_.scratch->bytes.data(), result.bytes}));
}

/// Looks at what was received so far, interim responses and all.
std::optional<Tried> Attempt::take_head(std::string_view text) {
    http::HeadError error;
    for (;;) {
        switch (look_at(text, error)) {
            case HeadRead::failed: return protocol_error(error.reason);
            case HeadRead::incomplete:
                keep(text);
                begun_ = !text.empty();
                return std::nullopt;
            case HeadRead::final_head: return head_is_there(text);
            case HeadRead::interim: break;
        }
        if (++interim_ > most_interim_responses) return protocol_error();
        if (!plan_.owner.on_interim(worker_.response_head)) return cancelled();
        if (worker_.response_head.status == 100) on_continue();
        const auto size = worker_.response_head.size;
        text.remove_prefix(size);
        if (head_in_input_) {
            connection_->input.consume(size);
            text = connection_->input.view();
        }
    }
}

Tried Attempt::head_is_there(std::string_view text) {
    awaits_head_ = false;
    readable().deadline().disarm();
    // What a server says to nobody in particular when it closes an idle connection (RFC 9110 15.5.9).
    if (worker_.response_head.status == 408 && plan_.body == nullptr) {
        if (const auto stale = broken(Reason::upstream_closed); stale.outcome == Outcome::stale_idle) return stale;
    }
    if (!head_in_input_) rest_ = text.substr(worker_.response_head.size);
    note_reuse();
    Tried done;
    done.has_head = true;
    done.request_sent = true;
    done.outcome = Outcome::status;
    return done;
}

/// What decides about reuse, taken from the head before it is anybody's again.
void Attempt::note_reuse() {
    const auto& head = worker_.response_head;
    const auto& keepalive = plan_.pool.pool->config().keepalive;
    const auto configured = plan_.pool.idle_timeout->duration();
    auto limit = configured;
    // Half a second earlier than the server said, so that it is we who close.
    if (head.keep_alive_timeout_s)
        limit = std::min(limit, std::chrono::milliseconds{std::uint64_t{*head.keep_alive_timeout_s} * 1000} - 500ms);
    if (keepalive.max_lifetime.count() != 0) {
        const auto age = std::chrono::ceil<std::chrono::milliseconds>(worker_.now() - connection_->opened);
        limit = std::min(limit, keepalive.max_lifetime - age);
        connection_->dies_at = connection_->opened + keepalive.max_lifetime;
    }
    // There is a list for each duration, so there may not be any number of them.
    const auto step = std::max(configured / most_idle_limits, std::chrono::milliseconds{10});
    idle_limit_ = limit == configured ? limit : limit / step * step;
    reusable_ = head.keep_alive && idle_limit_.count() > 0 &&
                (keepalive.max_requests == 0 || connection_->requests < keepalive.max_requests);
}

http::h1::BodyReader& Attempt::begin_response_body(bool has_body) {
    const auto& head = worker_.response_head;
    if (head_in_input_) connection_->input.consume(head.size);  // what is behind it stays there
    auto& body = response_body_.emplace(connection_->stream, connection_->input, *worker_.scratch);
    body.begin(has_body ? head.framing : http::Framing::none, head.content_length, plan_.response_limits, rest_);
    if (!has_body) body.hold();
    return body;
}

void Attempt::give_back() {
    auto& pool = plan_.pool;
    // Bytes behind a complete response are nobody's: such a connection is out of step (RFC 9112 6.3).
    if (reusable_ && uploaded() && connection_->input.empty()) {
        auto& list =
            idle_limit_ == pool.idle_timeout->duration() ? *pool.idle_timeout : worker_.deadlines.list(idle_limit_);
        view_.idle->give(std::move(connection_), pool.most_idle, list);
    } else {
        close(false);
    }
}

void Attempt::close(bool reset) {
    stop_upload();
    if (connection_) connection_->stream.close(reset);
}

}  // namespace nsboot_lb::forward
