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

using namespace std::chrono_literals;

/// How long to wait for descriptors that were made free, and how often.
constexpr auto descriptor_pause = 10ms;
constexpr int most_descriptor_waits = 20;

bool retries_status(const config::Retries& policy, int status) {
    return std::ranges::find(policy.on_status, status) != policy.on_status.end();
}

upstream::Attempted describe(const Exchange& exchange, const Tried& tried, std::uint32_t stale) {
    upstream::Attempted attempted;
    attempted.outcome = tried.outcome;
    attempted.status = tried.status;
    attempted.request_sent = tried.request_sent;
    attempted.response_started = exchange.response->started();
    attempted.body_replayable = !exchange.request_body->started();
    attempted.repeatable = upstream::may_repeat(exchange.request.method_text);
    attempted.attempts_made = exchange.attempts - stale;
    attempted.stale_retries = stale;
    return attempted;
}

void count_failure(Worker& worker, const Attempt& attempt, const Tried& tried) {
    if (tried.own_fault) {  // what this process lacks says nothing about a server
        attempt.endpoint().state->report_nothing(worker.now());
        return;
    }
    attempt.counters().failures[tried.reason].add();
    // Nor does an idle connection that it closed say anything about its health.
    if (tried.outcome != Outcome::stale_idle) attempt.endpoint().state->report_failure(tried.failure, worker.now());
}

/// A server that limits a client, or says when to come back, knows what it does: that is no sign of ill health
/// (RFC 6585 4, RFC 9110 10.2.3).
bool holds_off(const http::ResponseHead& head) {
    const auto says_when = [](const http::Field& field) { return field.id == http::FieldId::retry_after; };
    return head.status == 429 || (head.status == 503 && std::ranges::any_of(head.fields, says_when));
}

/// Of worker.response_head.
void count_response(Worker& worker, const Exchange& exchange, const Attempt& attempt) {
    const auto& head = worker.response_head;
    attempt.counters().requests[observe::code_class(head.status)].add();
    const auto& policy = exchange.route->pool->pool->config().retries;
    auto& state = *attempt.endpoint().state;
    if (!retries_status(policy, head.status))
        state.report_success(worker.now());
    else if (holds_off(head))
        state.report_nothing(worker.now());
    else
        state.report_failure(upstream::Failure::bad_status, worker.now());
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
        auto rest = field.value;
        while (const auto value = upstream::take_cookie(rest, name))
            if (exchange.route->balancer->knows(*value)) return *value;
    }
    return {};
}

upstream::PickContext context_of(const Worker& worker, const Exchange& exchange, std::string_view cookie) {
    return {exchange.client_address, exchange.request.origin_target, cookie, exchange.tried, worker.now(),
            exchange.unreachable};
}

namespace {

Answer answer_for(const Tried& last) {
    auto answer = error_answer(last.status, last.reason);
    answer.close = last.client_fault;
    return answer;
}

/// What to do after a try.
struct Next {
    enum class What : std::uint8_t { again, deliver, answer, cancelled };
    What what = What::again;
    std::optional<upstream::Admitted> picked;  ///< of again; nothing: pick one
    bool fresh_connection = false;             ///< of again
    std::optional<Answer> answer;              ///< in place of what is to be delivered
    End end = End::cut_short;                  ///< of deliver, when it is done
};

/// The tries of one exchange.
class Forwarding final : private AttemptOwner {
  public:
    Forwarding(Worker& worker, Exchange& exchange)
        : worker_(worker), exchange_(exchange), cookie_(find_cookie(exchange)), plan_(plan_of(exchange, *this)) {
        exchange.route->pool->pool->state().retry_budget.count_request(worker.now());
    }
    Forwarding(const Forwarding&) = delete;
    Forwarding& operator=(const Forwarding&) = delete;

    /// What to do after a try, and which slot the next one is for.
    Next next;
    const AttemptPlan& plan() const { return *plan_; }

    /// An endpoint with a slot of it; nothing if one has to be waited for.
    std::optional<std::expected<upstream::Admitted, Answer>> try_pick();
    net::Task<std::expected<upstream::Admitted, Answer>> wait_for_slot();
    /// Nothing is tried there, and another request may probe the server.
    void leave_unused(const upstream::Admitted& picked) const {
        exchange_.route->pool->pool->endpoint(picked.endpoint).state->report_nothing(worker_.now());
    }
    net::Task<std::optional<Tried>> connect(Attempt& attempt);
    /// From the head of the response on. True if it was passed on.
    net::Task<bool> respond(Attempt& attempt);
    void decide_next(Attempt& attempt, const Tried& tried);
    Answer last_answer() const { return answer_for(last_); }

  private:
    static AttemptPlan plan_of(Exchange& exchange, AttemptOwner& owner);
    void write_head(const upstream::Endpoint& endpoint, http::h1::Output& out) override {
        write_request_head(worker_, exchange_, endpoint, out);
    }
    bool on_interim(const http::ResponseHead& head) override {
        return exchange_.response->interim(head, worker_.pseudonym);
    }
    upstream::PickContext context() const { return context_of(worker_, exchange_, cookie_); }

    Worker& worker_;
    Exchange& exchange_;
    const std::string_view cookie_;
    std::optional<AttemptPlan> plan_;  ///< of the current view
    Tried last_;
    std::uint32_t stale_ = 0;  ///< tries that met a stale connection
};

AttemptPlan Forwarding::plan_of(Exchange& exchange, AttemptOwner& owner) {
    const auto& request = exchange.request;
    const auto& route = *exchange.route;
    AttemptPlan plan{.pool = *route.pool, .owner = owner};
    plan.repeatable = upstream::may_repeat(request.method_text);
    plan.websocket = request.upgrade == http::UpgradeKind::websocket;
    if (request.framing != http::Framing::none) {
        plan.body = exchange.request_body;
        plan.body_framing = request.framing;
        plan.body_timeout = exchange.view->body_timeout;
        plan.body_waits = request.expect_continue;
        plan.least_rate = exchange.view->snapshot->config->timeouts.min_rate;
        if (request.framing == http::Framing::chunked) plan.most_body = route.entry->max_body;
        plan.uploaded = &exchange.body_received;
    }
    plan.response_limits = exchange.view->snapshot->response_limits;
    plan.connect = route.connect;
    plan.response = route.response;
    plan.idle = route.idle;
    return plan;
}

std::optional<std::expected<upstream::Admitted, Answer>> Forwarding::try_pick() {
    auto admitted = upstream::admit(*exchange_.route->balancer, *exchange_.route->pool->pool, context());
    if (admitted) return std::move(*admitted);
    if (admitted.error() == upstream::Refusal::full) return std::nullopt;
    if (exchange_.attempts == 0) return std::unexpected{error_answer(503, Reason::no_server)};
    return std::unexpected{last_answer()};
}

/// Where max_connections binds. A pool that is replaced meanwhile, and has a server in its new form alone, is asked
/// anew.
net::Task<std::expected<upstream::Admitted, Answer>> Forwarding::wait_for_slot() {
    for (;;) {
        auto why = Reason::queue_timeout;
        {
            auto& view = *exchange_.route->pool;
            Waiting waiting{worker_, *view.pool, exchange_.tried, *exchange_.route->queue, *view.counters};
            auto waited = co_await waiting.wait(*exchange_.scope);
            if (waited) co_return std::move(*waited);
            why = waited.error();
            if (!waiting.outdated()) co_return std::unexpected{error_answer(503, why)};
        }
        if (!go_on_with_current_view(worker_, exchange_)) co_return std::unexpected{error_answer(503, why)};
        plan_.emplace(plan_of(exchange_, *this));
        if (auto picked = try_pick()) co_return std::move(*picked);
    }
}

/// The same server or another one, if that is allowed, affordable and there is one. Else the client gets what there is:
/// this response, bad as its status may be, or an answer of ours.
void Forwarding::decide_next(Attempt& attempt, const Tried& tried) {
    last_ = tried;
    next.picked.reset();
    next.fresh_connection = false;
    if (tried.cancelled || tried.client_fault) {
        attempt.endpoint().state->report_nothing(worker_.now());
        next.what = tried.cancelled ? Next::What::cancelled : Next::What::answer;
        return;
    }
    auto& view = *exchange_.route->pool;
    const auto& policy = view.pool->config().retries;
    auto seen = tried;
    if (tried.has_head) {
        seen.status = worker_.response_head.status;
        count_response(worker_, exchange_, attempt);
    } else {
        count_failure(worker_, attempt, tried);
    }
    next.what = tried.has_head ? Next::What::deliver : Next::What::answer;
    if ((tried.own_fault && !tried.no_ports) || (tried.has_head && !retries_status(policy, seen.status))) return;

    switch (upstream::decide(describe(exchange_, seen, stale_), policy)) {
        case Verdict::give_up: return;
        case Verdict::same_server:
            next.what = Next::What::again;
            next.fresh_connection = true;
            next.picked = upstream::Admitted{attempt.endpoint().index, attempt.take_slot()};
            ++stale_;
            return;
        case Verdict::another_server: break;
    }
    exchange_.tried.push_back(attempt.endpoint().index);
    if (tried.outcome == Outcome::not_connected && !tried.own_fault)
        exchange_.unreachable.push_back(attempt.endpoint().index);
    auto admitted = upstream::admit(*exchange_.route->balancer, *view.pool, context());
    const bool may_wait = !admitted && admitted.error() == upstream::Refusal::full && !tried.has_head;
    if (!admitted && !may_wait) return;
    // An overload grows by what reaches a server, so what reached none is free.
    const bool is_free = tried.outcome == Outcome::not_connected;
    if (!is_free && !view.pool->state().retry_budget.take(policy.budget, worker_.now())) {
        view.counters->retries_refused.add();
        if (admitted) leave_unused(*admitted);
        return;
    }
    view.counters->retries.add();
    next.what = Next::What::again;
    if (admitted) next.picked = std::move(*admitted);
}

/// Where this process has no descriptors left, an idle connection goes for this one, else a client that waits.
net::Task<std::optional<Tried>> Forwarding::connect(Attempt& attempt) {
    for (int waits = 0;; ++waits) {
        auto failed = co_await attempt.connect();
        if (!failed || !failed->own_fault || failed->no_ports || waits == most_descriptor_waits) co_return failed;
        if (worker_.keepalive.close_one()) continue;
        if (!worker_.make_room || !worker_.make_room()) co_return failed;
        net::Pause pause{worker_.reactor, attempt.scope(), worker_.deadlines.list(descriptor_pause)};
        (void)co_await pause;
    }
}

net::Task<bool> Forwarding::respond(Attempt& attempt) {
    auto tried = attempt.upload_failed();
    while (!tried) {
        const auto ready = co_await attempt.readable().wait(attempt.scope());
        tried = attempt.try_read_head(ready);
    }
    decide_next(attempt, *tried);
    if (next.what == Next::What::deliver) {
        next.answer = filter_response(worker_, exchange_, attempt.endpoint().index, context());
        if (!next.answer) {
            Delivery delivery{worker_, exchange_, attempt};
            auto end = delivery.try_deliver();
            if (!end) end = co_await delivery.deliver();
            next.end = *end;
            co_return true;
        }
    }
    attempt.close(false);
    co_return false;
}

}  // namespace

net::Task<Forwarded> forward(Worker& worker, Exchange& exchange) {
    Forwarding forwarding{worker, exchange};
    auto& next = forwarding.next;
    for (;;) {
        if (!next.picked) {
            auto picked = forwarding.try_pick();
            if (!picked) picked = co_await forwarding.wait_for_slot();
            if (exchange.scope->cancelled()) {
                if (*picked) forwarding.leave_unused(**picked);
                break;
            }
            if (!*picked) co_return std::unexpected{std::move(picked->error())};
            next.picked = std::move(**picked);
        }
        Attempt attempt{worker, forwarding.plan(), next.picked->endpoint, std::move(next.picked->slot),
                        *exchange.scope};
        exchange.server = attempt.endpoint().server;
        ++exchange.attempts;
        std::optional<Tried> failed;
        if (next.fresh_connection || !attempt.take_idle()) failed = co_await forwarding.connect(attempt);
        if (!failed) failed = attempt.send_head();
        if (!failed && attempt.head_unsent()) failed = co_await attempt.send_rest();
        if (failed)
            forwarding.decide_next(attempt, *failed);
        else if (forwarding.plan().body == nullptr)
            (void)co_await forwarding.respond(attempt);
        else
            (void)co_await net::alongside(attempt.scope(), attempt.upload(), forwarding.respond(attempt));

        if (next.answer) co_return std::unexpected{std::move(*next.answer)};
        if (next.what == Next::What::deliver) co_return next.end;
        if (next.what == Next::What::answer) co_return std::unexpected{forwarding.last_answer()};
        if (next.what == Next::What::cancelled) break;
    }
    exchange.reason = ended_because(*exchange.scope);
    co_return End::cut_short;
}

}  // namespace nsboot_lb::forward
