#include "answer.hpp"

#include <algorithm>
#include <array>

#include "nsboot_lb/http/field_names.hpp"

namespace nsboot_lb::forward {

namespace {

struct Phrase {
    int status;
    std::string_view text;
};
constexpr std::array phrases{
    Phrase{200, "OK"},
    Phrase{201, "Created"},
    Phrase{202, "Accepted"},
    Phrase{204, "No Content"},
    Phrase{301, "Moved Permanently"},
    Phrase{302, "Found"},
    Phrase{303, "See Other"},
    Phrase{304, "Not Modified"},
    Phrase{307, "Temporary Redirect"},
    Phrase{308, "Permanent Redirect"},
    Phrase{400, "Bad Request"},
    Phrase{401, "Unauthorized"},
    Phrase{403, "Forbidden"},
    Phrase{404, "Not Found"},
    Phrase{405, "Method Not Allowed"},
    Phrase{408, "Request Timeout"},
    Phrase{410, "Gone"},
    Phrase{413, "Content Too Large"},
    Phrase{414, "URI Too Long"},
    Phrase{417, "Expectation Failed"},
    Phrase{421, "Misdirected Request"},
    Phrase{429, "Too Many Requests"},
    Phrase{431, "Request Header Fields Too Large"},
    Phrase{500, "Internal Server Error"},
    Phrase{501, "Not Implemented"},
    Phrase{502, "Bad Gateway"},
    Phrase{503, "Service Unavailable"},
    Phrase{504, "Gateway Timeout"},
    Phrase{505, "HTTP Version Not Supported"},
};

/// A body that nobody wanted is read up to this, so that the connection can be kept.
constexpr std::uint64_t most_drained_bytes = 64 * 1024;

bool request_is_read(const Exchange& exchange) {
    return exchange.request.framing == http::Framing::none || exchange.request_body_ended;
}

/// Whether the body is worth reading only to throw it away. A client that waits for a 100 will not send it.
bool is_drainable(const Exchange& exchange) {
    const auto& request = exchange.request;
    if (request_is_read(exchange) || exchange.request_body_started || request.expect_continue) return false;
    return request.framing == http::Framing::chunked || request.content_length <= most_drained_bytes;
}

/// Reads the request's body to its end. False if that is not possible, or takes too much.
net::Task<bool> drain_body(Worker& worker, Exchange& exchange) {
    auto& stream = exchange.client->stream;
    http::h1::BodySource body{stream, exchange.client->input};
    body.begin(exchange.request.framing, exchange.request.content_length, exchange.view->snapshot->request_limits);
    while (!body.ended()) {
        const auto batch = body.read(*worker.scratch);
        exchange.body_received += batch.bytes;
        if (batch.status == http::h1::BodySource::Status::would_block) {
            stream.read_deadline().arm(*exchange.view->body_timeout);
            const auto ready = co_await stream.readable();
            stream.read_deadline().disarm();
            if (ready != net::Ready::ok) co_return false;
        } else if (batch.status != http::h1::BodySource::Status::ok || exchange.body_received > most_drained_bytes) {
            co_return false;
        }
    }
    co_return true;
}

bool has_field(const Exchange& exchange, const Answer& answer, std::string_view name) {
    const auto is_named = [name](const auto& field) { return http::equal_ignoring_case(field.first, name); };
    return std::ranges::any_of(answer.fields, is_named) || std::ranges::any_of(exchange.response_additions, is_named);
}

void write_answer(Worker& worker, const Exchange& exchange, const Answer& answer, bool keep_alive,
                  http::h1::Output& out) {
    const bool bodiless = answer.status == 204 || answer.status == 304;
    out.clear();
    out.append("HTTP/1.1 ");
    out.append_number(static_cast<std::uint64_t>(answer.status));
    out.append({" ", reason_phrase(answer.status), "\r\n"});
    out.append_field("Date", worker.date.at(worker.wall_now()));
    for (const auto& [name, value] : answer.fields) out.append_field(name, value);
    if (!bodiless) {
        if (!answer.body.empty() && !has_field(exchange, answer, "Content-Type"))
            out.append_field("Content-Type", "text/plain; charset=utf-8");
        out.append("Content-Length: ");
        out.append_number(answer.body.size());
        out.append("\r\n");
    }
    if (!keep_alive)
        out.append("Connection: close\r\n");
    else if (exchange.request.minor_version == 0)
        out.append("Connection: keep-alive\r\n");
    for (const auto& [name, value] : exchange.response_additions) out.append_field(name, value);
    out.append("\r\n");
    if (!bodiless && exchange.request.method != http::Method::head) out.append(answer.body);
}

}  // namespace

std::string_view reason_phrase(int status) {
    const auto found = std::ranges::find(phrases, status, &Phrase::status);
    return found == phrases.end() ? "Unknown" : found->text;
}

Answer error_answer(int status, observe::Reason reason, std::string_view text) {
    Answer answer;
    answer.status = status;
    answer.reason = reason;
    answer.body = std::to_string(status);
    answer.body += ' ';
    answer.body += text.empty() ? reason_phrase(status) : text;
    answer.body += '\n';
    // RFC 9110 10.2.3. Boot clients obey an integer and come back, so the wait is short.
    if (status == 503 || status == 429) answer.fields.emplace_back("Retry-After", status == 503 ? "2" : "1");
    return answer;
}

net::Task<After> send_answer(Worker& worker, Exchange& exchange, Answer answer) {
    const bool read = request_is_read(exchange);
    const bool drains = is_drainable(exchange) && !answer.close;
    const bool keep_alive = exchange.request.keep_alive && (read || drains) && !answer.close && !worker.draining;
    exchange.status = answer.status;
    exchange.reason = answer.reason;
    exchange.response_started = true;

    write_answer(worker, exchange, answer, keep_alive, worker.response_out);
    const iovec whole{const_cast<char*>(worker.response_out.text().data()), worker.response_out.size()};
    exchange.head_sent += whole.iov_len;
    const auto written =
        co_await net::write_all(exchange.client->stream, std::span{&whole, 1}, *exchange.view->send_timeout);
    if (!written.ok) {
        if (exchange.reason == observe::Reason::none)
            exchange.reason = written.timed_out ? observe::Reason::client_too_slow : observe::Reason::client_aborted;
        co_return After::reset;
    }
    if (drains) {
        const bool drained = co_await drain_body(worker, exchange);
        if (!drained) co_return After::linger;
    }
    if (keep_alive) co_return After::keep;
    co_return (read || drains) && !answer.close ? After::close : After::linger;
}

}  // namespace nsboot_lb::forward
