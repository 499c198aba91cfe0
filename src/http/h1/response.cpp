#include <algorithm>
#include <charconv>

#include "fields.hpp"
#include "nsboot_lb/http/field_names.hpp"
#include "nsboot_lb/http/h1/parse.hpp"
#include "scan.hpp"

namespace nsboot_lb::http::h1 {

using observe::Reason;

namespace {

constexpr HeadError bad_response{502, Reason::upstream_protocol, "the server sent a malformed response"};

Parsed fail(HeadError& error, const HeadError& with = bad_response) {
    error = with;
    return Parsed::failed;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// HTTP-version SP 3DIGIT [SP reason] CRLF (RFC 9112 4); a missing reason is common and harmless.
Parsed read_status_line(const char*& at, const char* end, ResponseHead& head, HeadError& error) {
    constexpr std::string_view prefix = "HTTP/1.";
    constexpr std::size_t fixed = prefix.size() + 5;  // minor version, SP, three digits
    const std::string_view line{at, std::min(fixed, static_cast<std::size_t>(end - at))};
    if (line.size() < prefix.size() ? !prefix.starts_with(line) : !line.starts_with(prefix)) return fail(error);
    for (std::size_t i = prefix.size(); i < line.size(); ++i) {
        if (i == prefix.size() + 1 ? line[i] != ' ' : !is_digit(line[i])) return fail(error);
    }
    if (line.size() < fixed) return Parsed::incomplete;
    head.minor_version = at[prefix.size()] - '0';
    const auto* const digits = at + prefix.size() + 2;
    head.status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    if (head.status < 100) return fail(error);
    at += fixed;
    if (at == end) return Parsed::incomplete;
    if (*at == ' ') {
        const auto* const reason = ++at;
        at = scan_value(at, end);
        head.reason = {reason, at};
    }
    return read_line_end(at, end, bad_response, error);
}

/// Whether Content-Length may stand in a response of this status (RFC 9110 8.6).
bool may_have_length(int status) {
    return status >= 200 && status != 204;
}

/// Content-Length may be repeated or a list, if all of it says the same (RFC 9110 8.6). Then it is written anew, once.
bool read_lengths(ResponseHead& head) {
    for (auto& field : head.fields.all(FieldId::content_length)) {
        field.dropped = true;
        bool valid = true;
        for_each_element(field.value, [&](std::string_view element) {
            const auto length = read_length(element);
            valid = length && (!head.has_content_length || *length == head.content_length);
            if (!valid) return false;
            head.has_content_length = true;
            head.content_length = *length;
            return true;
        });
        if (!valid) return false;
    }
    return true;
}

/// The usual Content-Length: one plain number, which crosses where it stands.
bool read_plain_length(ResponseHead& head) {
    const auto* const field = head.fields.find(FieldId::content_length);
    if (head.fields.repeats(FieldId::content_length) || !may_have_length(head.status)) return false;
    const auto length = read_length(field->value);
    if (!length) return false;
    head.has_content_length = head.length_in_fields = true;
    head.content_length = *length;
    return true;
}

/// RFC 9112 6.3, without what depends on the request and the status.
bool read_framing(ResponseHead& head) {
    if (head.fields.has(FieldId::content_length) && !read_plain_length(head) && !read_lengths(head)) return false;
    switch (read_transfer_encoding(head.fields)) {
        case Coding::none: head.framing = head.has_content_length ? Framing::length : Framing::until_close; return true;
        case Coding::chunked:
            if (head.minor_version == 0) return false;
            head.framing = Framing::chunked;
            head.has_content_length = false;  // RFC 9112 6.3: it does not count, and does not cross
            for (auto& field : head.fields.all(FieldId::content_length)) field.dropped = true;
            return true;
        case Coding::unknown:
        case Coding::broken: return false;
    }
    return false;
}

/// Keep-Alive: timeout=N (RFC 2068 19.7.1.1), which servers still send.
std::optional<std::uint32_t> read_keep_alive_timeout(std::string_view value) {
    std::optional<std::uint32_t> timeout;
    for_each_element(value, [&](std::string_view parameter) {
        constexpr std::string_view name = "timeout=";
        if (parameter.size() <= name.size() || !equal_ignoring_case(parameter.substr(0, name.size()), name))
            return true;
        const auto* const last = parameter.data() + parameter.size();
        std::uint32_t seconds = 0;
        const auto [end, failure] = std::from_chars(parameter.data() + name.size(), last, seconds);
        if (failure == std::errc{} && end == last) timeout = seconds;
        return false;
    });
    return timeout;
}

Parsed parse_strictly(std::string_view bytes, const HeadLimits& limits, ResponseHead& head, HeadError& error) {
    head.clear();
    const auto* at = bytes.data();
    const auto* const end = at + bytes.size();
    if (const auto line = read_status_line(at, end, head, error); line != Parsed::complete) return line;
    if (const auto fields = read_fields(at, end, limits.header_count, head.fields, error); fields != Parsed::complete) {
        if (fields == Parsed::failed && error.reason == Reason::bad_header) return fail(error);
        if (fields == Parsed::failed)
            return fail(error, {502, Reason::upstream_header_too_large, "the server sent too many header fields"});
        return fields;
    }
    head.size = static_cast<std::size_t>(at - bytes.data());
    if (!read_framing(head)) return fail(error);
    const auto connection = read_connection(head.fields);
    if (!connection.valid) return fail(error);
    head.keep_alive = head.minor_version == 0 ? connection.keep_alive && !connection.close : !connection.close;
    head.has_date = head.fields.has(FieldId::date);
    for (const auto& field : head.fields.all(FieldId::keep_alive))
        head.keep_alive_timeout_s = read_keep_alive_timeout(field.value);
    for (const auto& field : head.fields.all(FieldId::upgrade)) {
        head.upgrade_value = field.value;
        head.upgrade = equal_ignoring_case(field.value, "websocket") ? UpgradeKind::websocket : UpgradeKind::other;
    }
    return Parsed::complete;
}

/// What mend() can do nothing about: a status line that is none, controls, bare CR or LF. A CR at the end may still get
/// its LF.
bool is_hopeless(std::string_view head) {
    const auto* at = head.data();
    const auto* const end = at + head.size();
    ResponseHead line;
    HeadError error;
    if (read_status_line(at, end, line, error) != Parsed::complete) return true;
    while ((at = scan_value(at, end)) != end) {
        if (read_line_end(at, end, bad_response, error) == Parsed::failed) return true;
        if (at + 1 == end && *at == '\r') return false;
    }
    return false;
}

/// The head without obsolete folding and without white space in front of colons, if that is all that is wrong with it.
/// RFC 9112 5.1 and 5.2 ask a proxy to mend exactly these.
std::string mend(std::string_view head) {
    std::string mended;
    mended.reserve(head.size());
    bool in_name = false;    // the status line has no name
    bool in_fields = false;  // and nothing can be folded into it (RFC 9112 2.2)
    for (std::size_t i = 0; i < head.size(); ++i) {
        const char c = head[i];
        if (in_fields && c == '\r' && i + 2 < head.size() && head[i + 1] == '\n' &&
            (head[i + 2] == ' ' || head[i + 2] == '\t')) {
            mended += ' ';
            i += 2;
            continue;
        }
        if (in_name && (c == ' ' || c == '\t')) {
            const auto next = head.find_first_not_of(" \t", i);
            if (next != std::string_view::npos && head[next] == ':') {
                i = next - 1;
                continue;
            }
        }
        if (c == '\n')
            in_name = in_fields = true;
        else if (c == ':')
            in_name = false;
        mended += c;
    }
    return mended;
}

}  // namespace

Parsed parse_response(std::string_view bytes, const HeadLimits& limits, ResponseHead& head, std::string& mended,
                      HeadError& error) {
    constexpr HeadError too_large{502, Reason::upstream_header_too_large, "the server sent a header that is too large"};
    auto result = parse_strictly(bytes, limits, head, error);
    if (result == Parsed::failed && error.reason == Reason::upstream_protocol) {
        const auto end = bytes.find("\r\n\r\n");
        if (end == std::string_view::npos) {
            // The mistake may be one that can be mended once all of the head is there.
            if (is_hopeless(bytes)) return result;
            return bytes.size() > limits.header_size ? fail(error, too_large) : Parsed::incomplete;
        }
        mended = mend(bytes.substr(0, end + 4));
        result = parse_strictly(mended, limits, head, error);
        if (result == Parsed::incomplete) return fail(error);
        head.size = end + 4;
    }
    const auto size = result == Parsed::complete ? head.size : bytes.size();
    if (result != Parsed::failed && size > limits.header_size) return fail(error, too_large);
    return result;
}

}  // namespace nsboot_lb::http::h1
