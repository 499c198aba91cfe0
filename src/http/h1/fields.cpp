#include "fields.hpp"

#include <algorithm>

#include "nsboot_lb/http/field_names.hpp"
#include "scan.hpp"

namespace nsboot_lb::http::h1 {

using observe::Reason;

namespace {

constexpr HeadError bad_header{400, Reason::bad_header, "malformed header field"};
constexpr std::size_t most_connection_options = 32;

Parsed fail(HeadError& error, const HeadError& with) {
    error = with;
    return Parsed::failed;
}

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

}  // namespace

Parsed read_line_end(const char*& at, const char* end, const HeadError& refusal, HeadError& error) {
    if (at == end) return Parsed::incomplete;
    if (*at != '\r') return fail(error, refusal);
    if (at + 1 == end) return Parsed::incomplete;
    if (at[1] != '\n') return fail(error, refusal);
    at += 2;
    return Parsed::complete;
}

Parsed read_fields(const char*& at, const char* end, std::size_t most, Fields& fields, HeadError& error) {
    for (;;) {
        if (at == end) return Parsed::incomplete;
        if (*at == '\r' || *at == '\n') return read_line_end(at, end, bad_header, error);
        const auto* const name = at;
        const auto* const colon = scan_token(at, end);
        if (colon == end) return Parsed::incomplete;
        // White space before the colon, a folded line, an empty name, a line without a colon (RFC 9112 5.1, 5.2).
        if (*colon != ':' || colon == name) return fail(error, bad_header);
        if (fields.size() == most) return fail(error, {431, Reason::too_many_headers, "too many header fields"});

        const auto* value = colon + 1;
        while (value != end && is_blank(*value)) ++value;
        const auto* stop = scan_value(value, end);
        const auto* line_end = stop;
        if (const auto ended = read_line_end(line_end, end, bad_header, error); ended != Parsed::complete) return ended;
        const bool canonical = value == colon + 2 && colon[1] == ' ' && (stop == value || !is_blank(stop[-1]));
        while (stop != value && is_blank(stop[-1])) --stop;
        at = line_end;

        Field field{{name, colon}, {value, stop}, FieldId::other, false, canonical};
        field.id = field_id(field.name);
        // Origins that fold `_` into `-`, as CGI does, would take transfer_encoding for the real one.
        field.dropped = is_hop_by_hop(field.id) || field.name.find('_') != std::string_view::npos;
        fields.push_back(field);
    }
}

Connection read_connection(Fields& fields) {
    Connection connection;
    std::size_t options = 0;
    for (const auto& field : fields) {
        if (field.id != FieldId::connection) continue;
        for_each_element(field.value, [&](std::string_view option) {
            if (option.empty()) return true;
            if (++options > most_connection_options || !std::ranges::all_of(option, is_token_char)) {
                connection.valid = false;
                return false;
            }
            if (equal_ignoring_case(option, "close")) {
                connection.close = true;
            } else if (equal_ignoring_case(option, "keep-alive")) {
                connection.keep_alive = true;
            } else if (equal_ignoring_case(option, "upgrade")) {
                connection.upgrade = true;
            } else {
                for (auto& named : fields) {
                    if (!is_protected(named.id) && equal_ignoring_case(named.name, option)) named.dropped = true;
                }
            }
            return true;
        });
    }
    return connection;
}

std::optional<std::uint64_t> read_length(std::string_view text) {
    if (text.empty()) return std::nullopt;
    constexpr std::uint64_t most = (1ULL << 63) - 1;
    std::uint64_t length = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (length > (most - digit) / 10) return std::nullopt;
        length = length * 10 + digit;
    }
    return length;
}

Coding read_transfer_encoding(const Fields& fields) {
    bool any = false;
    bool valid = true;
    bool last_is_chunked = false;
    std::size_t chunked = 0;
    std::size_t codings = 0;
    for (const auto& field : fields) {
        if (field.id != FieldId::transfer_encoding) continue;
        any = true;
        for_each_element(field.value, [&](std::string_view coding) {
            ++codings;
            last_is_chunked = equal_ignoring_case(coding, "chunked");
            chunked += last_is_chunked ? 1 : 0;
            valid = valid && !coding.empty() && std::ranges::all_of(coding, is_token_char);
            return true;
        });
    }
    if (!any) return Coding::none;
    if (!valid || !last_is_chunked || chunked != 1) return Coding::broken;
    return codings == 1 ? Coding::chunked : Coding::unknown;
}

}  // namespace nsboot_lb::http::h1
