#include <algorithm>
#include <array>
#include <charconv>

#include "fields.hpp"
#include "nsboot_lb/http/field_names.hpp"
#include "nsboot_lb/http/h1/parse.hpp"
#include "scan.hpp"

namespace nsboot_lb::http::h1 {

using observe::Reason;

namespace {

constexpr HeadError bad_request_line{400, Reason::bad_request_line, "malformed request line"};
constexpr HeadError bad_target{400, Reason::bad_target, "malformed request target"};
constexpr HeadError bad_version{505, Reason::bad_version, "HTTP version not supported"};
constexpr HeadError bad_host{400, Reason::bad_host, "missing, repeated or malformed Host"};
constexpr HeadError bad_framing{400, Reason::bad_framing, "ambiguous or malformed message framing"};
constexpr HeadError bad_header{400, Reason::bad_header, "malformed header field"};

/// RFC 9112 2.2: empty lines in front of a request line are skipped, but not without end.
constexpr int most_empty_lines = 2;
constexpr std::size_t longest_method = 64;

struct MethodName {
    std::string_view text;
    Method method;
};
constexpr std::array methods{
    MethodName{"GET", Method::get},     MethodName{"HEAD", Method::head},       MethodName{"POST", Method::post},
    MethodName{"PUT", Method::put},     MethodName{"DELETE", Method::delete_},  MethodName{"OPTIONS", Method::options},
    MethodName{"PATCH", Method::patch}, MethodName{"CONNECT", Method::connect}, MethodName{"TRACE", Method::trace},
};

Method method_of(std::string_view text) {
    for (const auto& name : methods) {
        if (name.text == text) return name.method;
    }
    return Method::other;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

Parsed fail(HeadError& error, const HeadError& with) {
    error = with;
    return Parsed::failed;
}

/// What is wrong with the text at `at`, which is no "HTTP/1.x" with the line's end.
Parsed no_version(const char* at, const char* end, HeadError& error) {
    constexpr std::string_view prefix = "HTTP/";
    for (std::size_t i = 0; i < 8; ++i) {
        if (at + i == end) return Parsed::incomplete;
        const char c = at[i];
        const bool good = i < 5 ? c == prefix[i] : i == 6 ? c == '.' : is_digit(c);
        if (!good) return fail(error, bad_request_line);
    }
    const auto* line_end = at + 8;
    const auto ended = read_line_end(line_end, end, bad_request_line, error);
    return ended == Parsed::complete ? fail(error, bad_version) : ended;
}

/// "HTTP/1.x" and the line's end, at `at`.
Parsed read_version(const char*& at, const char* end, RequestHead& head, HeadError& error) {
    constexpr std::string_view prefix = "HTTP/1.";
    constexpr std::size_t size = prefix.size() + 3;  // minor version and the line's end
    const std::string_view line{at, std::min(size, static_cast<std::size_t>(end - at))};
    const bool good = line.size() == size && line.starts_with(prefix) && is_digit(line[7]) && line.ends_with("\r\n");
    if (!good) return no_version(at, end, error);
    head.minor_version = line[7] - '0';
    at += size;
    return Parsed::complete;
}

/// method SP request-target SP HTTP-version CRLF (RFC 9112 3), single spaces.
Parsed read_request_line(const char*& at, const char* end, std::size_t uri_size, RequestHead& head, HeadError& error) {
    const auto* const method = at;
    at = scan_token(at, end);
    if (static_cast<std::size_t>(at - method) > longest_method) return fail(error, bad_request_line);
    if (at == end) return Parsed::incomplete;
    if (*at != ' ' || at == method) return fail(error, bad_request_line);
    head.method_text = {method, at};
    head.method = method_of(head.method_text);

    const auto* const target = ++at;
    at = scan_target(at, end);
    if (static_cast<std::size_t>(at - target) > uri_size)
        return fail(error, {414, Reason::uri_too_long, "request target too long"});
    if (at == end) return Parsed::incomplete;
    if (*at != ' ' || at == target) return fail(error, bad_request_line);
    head.target = {target, at};
    ++at;
    return read_version(at, end, head, error);
}

/// A percent-encoded NUL has no meaning but trouble, and a fragment is never sent (RFC 9110 4.2.5).
bool has_forbidden_octets(std::string_view target) {
    return target.find('#') != std::string_view::npos || target.find("%00") != std::string_view::npos;
}

/// "http://authority/path" (RFC 9112 3.2.2): the authority counts as the host, the rest is sent on.
bool read_absolute_form(RequestHead& head) {
    const auto scheme_end = head.target.find("://");
    if (scheme_end == std::string_view::npos) return false;
    const auto scheme = head.target.substr(0, scheme_end);
    if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) return false;
    const auto rest = head.target.substr(scheme_end + 3);
    const auto path = rest.find_first_of("/?");
    head.host = rest.substr(0, path);
    if (path == std::string_view::npos) {
        head.origin_target = head.method == Method::options ? "*" : "/";  // RFC 9112 3.2.4
    } else if (rest[path] == '/') {
        head.origin_target = rest.substr(path);
    } else {
        head.made_target = "/";  // RFC 9112 3.2.1: an empty path is sent as "/"
        head.made_target += rest.substr(path);
        head.origin_target = head.made_target;
    }
    return is_valid_host(head.host);
}

bool read_target(RequestHead& head, HeadError& error) {
    if (has_forbidden_octets(head.target)) return fail(error, bad_target) == Parsed::complete;
    if (head.target.front() == '/') {
        head.origin_target = head.target;
    } else if (head.target == "*") {
        if (head.method != Method::options) return fail(error, bad_target) == Parsed::complete;
        head.origin_target = head.target;
    } else if (head.method == Method::connect) {
        head.origin_target = {};  // authority-form; refused by the method
    } else if (!read_absolute_form(head)) {
        return fail(error, bad_target) == Parsed::complete;
    }
    const auto question = head.origin_target.find('?');
    head.path = head.origin_target.substr(0, question);
    head.query = question == std::string_view::npos ? std::string_view{} : head.origin_target.substr(question + 1);
    return true;
}

/// RFC 9112 3.2: exactly one valid Host in 1.1, at most one in 1.0.
bool read_host(RequestHead& head, HeadError& error) {
    const auto* const host = head.find(FieldId::host);
    if (host == nullptr) return head.minor_version == 0 || fail(error, bad_host) == Parsed::complete;
    if (head.fields.repeats(FieldId::host) || !is_valid_host(host->value))
        return fail(error, bad_host) == Parsed::complete;
    if (head.host.empty()) head.host = host->value;
    return true;
}

/// RFC 9112 6: one framing, or none.
bool read_framing(RequestHead& head, HeadError& error) {
    const auto coding = read_transfer_encoding(head.fields);
    const auto* const length_field = head.find(FieldId::content_length);
    if (length_field != nullptr) {
        const auto length = read_length(length_field->value);
        if (head.fields.repeats(FieldId::content_length) || !length)
            return fail(error, bad_framing) == Parsed::complete;
        head.framing = *length == 0 ? Framing::none : Framing::length;
        head.content_length = *length;
    }
    if (coding == Coding::none) return true;
    if (length_field != nullptr || head.minor_version == 0 || coding == Coding::broken)
        return fail(error, bad_framing) == Parsed::complete;
    if (coding == Coding::unknown)
        return fail(error, {501, Reason::unknown_transfer_coding, "transfer coding not implemented"}) ==
               Parsed::complete;
    head.framing = Framing::chunked;
    return true;
}

UpgradeKind read_upgrade(const RequestHead& head, const Connection& connection) {
    if (!connection.upgrade || head.minor_version == 0) return UpgradeKind::none;
    const auto* upgrade = head.find(FieldId::upgrade);
    if (upgrade == nullptr) return UpgradeKind::none;
    return equal_ignoring_case(upgrade->value, "websocket") ? UpgradeKind::websocket : UpgradeKind::other;
}

bool read_semantics(RequestHead& head, HeadError& error) {
    const auto connection = read_connection(head.fields);
    if (!connection.valid) return fail(error, bad_header) == Parsed::complete;
    head.keep_alive = head.minor_version == 0 ? connection.keep_alive && !connection.close : !connection.close;
    head.upgrade = read_upgrade(head, connection);
    for (const auto& field : head.fields.all(FieldId::expect)) {
        if (!equal_ignoring_case(field.value, "100-continue"))
            return fail(error, {417, Reason::unknown_expectation, "unknown expectation"}) == Parsed::complete;
        head.expect_continue = head.minor_version > 0;  // RFC 9110 10.1.1
    }
    for (const auto& field : head.fields.all(FieldId::te)) {
        for_each_element(field.value, [&](std::string_view coding) {
            head.accepts_trailers = head.accepts_trailers || equal_ignoring_case(coding, "trailers");
            return true;
        });
    }
    for (const auto& field : head.fields.all(FieldId::max_forwards)) {
        std::uint32_t hops = 0;
        const auto* const last = field.value.data() + field.value.size();
        const auto [end, failure] = std::from_chars(field.value.data(), last, hops);
        if (failure == std::errc{} && end == last) head.max_forwards = hops;
    }
    return true;
}

bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// What may stand in a name of a host beside percent-encoded octets.
constexpr auto host_table = [] {
    auto table = token_table;
    for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '^', '`', '|'})
        table[static_cast<unsigned char>(c)] = false;
    return table;
}();

bool is_host_char(char c) {
    return host_table[static_cast<unsigned char>(c)];
}

Parsed over_size(std::string_view bytes, const HeadLimits& limits, HeadError& error, Parsed otherwise) {
    if (bytes.size() <= limits.header_size) return otherwise;
    return fail(error, {431, Reason::header_too_large, "request header too large"});
}

}  // namespace

bool is_valid_host(std::string_view host) {
    std::string_view port;
    if (host.starts_with('[')) {
        const auto close = host.find(']');
        if (close == std::string_view::npos || close < 3) return false;
        const auto is_address_char = [](char c) { return is_hex(c) || c == ':' || c == '.'; };
        if (!std::ranges::all_of(host.substr(1, close - 1), is_address_char)) return false;
        port = host.substr(close + 1);
    } else {
        const auto* const end = host.data() + host.size();
        const auto* at = host.data();
        for (;; at += 3) {
            at = std::find_if_not(at, end, is_host_char);
            if (at == end || *at != '%') break;
            if (end - at < 3 || !is_hex(at[1]) || !is_hex(at[2])) return false;
        }
        if (at == host.data()) return false;
        port = {at, end};
    }
    if (port.empty()) return true;
    if (port.front() != ':') return false;
    port.remove_prefix(1);
    if (port.size() > 5 || !std::ranges::all_of(port, is_digit)) return false;
    std::uint32_t number = 0;
    for (const char c : port) number = number * 10 + static_cast<std::uint32_t>(c - '0');
    return number <= 65535;
}

Parsed parse_request(std::string_view bytes, const HeadLimits& limits, RequestHead& head, HeadError& error) {
    head.clear();
    const auto* at = bytes.data();
    const auto* const end = at + bytes.size();
    for (int i = 0; i < most_empty_lines && at != end && *at == '\r'; ++i) {
        if (const auto ended = read_line_end(at, end, bad_request_line, error); ended != Parsed::complete) return ended;
    }
    if (const auto line = read_request_line(at, end, limits.uri_size, head, error); line != Parsed::complete)
        return line == Parsed::failed ? line : over_size(bytes, limits, error, line);
    if (const auto fields = read_fields(at, end, limits.header_count, head.fields, error); fields != Parsed::complete)
        return fields == Parsed::failed ? fields : over_size(bytes, limits, error, fields);
    head.bytes = {bytes.data(), at};
    if (head.bytes.size() > limits.header_size) return over_size(head.bytes, limits, error, Parsed::failed);
    if (!read_target(head, error) || !read_host(head, error) || !read_framing(head, error) ||
        !read_semantics(head, error))
        return Parsed::failed;
    // What follows the head is a body or a tunnel's, not both: two would read from one connection.
    if (head.upgrade == UpgradeKind::websocket && head.framing != Framing::none)
        return fail(error, {400, Reason::bad_framing, "an upgrade to websocket with a body"});
    return Parsed::complete;
}

Parsed parse_trailers(std::string_view bytes, const HeadLimits& limits, Fields& fields, std::size_t& size,
                      HeadError& error) {
    fields.clear();
    const auto* at = bytes.data();
    const auto result = read_fields(at, at + bytes.size(), limits.header_count, fields, error);
    size = static_cast<std::size_t>(at - bytes.data());
    if (result != Parsed::failed && bytes.size() > limits.header_size && size > limits.header_size)
        return fail(error, {431, Reason::header_too_large, "trailer section too large"});
    return result;
}

}  // namespace nsboot_lb::http::h1
