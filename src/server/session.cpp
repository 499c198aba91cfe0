#include "session.hpp"

#include <algorithm>

#include "nsboot_lb/forward/end_tunnel.hpp"
#include "nsboot_lb/forward/serve.hpp"
#include "nsboot_lb/http/h1/parse.hpp"
#include "nsboot_lb/net/pause.hpp"
#include "nsboot_lb/net/proxy_protocol.hpp"
#include "worker_thread.hpp"

namespace nsboot_lb::server {

using forward::After;
using net::IoStatus;
using net::Ready;

namespace {

/// RFC 9112 9.6: how long a client that may still be sending is read from, so that it gets to see the answer.
constexpr std::chrono::milliseconds linger_time{5000};

constexpr unsigned most_in_a_row = 64;

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

}  // namespace

Session::Session(WorkerThread& thread, const Accepted& accepted)
    : thread_(thread),
      client_(thread.worker().reactor),
      peer_(accepted.peer),
      proxy_protocol_(accepted.proxy_protocol) {
    client_.counters = accepted.counters;
    client_.stream.open(accepted.descriptor, true, true);
    set_client(peer_);
}

void Session::set_client(const base::IpAddress& address) {
    client_.address = address;
    const auto text = address.text();
    client_.address_size =
        static_cast<std::uint8_t>(text.copy(client_.address_text.data(), client_.address_text.size()));
}

void Session::end_if_waiting() {
    if (waiting_) client_.stream.cancel_read();
}

void Session::abort() {
    client_.stream.source().break_off();
}

void Session::end_tunnel() {
    forward::end_tunnel(client_);
}

net::Task<void> Session::run() {
    if (proxy_protocol_) {
        const bool known = co_await read_proxy_header();
        if (!known) co_return;
    }
    for (unsigned served = 1;; ++served) {
        if (client_.input.empty()) {
            const bool more = co_await wait_for_request();
            if (!more) co_return;
        }
        const auto after = co_await serve_one();
        if (after == After::keep) {
            if (served % most_in_a_row != 0) continue;
            // Requests that never have to wait, pipelined and answered here, would keep the worker to themselves.
            net::Yield others{thread_.worker().reactor};
            co_await others;
            if (client_.stream.source().broken()) co_return;
            continue;
        }
        if (after == After::reset) {
            client_.stream.close(true);
        } else if (after == After::linger || !client_.input.empty()) {
            co_await linger();
        }
        co_return;
    }
}

net::Task<bool> Session::read_proxy_header() {
    auto& stream = client_.stream;
    auto& worker = thread_.worker();
    stream.read_deadline().arm(*worker.view->header_timeout);
    for (;;) {
        const auto ready = co_await stream.readable();
        if (ready != Ready::ok) co_return false;
        const auto result = stream.read_some(std::span{worker.scratch->bytes}.first(net::max_proxy_v2_size));
        if (result.status == IoStatus::would_block) continue;
        if (result.status != IoStatus::ok) co_return false;
        client_.input.append({worker.scratch->bytes.data(), result.bytes});
        const auto header = net::parse_proxy_header(client_.input.view());
        if (!header) co_return false;  // the specification asks to close without an answer
        if (!*header) continue;
        stream.read_deadline().disarm();
        if ((*header)->source) set_client((*header)->source->address);
        client_.input.consume((*header)->size);
        co_return true;
    }
}

net::Task<bool> Session::wait_for_request() {
    auto& stream = client_.stream;
    auto& worker = thread_.worker();
    if (stream.source().may_read()) co_return true;
    if (worker.draining && thread_.closes_idle()) co_return false;
    waiting_ = true;
    thread_.note_waiting(*this);
    stream.read_deadline().arm(*worker.view->idle_timeout);
    const auto ready = co_await stream.readable();
    stream.read_deadline().disarm();
    in_waiting.unlink();
    waiting_ = false;
    co_return ready == Ready::ok;
}

net::Task<After> Session::serve_one() {
    auto& worker = thread_.worker();
    ExchangeLease lease{worker};
    auto& exchange = *lease;
    exchange.client = &client_;
    exchange.view = worker.view;
    exchange.began = worker.now();
    http::HeadError error;
    const auto head = co_await read_head(exchange, error);
    if (head == Head::none) co_return After::close;
    if (head == Head::not_yet) co_return After::keep;
    client_.trusted = base::any_contains(exchange.view->snapshot->config->forwarded.trust, client_.address);
    if (head == Head::refused) {
        const auto after = co_await forward::refuse(worker, exchange, error);
        co_return after;
    }
    const auto after = co_await forward::serve(worker, exchange);
    co_return after;
}

net::Task<Session::Head> Session::read_head(forward::Exchange& exchange, http::HeadError& error) {
    auto& stream = client_.stream;
    auto& text = exchange.head;
    const auto& limits = exchange.view->snapshot->request_limits;
    text.append(client_.input.view());
    client_.input.clear();
    bool unread = !text.text().empty();
    for (;;) {
        if (unread) {
            const auto parsed = http::h1::parse_request(text.text(), limits, exchange.request, error);
            if (parsed == http::h1::Parsed::complete) break;
            exchange.head_received = text.text().size();
            if (parsed == http::h1::Parsed::failed) {
                stream.read_deadline().disarm();
                co_return Head::refused;
            }
            unread = false;
        }
        if (text.room().empty()) text.grow();
        const auto result = stream.read_some(text.room());
        if (result.status == IoStatus::ok) {
            text.added(result.bytes);
            unread = true;
            continue;
        }
        if (result.status != IoStatus::would_block) co_return Head::none;
        // Nobody waits for a request with an exchange in hand: it would go by the configuration of now, not of then.
        if (text.text().empty()) co_return Head::not_yet;
        // The time for the head runs from its first byte.
        if (!stream.read_deadline().armed()) stream.read_deadline().arm(*exchange.view->header_timeout);
        waiting_ = true;
        thread_.note_waiting(*this);
        const auto ready = co_await stream.readable();
        waiting_ = false;
        in_waiting.unlink();
        if (ready == Ready::ok) continue;
        if (ready == Ready::cancelled) co_return Head::none;
        error = {408, observe::Reason::header_timeout, "the request header took too long"};
        co_return Head::refused;
    }
    stream.read_deadline().disarm();
    const auto size = exchange.request.bytes.size();
    exchange.head_received = size;
    // What is behind the head is its body or the next request.
    if (const auto rest = text.text().substr(size); !rest.empty()) client_.input.append(rest);
    co_return Head::complete;
}

net::Task<void> Session::linger() {
    auto& stream = client_.stream;
    auto& worker = thread_.worker();
    if (!stream.shutdown_write()) co_return;
    stream.read_deadline().arm(worker.deadlines.list(linger_time));
    waiting_ = true;
    for (;;) {
        const auto ready = co_await stream.readable();
        if (ready != Ready::ok) break;
        const auto result = stream.read_some(worker.scratch->bytes);
        if (result.status == IoStatus::end || result.status == IoStatus::failed) break;
    }
    waiting_ = false;
    stream.read_deadline().disarm();
}

}  // namespace nsboot_lb::server
