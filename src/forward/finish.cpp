#include "finish.hpp"

namespace nsboot_lb::forward {

namespace {

/// How long a line may wait for its block to fill up.
constexpr std::chrono::milliseconds access_log_delay{200};

observe::Method counted_method(http::Method method) {
    switch (method) {
        case http::Method::get: return observe::Method::get;
        case http::Method::head: return observe::Method::head;
        case http::Method::post: return observe::Method::post;
        case http::Method::put: return observe::Method::put;
        case http::Method::delete_: return observe::Method::delete_;
        case http::Method::options: return observe::Method::options;
        case http::Method::patch: return observe::Method::patch;
        case http::Method::connect:
        case http::Method::trace:
        case http::Method::other: break;
    }
    return observe::Method::other;
}

void write_access_log(Worker& worker, const Exchange& exchange, net::Clock::duration took) {
    const auto& request = exchange.request;
    observe::AccessRecord record;
    record.time = worker.wall_now() - std::chrono::duration_cast<std::chrono::system_clock::duration>(took);
    record.client = exchange.client_ip();
    record.method = request.method_text;
    record.host = request.host;
    record.uri = request.target;
    record.protocol = request.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
    record.status = exchange.status;
    record.bytes_received = exchange.head_received + exchange.body_received;
    record.bytes_sent = exchange.head_sent + exchange.body_sent;
    record.duration = took;
    record.server = exchange.server;
    record.upstream_duration = exchange.upstream_duration;
    record.attempts = exchange.attempts;
    record.route = exchange.route->entry->name;
    record.request_id = exchange.request_id;
    record.reason = exchange.reason;
    record.user_agent = request.value(http::FieldId::user_agent);
    record.referer = request.value(http::FieldId::referer);
    worker.access_log->write(record);
    if (!worker.access_log_flush.armed()) worker.access_log_flush.arm(worker.deadlines.list(access_log_delay));
}

}  // namespace

void finish(Worker& worker, Exchange& exchange) {
    const auto took = worker.now() - exchange.began;
    exchange.head_sent = exchange.response->head_bytes();
    // How long a tunnel lasts says nothing about how fast an answer is.
    const bool is_tunnel = exchange.upgraded != net::TimePoint{};
    exchange.route->counters->finished(counted_method(exchange.request.method), exchange.status,
                                       is_tunnel ? exchange.upgraded - exchange.began : took);
    if (exchange.reason != observe::Reason::none) worker.counters.rejected[exchange.reason].add();
    if (auto* counters = exchange.client->counters) {
        // Bodies have counted as they moved.
        counters->received_bytes.add(exchange.head_received);
        counters->sent_bytes.add(exchange.head_sent);
    }
    if (worker.access_log) write_access_log(worker, exchange, took);
}

}  // namespace nsboot_lb::forward
