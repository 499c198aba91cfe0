#pragma once
/// What tests of filters have in common: the filters of one route, applied to an exchange as the forward floor does.
#include <optional>
#include <stdexcept>
#include <utility>

#include "../forward/made_exchange.hpp"
#include "nsboot_lb/filter/filters.hpp"
#include "nsboot_lb/filter/password_checks.hpp"

namespace nsboot_lb::filter::testing {

using forward::testing::lines_of;
using forward::testing::MadeExchange;
using forward::testing::ranges_of;

/// A route that forwards, for a test to add to.
inline config::Route forwarding() {
    config::Route route;
    route.name = "route";
    route.pool = "pool";
    return route;
}

/// As a snapshot that is the first one makes them.
inline auto try_filters_of(const config::Route& route, PasswordChecks& checks) {
    return make_filters(
        route, {[](const std::string& file) -> std::expected<std::shared_ptr<const base::Htpasswd>, std::string> {
                    auto users = base::Htpasswd::load(file);
                    if (!users) return std::unexpected(users.error());
                    return std::make_shared<const base::Htpasswd>(std::move(*users));
                },
                checks});
}
inline auto try_filters_of(const config::Route& route) {
    static PasswordChecks nobody_works{0};
    return try_filters_of(route, nobody_works);
}

inline RouteFilters filters_of(const config::Route& route) {
    auto made = try_filters_of(route);
    if (!made) throw std::runtime_error(made.error());
    return std::move(*made);
}

/// The answer of the first request filter that has one.
inline std::optional<forward::Answer> ask(const RouteFilters& filters, forward::Exchange& exchange) {
    for (const auto& filter : filters.request) {
        auto verdict = filter->on_request(exchange);
        if (auto* answer = std::get_if<forward::Answer>(&verdict)) return std::move(*answer);
        if (std::holds_alternative<forward::Later>(verdict)) throw std::logic_error("a filter that wants to wait");
    }
    return std::nullopt;
}

/// A server's response, and what the response filters made of it.
struct FilteredResponse {
    FilteredResponse(const RouteFilters& filters, forward::Exchange& exchange, std::string response)
        : bytes(std::move(response)) {
        http::HeadError error;
        if (http::h1::parse_response(bytes, {}, head, mended, error) != http::h1::Parsed::complete)
            throw std::invalid_argument("not a response");
        for (const auto& filter : filters.response) {
            answer = filter->on_response(exchange, head);
            if (answer) return;
        }
    }
    std::string bytes;
    std::string mended;
    http::ResponseHead head;
    std::optional<forward::Answer> answer;
};

inline constexpr std::string_view plain_request = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";

}  // namespace nsboot_lb::filter::testing
