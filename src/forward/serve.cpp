#include "nsboot_lb/forward/serve.hpp"

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

/// Asks the route's filters, from `first` on, and then the route itself.
Here run_filters(Exchange& exchange, std::size_t first, Notes* notes) {
    const auto& filters = exchange.route->entry->request_filters;
    for (auto i = first; i < filters.size(); ++i) {
        if (notes != nullptr) notes->before(exchange);
        auto verdict = filters[i]->on_request(exchange);
        if (std::holds_alternative<Later>(verdict)) return {.answer = std::nullopt, .filter = i, .later = true};
        auto* const answer = std::get_if<Answer>(&verdict);
        if (notes != nullptr) notes->after(*filters[i], exchange, answer != nullptr);
        if (answer != nullptr) return {.answer = std::move(*answer)};
    }
    return {.answer = answer_route(exchange)};
}

}  // namespace

Here answer_here(Worker& worker, Exchange& exchange, Notes* notes) {
    exchange.route = &exchange.view->no_route;
    const bool first_visit = prepare_request(worker, exchange);
    if (!first_visit) return {.answer = error_answer(502, Reason::loop, "the request came back to this load balancer")};
    if (auto answer = answer_method(exchange)) return {.answer = std::move(answer)};
    if (notes != nullptr) notes->routes = exchange.view->snapshot->route_table.explain(route_request(exchange));
    exchange.route = &find_route(exchange);
    if (exchange.route == &exchange.view->no_route) return {.answer = error_answer(404, Reason::no_route)};
    return run_filters(exchange, 0, notes);
}

net::Task<Here> answer_later(Worker& worker, Exchange& exchange, std::size_t filter, Notes* notes) {
    const auto& asked = *exchange.route->entry->request_filters[filter];
    auto answer = co_await asked.on_request_later(worker, exchange);
    if (notes != nullptr) notes->after(asked, exchange, answer.has_value());
    if (answer) co_return Here{.answer = std::move(answer)};
    co_return run_filters(exchange, filter + 1, notes);
}

net::Task<End> serve(Worker& worker, Exchange& exchange) {
    auto end = End::cut_short;
    count_bodies(exchange);
    auto here = answer_here(worker, exchange);
    while (here.later) {
        auto then = co_await answer_later(worker, exchange, here.filter);
        here = std::move(then);
    }
    if (!here.answer) {
        auto forwarded = co_await forward(worker, exchange);
        if (forwarded)
            end = *forwarded;
        else
            here.answer = std::move(forwarded.error());
    }
    if (here.answer) end = co_await send_answer(worker, exchange, std::move(*here.answer));
    finish(worker, exchange);
    co_return end;
}

net::Task<End> refuse(Worker& worker, Exchange& exchange, http::HeadError error) {
    exchange.route = &exchange.view->no_route;
    exchange.client_address = exchange.client->address;
    auto answer = error_answer(error.status, error.reason, error.text);
    answer.close = true;
    const auto end = co_await send_answer(worker, exchange, std::move(answer));
    finish(worker, exchange);
    co_return end;
}

}  // namespace nsboot_lb::forward
