#include "forward.hpp"

#include <algorithm>

#include "answer.hpp"
#include "attempt.hpp"
#include "deliver.hpp"
#include "nsboot_lb/upstream/admission.hpp"
#include "nsboot_lb/upstream/cookie.hpp"
#include "request_head.hpp"
#include "steps.hpp"
#include "waiting.hpp"

namespace nsboot_lb::forward {

using observe::Reason;
using upstream::Outcome;
using upstream::Verdict;

namespace {

/// Hears the client's connection break while nobody reads from it, and ends what is being done for it.
class ClientWatch final : public net::Source::Observer {
  public:
    explicit ClientWatch(net::Source& client) : client_(client) { client_.observe(this); }
    ~ClientWatch() {
        if (client_.registered()) client_.observe(nullptr);
    }
    ClientWatch(const ClientWatch&) = delete;
    ClientWatch& operator=(const ClientWatch&) = delete;

    Attempt* attempt = nullptr;
    Waiting* waiting = nullptr;
    bool gone() const { return client_.broken(); }

  private:
    void on_event(net::Source& source) override {
        if (!source.broken()) return;
        if (waiting != nullptr) waiting->give_up();
        if (attempt == nullptr) return;
        attempt->client_gone = true;
        attempt->cancel();
    }
    net::Source& client_;
};

bool retries_status(const config::Retries& policy, int status) {
    return std::ranges::find(policy.on_status, status) != policy.on_status.end();
}

upstream::Attempted describe(const Exchange& exchange, const Started& started, std::uint32_t stale) {
    upstream::Attempted attempted;
    attempted.outcome = started.outcome;
    attempted.status = started.status;
    attempted.request_sent = started.request_sent;
    attempted.response_started = exchange.response_started;
    attempted.body_replayable = !exchange.request_body_started;
    attempted.repeatable = upstream::may_repeat(exchange.request.method_text);
    attempted.attempts_made = exchange.attempts - stale;
    attempted.stale_retries = stale;
    return attempted;
}

void count_failure(Worker& worker, Attempt& attempt, const Started& started) {
    attempt.endpoint_view.counters->failures[started.reason].add();
    // An idle connection that the server closed says nothing about its health.
    if (started.outcome != Outcome::stale_idle) attempt.endpoint.state->report_failure(started.failure, worker.now());
}

void count_response(Worker& worker, const Exchange& exchange, Attempt& attempt, int status) {
    auto& counters = *attempt.endpoint_view.counters;
    counters.requests[observe::code_class(status)].add();
    const auto& policy = exchange.route->pool->pool->config().retries;
    if (retries_status(policy, status))
        attempt.endpoint.state->report_failure(upstream::Failure::bad_status, worker.now());
    else
        attempt.endpoint.state->report_success(worker.now());
}

}  // namespace

std::optional<Answer> filter_response(Worker& worker, Exchange& exchange, std::size_t endpoint,
                                      const upstream::PickContext& context, Notes* notes) {
    for (const auto& filter : exchange.route->entry->response_filters) {
        if (notes != nullptr) notes->before(exchange);
        auto answer = filter->on_response(exchange, worker.response_head);
        if (notes != nullptr) notes->after(*filter, exchange, answer.has_value());
        if (answer) return answer;
    }
    if (exchange.route->entry->policy == config::Policy::cookie_sticky) {
        auto cookie = exchange.route->balancer->set_cookie(context, endpoint);
        if (!cookie.empty()) exchange.response_additions.emplace_back("Set-Cookie", std::move(cookie));
    }
    return std::nullopt;
}

std::string_view find_cookie(const Exchange& exchange) {
    if (exchange.route->entry->policy != config::Policy::cookie_sticky) return {};
    const auto& name = exchange.route->pool->pool->config().cookie.name;
    for (const auto& field : exchange.request.fields) {
        if (field.id != http::FieldId::cookie) continue;
        if (const auto value = upstream::find_cookie(field.value, name); !value.empty()) return value;
    }
    return {};
}

upstream::PickContext context_of(const Worker& worker, const Exchange& exchange, std::string_view cookie) {
    return {exchange.client_address, exchange.request.origin_target, cookie, exchange.tried, worker.now()};
}

namespace {

Answer answer_for(const Started& last) {
    auto answer = error_answer(last.status, last.reason);
    answer.close = last.client_fault;
    return answer;
}

After client_left(Exchange& exchange) {
    exchange.reason = Reason::client_aborted;
    return After::reset;
}

/// An endpoint with a slot of it, after waiting for one if max_connections binds; or what to answer instead.
net::Task<std::expected<upstream::Admitted, Answer>> pick(Worker& worker, Exchange& exchange, ClientWatch& watch,
                                                          std::string_view cookie, const Started& last) {
    auto& view = *exchange.route->pool;
    auto admitted = upstream::admit(*exchange.route->balancer, *view.pool, context_of(worker, exchange, cookie));
    if (admitted) co_return std::move(*admitted);
    if (admitted.error() == upstream::Refusal::full) {
        Waiting waiting{worker, *view.pool, exchange.tried, *exchange.route->queue, *view.counters};
        if (watch.gone()) waiting.give_up();  // together with its request: there is no event to come
        watch.waiting = &waiting;
        auto waited = co_await waiting.wait();
        watch.waiting = nullptr;
        if (waited) co_return std::move(*waited);
        co_return std::unexpected{error_answer(503, waited.error())};
    }
    if (exchange.attempts == 0) co_return std::unexpected{error_answer(503, Reason::no_server)};
    co_return std::unexpected{answer_for(last)};
}

/// What to do after a try.
struct Next {
    enum class What : std::uint8_t { again, deliver, answer, client_gone };
    What what = What::again;
    std::optional<upstream::Admitted> picked;  ///< of again; nothing: pick one
    bool fresh_connection = false;
};

/// The same server or another one, if that is allowed, affordable and there is one. Else the client gets what there is:
/// this response, bad as its status may be, or an answer of ours.
Next decide_next(Worker& worker, Exchange& exchange, Attempt& attempt, const Started& last, std::uint32_t stale,
                 std::string_view cookie) {
    Next next;
    if (last.client_gone || last.client_fault) {
        next.what = last.client_gone ? Next::What::client_gone : Next::What::answer;
        return next;
    }
    auto& view = *exchange.route->pool;
    const auto& policy = view.pool->config().retries;
    auto seen = last;
    if (last.has_head) {
        seen.status = worker.response_head.status;
        count_response(worker, exchange, attempt, seen.status);
    } else {
        count_failure(worker, attempt, last);
    }
    next.what = last.has_head ? Next::What::deliver : Next::What::answer;
    if (last.has_head && !retries_status(policy, seen.status)) return next;

    switch (upstream::decide(describe(exchange, seen, stale), policy)) {
        case Verdict::give_up: return next;
        case Verdict::same_server:
            next.what = Next::What::again;
            next.fresh_connection = true;
            next.picked = upstream::Admitted{attempt.endpoint.index, std::move(attempt.slot)};
            return next;
        case Verdict::another_server: break;
    }
    exchange.tried.push_back(attempt.endpoint.index);
    auto admitted = upstream::admit(*exchange.route->balancer, *view.pool, context_of(worker, exchange, cookie));
    const bool may_wait = !admitted && admitted.error() == upstream::Refusal::full && !last.has_head;
    if (!admitted && !may_wait) return next;
    if (!view.pool->state().retry_budget.take(policy.budget, worker.now())) {
        view.counters->retries_refused.add();
        return next;
    }
    view.counters->retries.add();
    next.what = Next::What::again;
    if (admitted) next.picked = std::move(*admitted);
    return next;
}

}  // namespace

net::Task<Forwarded> forward(Worker& worker, Exchange& exchange) {
    auto& pool = *exchange.route->pool->pool;
    const auto cookie = find_cookie(exchange);
    ClientWatch watch{exchange.client->stream.source()};
    pool.state().retry_budget.count_request(worker.now());

    Started last;
    Next next;
    for (std::uint32_t stale = 0;;) {
        if (!next.picked) {
            auto picked = co_await pick(worker, exchange, watch, cookie, last);
            if (watch.gone()) co_return client_left(exchange);
            if (!picked) co_return std::unexpected{std::move(picked.error())};
            next.picked = std::move(*picked);
        }
        Attempt attempt{worker, exchange, next.picked->endpoint, std::move(next.picked->slot)};
        watch.attempt = &attempt;
        last = co_await start(worker, exchange, attempt, next.fresh_connection);
        next = decide_next(worker, exchange, attempt, last, stale, cookie);

        std::optional<Answer> answer;
        if (next.what == Next::What::deliver) {
            answer = filter_response(worker, exchange, attempt.endpoint.index, context_of(worker, exchange, cookie));
            if (!answer) {
                const auto after = co_await deliver(worker, exchange, attempt);
                watch.attempt = nullptr;
                co_return after;
            }
        } else if (next.what == Next::What::answer) {
            answer = answer_for(last);
        }
        co_await abandon(attempt);
        watch.attempt = nullptr;
        if (next.what == Next::What::client_gone) co_return client_left(exchange);
        if (answer) co_return std::unexpected{std::move(*answer)};
        if (next.fresh_connection) ++stale;
    }
}

}  // namespace nsboot_lb::forward
