#include "nsboot_lb/forward/serve.hpp"

#include <boost/asio/thread_pool.hpp>

#include "answer.hpp"
#include "finish.hpp"
#include "forward.hpp"
#include "own_answers.hpp"
#include "request_head.hpp"
#include "steps.hpp"

namespace nsboot_lb::forward {

using observe::Reason;

namespace {

void count_bodies(Exchange& exchange) {
    auto* const counters = exchange.client->counters;
    if (counters == nullptr) return;
    exchange.body_received.count_in(counters->received_bytes);
    exchange.body_sent.count_in(counters->sent_bytes);
}

route::RouteRequest route_request(const Exchange& exchange) {
    const auto& request = exchange.request;
    route::RouteRequest wanted;
    wanted.host = request.host;
    wanted.path = request.path;
    wanted.method = request.method_text;
    wanted.head = &request;
    wanted.websocket = request.upgrade == http::UpgradeKind::websocket;
    wanted.client = exchange.client_address;
    return wanted;
}

/// The first route that takes the request, or the one that answers 404.
const RouteView& find_route(const Exchange& exchange) {
    const auto match = exchange.view->snapshot->route_table.match(route_request(exchange));
    return match ? exchange.view->routes[*match] : exchange.view->no_route;
}

net::Task<std::optional<Answer>> run_filters(Worker& worker, Exchange& exchange, Notes* notes) {
    for (const auto& filter : exchange.route->entry->request_filters) {
        if (notes != nullptr) notes->before(exchange);
        auto verdict = filter->on_request(exchange);
        std::optional<Answer> answer;
        if (auto* given = std::get_if<Answer>(&verdict)) answer = std::move(*given);
        if (std::holds_alternative<Later>(verdict)) {
            auto late = co_await filter->on_request_later(worker, exchange);
            answer = std::move(late);
        }
        if (notes != nullptr) notes->after(*filter, exchange, answer.has_value());
        if (answer) co_return answer;
    }
    co_return std::nullopt;
}

}  // namespace

net::Task<std::optional<Answer>> answer_here(Worker& worker, Exchange& exchange, Notes* notes) {
    exchange.route = &exchange.view->no_route;
    const bool first_visit = prepare_request(worker, exchange);
    if (!first_visit) co_return error_answer(502, Reason::loop, "the request came back to this load balancer");
    if (auto answer = answer_method(exchange)) co_return answer;
    if (notes != nullptr) notes->routes = exchange.view->snapshot->route_table.explain(route_request(exchange));
    exchange.route = &find_route(exchange);
    if (exchange.route == &exchange.view->no_route) co_return error_answer(404, Reason::no_route);
    if (!exchange.route->entry->request_filters.empty()) {
        auto answer = co_await run_filters(worker, exchange, notes);
        if (answer) co_return answer;
    }
    co_return answer_route(exchange);
}

net::Task<After> serve(Worker& worker, Exchange& exchange) {
    auto after = After::reset;
    count_bodies(exchange);
    auto answer = co_await answer_here(worker, exchange);
    if (!answer) {
        auto forwarded = co_await forward(worker, exchange);
        if (forwarded)
            after = *forwarded;
        else
            answer = std::move(forwarded.error());
    }
    if (answer) after = co_await send_answer(worker, exchange, std::move(*answer));
    if (exchange.client->stream.source().broken_off()) exchange.reason = Reason::shutting_down;
    finish(worker, exchange);
    co_return after;
}

net::Task<After> refuse(Worker& worker, Exchange& exchange, http::HeadError error) {
    exchange.route = &exchange.view->no_route;
    exchange.client_address = exchange.client->address;
    auto answer = error_answer(error.status, error.reason, error.text);
    answer.close = true;
    const auto after = co_await send_answer(worker, exchange, std::move(answer));
    finish(worker, exchange);
    co_return after;
}

}  // namespace nsboot_lb::forward
