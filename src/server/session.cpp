#include "session.hpp"

#include <algorithm>
#include <utility>

#include "client_watch.hpp"
#include "nsboot_lb/forward/end_tunnel.hpp"
#include "nsboot_lb/forward/serve.hpp"
#include "nsboot_lb/http/h1/parse.hpp"
#include "nsboot_lb/net/proxy_protocol.hpp"
#include "worker_thread.hpp"

namespace nsboot_lb::server {

using net::IoStatus;
using net::Ready;

namespace {

/// RFC 9112 9.6: how long a client that may still be sending is read from, so that it gets to see the answer.
constexpr std::chrono::milliseconds linger_time{5000};

/// Gives the exchange back to its worker whatever happens.
class ExchangeLease {
  public:
    explicit ExchangeLease(forward::Worker& worker) : worker_(worker), exchange_(worker.take_exchange()) {}
    ~ExchangeLease() { worker_.give_exchange(std::move(exchange_)); }
    ExchangeLease(const ExchangeLease&) = delete;
    ExchangeLease& operator=(const ExchangeLease&) = delete;
    forward::Exchange& operator*() { return *exchange_; }

  private:
    forward::Worker& worker_;
    std::unique_ptr<forward::Exchange> exchange_;
};

/// While it lives, the session is of no use to anybody, and may have to make room: it waits for a request, or for the
/// rest of what is not one yet, or reads what nobody wants. The time counts from its beginning, not from the last byte.
class Idle {
  public:
    Idle(WorkerThread& thread, Session& session) : thread_(thread), session_(session) { thread_.note_idle(session_); }
    ~Idle() { thread_.note_busy(session_); }
    Idle(const Idle&) = delete;
    Idle& operator=(const Idle&) = delete;

  private:
    WorkerThread& thread_;
    Session& session_;
};

}  // namespace

Session::Session(WorkerThread& thread, const Accepted& accepted)
    : admitted(accepted.admitted),
      thread_(thread),
      stream_(thread.worker().reactor),
      proxy_protocol_(accepted.proxy_protocol) {
    client_.counters = accepted.counters;
    set_client(accepted.peer);
    stream_.open(accepted.descriptor, true, true);  // takes the descriptor, so nothing may fail behind it
}

void Session::set_client(const base::IpAddress& address) {
    client_.address = address;
    const auto text = address.text();
    client_.address_size =
        static_cast<std::uint8_t>(text.copy(client_.address_text.data(), client_.address_text.size()));
}

void Session::end_tunnel() {
    if (exchange_ != nullptr) forward::end_tunnel(*exchange_);
}

bool Session::is_tunnel() const {
    return exchange_ != nullptr && exchange_->tunnel != nullptr;
}

net::Task<void> Session::run() {
    if (proxy_protocol_) {
        const bool known = co_await read_proxy_header();
        if (!known) co_return;
    }
    if (!thread_.admit_client(*this)) co_return;
    for (;;) {
        if (input_.empty() && !stream_.has_input()) {
            auto& worker = thread_.worker();
            if (worker.draining && thread_.closes_idle()) co_return;
            const Idle idle{thread_, *this};
            auto& deadline = stream_.readable().deadline();
            deadline.arm(*worker.view->idle_timeout);
            const auto ready = co_await stream_.readable().wait(scope_);
            deadline.disarm();
            if (ready != Ready::ok) co_return;
        } else if (thread_.worker().reactor.turn_over()) {
            // Requests that never have to wait, pipelined and answered here, would keep the worker to themselves.
            net::Yield others{thread_.worker().reactor, scope_};
            if (const auto ready = co_await others; ready != Ready::ok) co_return;
        }
        const auto then = co_await serve_one();
        if (then == Then::next) continue;
        if (then == Then::reset) stream_.close(true);
        if (then == Then::linger) co_await linger();
        co_return;
    }
}

net::Task<bool> Session::read_proxy_header() {
    auto& worker = thread_.worker();
    const Idle idle{thread_, *this};
    auto& deadline = stream_.readable().deadline();
    deadline.arm(*worker.view->handshake_timeout);
    for (;;) {
        const auto ready = co_await stream_.readable().wait(scope_);
        if (ready != Ready::ok) co_return false;
        const auto result = stream_.try_read(std::span{worker.scratch->bytes}.first(net::max_proxy_v2_size));
        if (result.status == IoStatus::would_block) continue;
        if (result.status != IoStatus::ok) co_return false;
        input_.append({worker.scratch->bytes.data(), result.bytes});
        const auto header = net::parse_proxy_header(input_.view());
        if (!header) co_return false;  // the specification asks to close without an answer
        if (!*header) continue;
        deadline.disarm();
        if ((*header)->source) set_client((*header)->source->address);
        input_.consume((*header)->size);
        co_return true;
    }
}

net::Task<Session::Then> Session::serve_one() {
    auto& worker = thread_.worker();
    ExchangeLease lease{worker};
    auto& exchange = *lease;
    net::Scope scope{scope_};
    exchange.client = &client_;
    exchange.scope = &scope;
    exchange.view = worker.view;
    exchange.began = worker.now();
    http::HeadError error;
    auto head = read_head(exchange, error);
    // Nobody waits for a request with an exchange in hand: it would go by the configuration of now, not of then.
    if (head == Head::not_yet && exchange.head.text().empty()) co_return Then::next;
    if (head == Head::not_yet) head = co_await wait_for_head(exchange, error);
    if (head == Head::none) co_return Then::close;
    look_whether_trusted(*exchange.view);

    http::h1::BodyReader body{stream_, input_, *worker.scratch};
    if (head == Head::complete)
        body.begin(exchange.request.framing, exchange.request.content_length, exchange.view->snapshot->request_limits);
    http::h1::ResponseWriter response{stream_,          input_, *worker.scratch, worker.response_out,
                                      exchange.request, body,   worker.draining};
    exchange.request_body = &body;
    exchange.response = &response;
    exchange_ = &exchange;
    auto end = forward::End::cut_short;
    {
        const ClientWatch watch{stream_, exchange, scope, exchange.view->half_closed};
        if (head == Head::refused)
            end = co_await forward::refuse(worker, exchange, error);
        else
            end = co_await forward::serve(worker, exchange);
    }
    exchange_ = nullptr;
    if (end == forward::End::cut_short) co_return Then::reset;
    if (head == Head::refused) co_return Then::linger;
    if (response.keeps_alive()) {
        if (body.ended()) co_return Then::next;
        const bool drained = co_await drain(exchange);
        co_return drained ? Then::next : Then::linger;
    }
    co_return may_be_unread(body) ? Then::linger : Then::close;
}

/// Once for each configuration that the connection lives to see: the list may be long.
void Session::look_whether_trusted(const forward::WorkerView& view) {
    if (std::exchange(trusted_by_, view.number) == view.number) return;
    client_.trusted = base::any_contains(view.snapshot->config->forwarded.trust, client_.address);
}

/// Whether the client may have sent what nobody has read. To close then would be to reset, and a reset overtakes the
/// answer (RFC 9112 9.6).
bool Session::may_be_unread(const http::h1::BodyReader& body) {
    // The kernel is asked, also behind a request that said it is the last: what came since the last batch of events is
    // not heard of yet.
    return !body.ended() || !input_.empty() || stream_.has_input() || !stream_.quiet();
}

/// What there is now: a head, the beginning of one, or nothing.
Session::Head Session::read_head(forward::Exchange& exchange, http::HeadError& error) {
    auto& text = exchange.head;
    if (!input_.empty()) {
        text.append(input_.view());
        input_.clear();
    }
    bool unread = !text.text().empty() && exchange.head_received != text.text().size();
    for (;;) {
        if (unread) {
            const auto parsed =
                http::h1::parse_request(text.text(), exchange.view->snapshot->request_limits, exchange.request, error);
            if (parsed == http::h1::Parsed::complete) break;
            exchange.head_received = text.text().size();
            if (parsed == http::h1::Parsed::failed) return Head::refused;
            unread = false;
        }
        if (text.room().empty()) text.grow();
        const auto result = stream_.try_read(text.room());
        if (result.status == IoStatus::would_block) return Head::not_yet;
        if (result.status != IoStatus::ok) return Head::none;
        text.added(result.bytes);
        unread = true;
    }
    const auto size = exchange.request.bytes.size();
    exchange.head_received = size;
    // What is behind the head is its body or the next request.
    if (const auto rest = text.text().substr(size); !rest.empty()) input_.append(rest);
    return Head::complete;
}

/// The time for the head runs from its first byte.
net::Task<Session::Head> Session::wait_for_head(forward::Exchange& exchange, http::HeadError& error) {
    const Idle idle{thread_, *this};
    auto& deadline = stream_.readable().deadline();
    deadline.arm(*exchange.view->header_timeout);
    auto head = Head::not_yet;
    while (head == Head::not_yet) {
        const auto ready = co_await stream_.readable().wait(*exchange.scope);
        if (ready == Ready::cancelled) {
            head = Head::none;
        } else if (ready == Ready::timed_out) {
            error = {408, observe::Reason::header_timeout, "the request header took too long"};
            head = Head::refused;
        } else {
            head = read_head(exchange, error);
        }
    }
    deadline.disarm();
    co_return head;
}

/// Reads the request's body to its end, for the sake of the requests behind it. False if that is not possible, or takes
/// too much.
net::Task<bool> Session::drain(forward::Exchange& exchange) {
    const Idle idle{thread_, *this};
    auto& body = *exchange.request_body;
    auto& deadline = body.readable().deadline();
    deadline.arm(thread_.worker().deadlines.list(linger_time));
    std::uint64_t drained = 0;
    bool going = true;
    while (going && !body.ended()) {
        const auto batch = body.try_read(http::h1::BodyScratch::read_size);
        if (batch.status == http::BodySource::Status::would_block) {
            const auto ready = co_await body.readable().wait(scope_);
            going = ready == Ready::ok;
            continue;
        }
        drained += batch.bytes;
        going = batch.status == http::BodySource::Status::ok && drained <= http::h1::ResponseWriter::most_drained_bytes;
        if (going) body.consume(batch.bytes);
    }
    deadline.disarm();
    client_.counters->received_bytes.add(drained);
    co_return going;
}

net::Task<void> Session::linger() {
    auto& worker = thread_.worker();
    if (!stream_.shutdown_write()) co_return;
    const Idle idle{thread_, *this};
    auto& deadline = stream_.readable().deadline();
    deadline.arm(worker.deadlines.list(linger_time));
    for (;;) {
        const auto ready = co_await stream_.readable().wait(scope_);
        if (ready != Ready::ok) break;
        const auto result = stream_.try_read(worker.scratch->bytes);
        if (result.status == IoStatus::end || result.status == IoStatus::failed) break;
    }
    deadline.disarm();
}

}  // namespace nsboot_lb::server
