#include "nsboot_lb/forward/explain.hpp"

#include "nsboot_lb/upstream/admission.hpp"
#include "request_head.hpp"
#include "steps.hpp"

namespace nsboot_lb::forward {

namespace {

/// As forward() does for its first try, up to sending.
void explain_forward(Worker& worker, Exchange& exchange, Notes& notes, Explanation& told) {
    const auto& pool = *exchange.route->pool->pool;
    const auto context = context_of(worker, exchange, find_cookie(exchange));
    const auto admitted = upstream::admit(*exchange.route->balancer, pool, context);
    if (!admitted) {
        // Nothing is in flight, so that nobody would have to wait.
        told.answer = error_answer(503, observe::Reason::no_server);
        return;
    }
    told.endpoint = admitted->endpoint;
    write_request_head(worker, exchange, pool.endpoint(admitted->endpoint), worker.request_out);
    told.request_head = worker.request_out.text();
    worker.response_head.clear();
    (void)filter_response(worker, exchange, admitted->endpoint, context, &notes);
    told.response_filters = notes.take_filters();
}

}  // namespace

net::Task<Explanation> explain(Worker& worker, Exchange& exchange) {
    Notes notes;
    auto here = answer_here(worker, exchange, &notes);
    while (here.later) {
        auto then = co_await answer_later(worker, exchange, here.filter, &notes);
        here = std::move(then);
    }
    Explanation told;
    told.answer = std::move(here.answer);
    told.request_filters = notes.take_filters();
    if (!told.answer) explain_forward(worker, exchange, notes, told);
    told.routes = std::move(notes.routes);
    co_return told;
}

}  // namespace nsboot_lb::forward
