#include "own_answers.hpp"

#include "nsboot_lb/forward/worker.hpp"

namespace nsboot_lb::forward {

using observe::Reason;

namespace {

constexpr std::string_view allowed_methods = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";

Answer with_allow(Answer answer) {
    answer.fields.emplace_back("Allow", allowed_methods);
    return answer;
}

Answer redirect(const Exchange& exchange, const RouteEntry& route) {
    std::string location;
    route.redirect_to.expand(exchange.template_values(), location);
    auto answer = error_answer(route.status, Reason::none);
    answer.fields.emplace_back("Location", std::move(location));
    return answer;
}

}  // namespace

std::optional<Answer> answer_method(Exchange& exchange) {
    auto& request = exchange.request;
    if (request.method == http::Method::connect || request.method == http::Method::trace)
        return with_allow(error_answer(405, Reason::method_refused));
    if (request.method != http::Method::options) return std::nullopt;
    if (request.origin_target == "*" || request.max_forwards == 0U) {
        Answer answer;
        answer.status = 200;
        return with_allow(std::move(answer));
    }
    if (request.max_forwards) {
        for (auto& field : request.fields) {
            if (field.id == http::FieldId::max_forwards) field.dropped = true;
        }
        exchange.request_additions.emplace_back("Max-Forwards", std::to_string(*request.max_forwards - 1));
    }
    return std::nullopt;
}

std::optional<Answer> answer_route(Exchange& exchange) {
    const auto& route = *exchange.route->entry;
    switch (route.action) {
        case RouteEntry::Action::forward: return std::nullopt;
        case RouteEntry::Action::redirect: return redirect(exchange, route);
        case RouteEntry::Action::respond: break;
    }
    Answer answer;
    answer.status = route.respond.status;
    answer.body = route.respond.body;
    answer.fields = route.respond.headers;
    return answer;
}

}  // namespace nsboot_lb::forward
