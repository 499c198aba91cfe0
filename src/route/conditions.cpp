#include "conditions.hpp"

#include <algorithm>

#include "nsboot_lb/http/head.hpp"
#include "pattern.hpp"

namespace nsboot_lb::route {

namespace {

/// Field names are tokens, so ASCII (RFC 9110 5.1).
bool same_name(std::string_view a, std::string_view b) {
    const auto lower = [](char letter) {
        return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
    };
    return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

Conditions::Conditions(const config::Match& match)
    : methods_(match.method), websocket_(match.websocket), clients_(match.client) {
    for (const auto& header : match.header) {
        const bool is_regex = header.test == config::HeaderTest::regex;
        headers_.push_back({.match = header, .regex = is_regex ? compile_regex(header.value) : nullptr});
    }
}

bool Conditions::empty() const {
    return methods_.empty() && headers_.empty() && !websocket_.has_value() && clients_.empty();
}

bool Conditions::method_holds(const RouteRequest& request) const {
    return methods_.empty() || std::ranges::find(methods_, request.method) != methods_.end();
}

bool Conditions::client_holds(const RouteRequest& request) const {
    return clients_.empty() || base::any_contains(clients_, request.client);
}

bool Conditions::hold(const RouteRequest& request) const {
    return method_holds(request) && (!websocket_ || *websocket_ == request.websocket) && client_holds(request) &&
           std::ranges::all_of(headers_, [&](const Header& header) { return header.holds(request.head); });
}

bool Conditions::Header::takes_value(std::string_view value) const {
    switch (match.test) {
        case config::HeaderTest::exact: return value == match.value;
        case config::HeaderTest::regex: return re2::RE2::FullMatch(value, *regex);
        case config::HeaderTest::present: return true;
    }
    return false;
}

bool Conditions::Header::holds(const http::RequestHead* head) const {
    const bool found = head != nullptr && std::ranges::any_of(head->fields, [&](const http::Field& field) {
                           return same_name(field.name, match.name) && takes_value(field.value);
                       });
    return match.test == config::HeaderTest::present ? found == match.present : found;
}

std::string Conditions::Header::why_not() const {
    switch (match.test) {
        case config::HeaderTest::exact: return "no header " + match.name + ": " + match.value;
        case config::HeaderTest::regex: return "no header " + match.name + " matches " + match.value;
        case config::HeaderTest::present:
            return "header " + match.name + (match.present ? " is absent" : " is present");
    }
    return {};
}

std::optional<std::string> Conditions::why_not(const RouteRequest& request) const {
    if (!method_holds(request)) return "method " + quoted(request.method) + " is not " + joined(methods_);
    if (websocket_ && *websocket_ != request.websocket) {
        return *websocket_ ? "it is not a WebSocket request" : "it is a WebSocket request";
    }
    if (!client_holds(request)) {
        std::vector<std::string> ranges;
        for (const auto& range : clients_) ranges.push_back(range.text());
        return "client " + request.client.text() + " is not in " + joined(ranges);
    }
    for (const auto& header : headers_) {
        if (!header.holds(request.head)) return header.why_not();
    }
    return std::nullopt;
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char octet : text) {
        const auto value = static_cast<unsigned char>(octet);
        if (value < 0x20 || value == 0x7f) {
            constexpr std::string_view digits = "0123456789abcdef";
            out += {'\\', 'x', digits[value / 16], digits[value % 16]};
        } else {
            out.push_back(octet);
        }
    }
    out.push_back('"');
    return out;
}

std::string joined(const std::vector<std::string>& items) {
    std::string out;
    for (const auto& item : items) {
        if (!out.empty()) out += ", ";
        out += item;
    }
    return out;
}

}  // namespace nsboot_lb::route
