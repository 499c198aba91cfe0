#include <optional>
#include <utility>

#include "field_changes.hpp"
#include "make.hpp"
#include "nsboot_lb/http/field_names.hpp"

namespace nsboot_lb::filter {

namespace {

bool is_host(std::string_view name) {
    return http::field_id(name) == http::FieldId::host;
}

/// Every request has exactly one Host (RFC 9112 3.2), so it is replaced in its place, never removed or added to.
void replace_host(forward::Exchange& exchange, const http::Template& value) {
    auto text = expanded(value, exchange);
    if (text.empty()) return;
    exchange.host_text = std::move(text);
    http::Field host{"Host", exchange.host_text, http::FieldId::host, false, false};
    for (auto& field : exchange.request.fields) {
        if (field.id != http::FieldId::host) continue;
        field = host;
        return;
    }
    exchange.request.fields.push_back(host);
}

class RequestHeaders final : public forward::Filter {
  public:
    RequestHeaders(FieldChanges changes, std::optional<http::Template> host, std::string description)
        : changes_(std::move(changes)), host_(std::move(host)), description_(std::move(description)) {}

    std::string describe() const override { return "request_headers " + description_; }

    forward::RequestVerdict on_request(forward::Exchange& exchange) const override {
        changes_.drop(exchange.request.fields);
        changes_.append_to(exchange.request_additions, exchange);
        exchange.settled_request_fields |= changes_.settled();
        if (host_) replace_host(exchange, *host_);
        return {};
    }

  private:
    const FieldChanges changes_;
    const std::optional<http::Template> host_;
    const std::string description_;
};

/// The value for Host, taken out of the changes; nothing if they have none.
std::optional<std::string> take_host(config::HeaderChanges& changes) {
    std::optional<std::string> host;
    for (auto* list : {&changes.set, &changes.add}) {
        for (const auto& [name, value] : *list) {
            if (is_host(name)) host = value;
        }
        std::erase_if(*list, [](const auto& field) { return is_host(field.first); });
    }
    std::erase_if(changes.remove, [](const auto& name) { return is_host(name); });
    return host;
}

}  // namespace

MadeFilter make_request_headers(const config::HeaderChanges& changes) {
    auto others = changes;
    std::optional<http::Template> host;
    if (const auto text = take_host(others)) {
        auto parsed = http::Template::parse(*text);
        if (!parsed) return std::unexpected("Host: " + parsed.error());
        host = std::move(*parsed);
    }
    auto compiled = FieldChanges::compile(others);
    if (!compiled) return std::unexpected("request_headers: " + compiled.error());
    return std::make_unique<RequestHeaders>(std::move(*compiled), std::move(host), describe(changes));
}

}  // namespace nsboot_lb::filter
