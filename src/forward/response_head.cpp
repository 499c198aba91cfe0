#include "response_head.hpp"

namespace nsboot_lb::forward {

using http::Framing;

namespace {

void write_status_line(const http::ResponseHead& head, http::h1::Output& out) {
    out.append("HTTP/1.1 ");
    out.append_number(static_cast<std::uint64_t>(head.status));
    out.append({" ", head.reason, "\r\n"});
}

/// Whether the length has to be written anew.
bool writes_length(const http::ResponseHead& head) {
    // RFC 9110 8.6: none in 1xx and 204. In answers to HEAD and in 304 it says what GET would have got.
    return head.has_content_length && !head.length_in_fields && head.status >= 200 && head.status != 204;
}

}  // namespace

bool has_body(http::Method method, int status) {
    return method != http::Method::head && status >= 200 && status != 204 && status != 304;
}

ClientFraming frame_for_client(const Worker& worker, const Exchange& exchange, const http::ResponseHead& head,
                               bool request_read) {
    ClientFraming result;
    const auto& request = exchange.request;
    result.keep_alive = request.keep_alive && request_read && !worker.draining;
    if (!has_body(request.method, head.status)) return result;
    if (head.framing == Framing::length) {
        result.framing = Framing::length;
    } else if (request.minor_version > 0) {
        result.framing = Framing::chunked;
    } else {
        result.framing = Framing::until_close;
        result.keep_alive = false;
    }
    return result;
}

void write_response_head(Worker& worker, const Exchange& exchange, const http::ResponseHead& head,
                         const ClientFraming& framing, http::h1::Output& out) {
    out.clear();
    write_status_line(head, out);
    out.append_fields(head.fields);
    if (writes_length(head)) {
        out.append("Content-Length: ");
        out.append_number(head.content_length);
        out.append("\r\n");
    }
    if (framing.framing == Framing::chunked) out.append("Transfer-Encoding: chunked\r\n");
    const auto settled = [&](http::FieldId id) {
        return exchange.settled_response_fields[static_cast<std::size_t>(id)];
    };
    if (!settled(http::FieldId::via)) out.append({"Via: 1.1 ", worker.pseudonym, "\r\n"});
    if (!head.has_date && !settled(http::FieldId::date)) out.append_field("Date", worker.date.at(worker.wall_now()));
    if (!framing.keep_alive)
        out.append("Connection: close\r\n");
    else if (exchange.request.minor_version == 0)
        out.append("Connection: keep-alive\r\n");
    for (const auto& [name, value] : exchange.response_additions) out.append_field(name, value);
    out.append("\r\n");
}

void write_interim_head(const Worker& worker, const http::ResponseHead& head, http::h1::Output& out) {
    out.clear();
    write_status_line(head, out);
    out.append_fields(head.fields);
    if (head.status == 101) out.append({"Connection: Upgrade\r\nUpgrade: ", head.upgrade_value, "\r\n"});
    if (head.status != 100) out.append({"Via: 1.1 ", worker.pseudonym, "\r\n"});
    out.append("\r\n");
}

}  // namespace nsboot_lb::forward
