#include "request_head.hpp"

#include <algorithm>
#include <ranges>

namespace nsboot_lb::forward {

using http::Field;
using http::FieldId;

namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// An X-Forwarded-For entry, which some proxies write with a port.
std::optional<base::IpAddress> read_address(std::string_view entry) {
    if (entry.starts_with('[')) return base::IpAddress::parse(entry.substr(1, entry.find(']') - 1));
    if (const auto address = base::IpAddress::parse(entry)) return address;
    const auto port = entry.substr(std::min(entry.find(':'), entry.size()));
    const bool is_port = port.size() > 1 && port.size() <= 6 &&
                         std::ranges::all_of(port.substr(1), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_port) return std::nullopt;
    return base::IpAddress::parse(entry.substr(0, entry.size() - port.size()));
}

/// The client behind trusted proxies: of X-Forwarded-For, from its end, the first address that is not trusted. What is
/// in front of that may be anybody's invention.
void find_client(Exchange& exchange, const std::vector<base::Cidr>& trust) {
    const auto& fields = exchange.request.fields;
    for (const auto& field : fields.all(FieldId::x_forwarded_for) | std::views::reverse) {
        auto rest = field.value;
        while (!rest.empty()) {
            const auto comma = rest.rfind(',');
            const auto entry = trimmed(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(0, comma);
            const auto address = read_address(entry);
            if (!address) return;
            exchange.client_address = *address;
            exchange.client_text = address->text();
            if (!base::any_contains(trust, *address)) return;
        }
    }
}

/// Marks the fields that this proxy writes itself, or does not believe.
void drop_fields(Exchange& exchange, bool trusted) {
    auto& fields = exchange.request.fields;
    const auto drop = [&fields](std::initializer_list<FieldId> ids) {
        for (const auto id : ids) {
            for (auto& field : fields.all(id)) field.dropped = true;
        }
    };
    drop({FieldId::content_length, FieldId::x_forwarded_for, FieldId::x_real_ip, FieldId::x_request_id});
    if (!trusted) drop({FieldId::x_forwarded_proto, FieldId::x_forwarded_host, FieldId::forwarded});
    // The authority of an absolute-form target takes the place of Host (RFC 9112 3.2.2).
    for (auto& field : fields.all(FieldId::host)) {
        if (field.value != exchange.request.host) field.dropped = true;
    }
}

bool is_loop(const Exchange& exchange, std::string_view pseudonym) {
    return std::ranges::any_of(exchange.request.fields.all(FieldId::via), [&](const Field& field) {
        return field.value.find(pseudonym) != std::string_view::npos;
    });
}

/// Whether a filter has decided about this field, so that the proxy writes none of its own.
bool is_settled(const Exchange& exchange, FieldId id) {
    return exchange.settled_request_fields[static_cast<std::size_t>(id)];
}

void write_forwarded_for(const Exchange& exchange, http::h1::Output& out) {
    out.append("X-Forwarded-For: ");
    if (exchange.client->trusted) {
        for (const auto& field : exchange.request.fields.all(FieldId::x_forwarded_for)) {
            if (!field.value.empty()) out.append({field.value, ", "});
        }
    }
    out.append({exchange.client->text(), "\r\n"});
}

bool has_kept(const Exchange& exchange, FieldId id) {
    const auto* field = exchange.request.find(id);
    return field != nullptr && !field->dropped;
}

void write_connection(const http::RequestHead& request, http::h1::Output& out) {
    if (request.upgrade == http::UpgradeKind::websocket) {
        out.append("Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if (request.accepts_trailers) {
        out.append("Connection: TE\r\nTE: trailers\r\n");
    }
}

void write_framing(const http::RequestHead& request, http::h1::Output& out) {
    if (request.framing == http::Framing::chunked) {
        out.append("Transfer-Encoding: chunked\r\n");
    } else if (request.framing == http::Framing::length || request.fields.has(FieldId::content_length)) {
        out.append("Content-Length: ");
        out.append_number(request.content_length);
        out.append("\r\n");
    }
}

}  // namespace

bool prepare_request(Worker& worker, Exchange& exchange) {
    const bool trusted = exchange.client->trusted;
    exchange.client_address = exchange.client->address;
    if (trusted) find_client(exchange, exchange.view->snapshot->config->forwarded.trust);
    drop_fields(exchange, trusted);
    if (trusted && exchange.request_id.empty()) exchange.request_id = exchange.request.value(FieldId::x_request_id);
    if (exchange.request_id.empty()) {
        worker.request_ids.next(exchange.made_id);
        exchange.request_id = {exchange.made_id.data(), exchange.made_id.size()};
    }
    return !is_loop(exchange, worker.pseudonym);
}

void write_request_head(const Worker& worker, const Exchange& exchange, const upstream::Endpoint& endpoint,
                        http::h1::Output& out) {
    const auto& request = exchange.request;
    const auto host = request.host.empty() ? std::string_view{endpoint.host} : request.host;
    out.clear();
    out.append({request.method_text, " ",
                exchange.rewritten_target.empty() ? request.origin_target : exchange.rewritten_target,
                " HTTP/1.1\r\n"});
    if (!has_kept(exchange, FieldId::host)) out.append_field("Host", host);
    out.append_fields(request.fields);
    if (!is_settled(exchange, FieldId::x_forwarded_for)) write_forwarded_for(exchange, out);
    if (!is_settled(exchange, FieldId::x_real_ip)) out.append_field("X-Real-IP", exchange.client_ip());
    if (!has_kept(exchange, FieldId::x_forwarded_proto) && !is_settled(exchange, FieldId::x_forwarded_proto))
        out.append_field("X-Forwarded-Proto", exchange.scheme);
    if (!request.host.empty() && !has_kept(exchange, FieldId::x_forwarded_host) &&
        !is_settled(exchange, FieldId::x_forwarded_host))
        out.append_field("X-Forwarded-Host", request.host);
    if (!is_settled(exchange, FieldId::x_request_id)) out.append_field("X-Request-ID", exchange.request_id);
    if (!is_settled(exchange, FieldId::via)) out.append({"Via: 1.1 ", worker.pseudonym, "\r\n"});
    write_framing(request, out);
    write_connection(request, out);
    for (const auto& [name, value] : exchange.request_additions) out.append_field(name, value);
    out.append("\r\n");
}

}  // namespace nsboot_lb::forward
