#include "answer.hpp"

#include <algorithm>
#include <array>

#include "nsboot_lb/http/field_names.hpp"
#include "relay.hpp"
#include "text_body.hpp"

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

bool has_field(const Exchange& exchange, const Answer& answer, std::string_view name) {
    const auto is_named = [name](const auto& field) { return http::equal_ignoring_case(field.first, name); };
    return std::ranges::any_of(answer.fields, is_named) || std::ranges::any_of(exchange.response_additions, is_named);
}

http::Field field_of(std::string_view name, std::string_view value) {
    http::Field field;
    field.name = name;
    field.value = value;
    return field;
}

/// The answer as a response's head: views of it.
void describe(const Exchange& exchange, const Answer& answer, http::ResponseHead& head) {
    head.clear();
    head.status = answer.status;
    head.reason = reason_phrase(answer.status);
    for (const auto& [name, value] : answer.fields) head.fields.push_back(field_of(name, value));
    if (answer.status == 204 || answer.status == 304) return;
    if (!answer.body.empty() && !has_field(exchange, answer, "Content-Type"))
        head.fields.push_back(field_of("Content-Type", "text/plain; charset=utf-8"));
    head.framing = http::Framing::length;
    head.has_content_length = true;
    head.content_length = answer.body.size();
}

observe::Reason reason_of(RelayEnd end, const net::Scope& scope) {
    if (end == RelayEnd::cancelled) return ended_because(scope);
    const bool slow = end == RelayEnd::sink_timed_out || end == RelayEnd::too_slow;
    return slow ? observe::Reason::client_too_slow : observe::Reason::client_aborted;
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

net::Task<End> send_answer(Worker& worker, Exchange& exchange, Answer answer) {
    exchange.status = answer.status;
    exchange.reason = answer.reason;
    auto& head = worker.response_head;
    describe(exchange, answer, head);
    const bool has_body = http::has_body(exchange.request.method, answer.status);
    exchange.response->start({.head = head,
                              .additions = exchange.response_additions,
                              .date = worker.date.at(worker.wall_now()),
                              .has_body = has_body,
                              .close = answer.close});
    TextBody body{worker.reactor, has_body ? std::string_view{answer.body} : std::string_view{}};
    RelayPlan plan;
    plan.source = &body;
    plan.sink = exchange.response;
    plan.scope = exchange.scope;
    plan.source_limit = exchange.view->send_timeout;
    plan.sink_limit = exchange.view->send_timeout;
    plan.moved = &exchange.body_sent;
    Relay relay{worker, plan};
    auto end = relay.pump();
    if (!end) end = co_await relay.run();
    if (*end == RelayEnd::complete) co_return End::complete;
    if (exchange.reason == observe::Reason::none) exchange.reason = reason_of(*end, *exchange.scope);
    co_return End::cut_short;
}

}  // namespace nsboot_lb::forward
