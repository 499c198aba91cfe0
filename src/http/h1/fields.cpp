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

/// Of what may stand in a value: SP or HTAB.
bool is_blank(char c) {
    return static_cast<unsigned char>(c) <= ' ';
}

}  // namespace

Parsed no_line_end(const char* at, const char* end, const HeadError& refusal, HeadError& error) {
    if (at == end || (*at == '\r' && at + 1 == end)) return Parsed::incomplete;
    return fail(error, refusal);
}

Parsed read_fields(const char*& at, const char* end, std::size_t most, Fields& fields, HeadError& error) {
    for (std::size_t count = 0;; ++count) {
        const auto* const name = at;
        bool underscore = false;
        const auto* const colon = scan_name(name, end, underscore);
        if (colon == end) return Parsed::incomplete;
        if (colon == name && (*name == '\r' || *name == '\n')) return read_line_end(at, end, bad_header, error);
        // White space before the colon, a folded line, an empty name, a line without a colon (RFC 9112 5.1, 5.2).
        if (*colon != ':' || colon == name) return fail(error, bad_header);
        if (count == most) return fail(error, {431, Reason::too_many_headers, "too many header fields"});

        const auto* value = colon + 1;
        const auto* const stop = scan_value(value, end);
        const auto* line_end = stop;
        if (const auto ended = read_line_end(line_end, end, bad_header, error); ended != Parsed::complete) return ended;
        at = line_end;
        while (value != stop && is_blank(*value)) ++value;
        const auto* value_end = stop;
        while (value_end != value && is_blank(value_end[-1])) --value_end;
        const bool canonical = value == colon + 2 && colon[1] == ' ' && value_end == stop;

        const auto id = field_id({name, colon});
        // Origins that fold `_` into `-`, as CGI does, would take transfer_encoding for the real one.
        fields.push_back({{name, colon}, {value, value_end}, id, is_hop_by_hop(id) || underscore, canonical});
    }
}

Connection read_connection(Fields& fields) {
    Connection connection;
    std::size_t options = 0;
    for (const auto& field : fields.all(FieldId::connection)) {
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
    if (!fields.has(FieldId::transfer_encoding)) return Coding::none;
    bool valid = true;
    bool last_is_chunked = false;
    std::size_t chunked = 0;
    std::size_t codings = 0;
    for (const auto& field : fields.all(FieldId::transfer_encoding)) {
        for_each_element(field.value, [&](std::string_view coding) {
            ++codings;
            last_is_chunked = equal_ignoring_case(coding, "chunked");
            chunked += last_is_chunked ? 1 : 0;
            valid = valid && !coding.empty() && std::ranges::all_of(coding, is_token_char);
            return true;
        });
    }
    if (!valid || !last_is_chunked || chunked != 1) return Coding::broken;
    return codings == 1 ? Coding::chunked : Coding::unknown;
}

}  // namespace nsboot_lb::http::h1
