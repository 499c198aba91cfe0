#pragma once
/// The field lines of a head or trailer section, and the rules for fields that requests and responses share.
#include <string_view>

#include "nsboot_lb/http/h1/parse.hpp"

namespace nsboot_lb::http::h1 {

/// Reads field lines from `at` up to and with the empty line that ends them; `at` is then behind it.
Parsed read_fields(const char*& at, const char* end, std::size_t most, Fields& fields, HeadError& error);

/// What it means that there is no CRLF at `at`.
Parsed no_line_end(const char* at, const char* end, const HeadError& refusal, HeadError& error);

/// Reads a line's CRLF at `at`. A bare LF or CR is refused.
inline Parsed read_line_end(const char*& at, const char* end, const HeadError& refusal, HeadError& error) {
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return no_line_end(at, end, refusal, error);
    at += 2;
    return Parsed::complete;
}

/// What the Connection fields say. The fields they name are marked as dropped, except those that frame or route the
/// message.
struct Connection {
    bool close = false;
    bool keep_alive = false;
    bool upgrade = false;
    bool valid = true;  ///< false: more options than anybody needs, or no token
};
Connection read_connection(Fields& fields);

/// 1*DIGIT up to 2^63-1; nothing for anything else (RFC 9110 8.6).
std::optional<std::uint64_t> read_length(std::string_view text);

/// What the Transfer-Encoding fields say together (RFC 9112 6.1).
enum class Coding : std::uint8_t {
    none,
    chunked,  ///< exactly one `chunked`
    unknown,  ///< well-formed, ends in chunked, but with codings that we do not have
    broken,   ///< no list of tokens, chunked not last or more than once
};
Coding read_transfer_encoding(const Fields& fields);

/// Calls `each` with every element of a comma-separated list, without white space around it; stops if it gives false.
template <class Each>
void for_each_element(std::string_view list, Each each) {
    for (;;) {
        const auto comma = list.find(',');
        auto element = list.substr(0, comma);
        while (!element.empty() && (element.front() == ' ' || element.front() == '\t')) element.remove_prefix(1);
        while (!element.empty() && (element.back() == ' ' || element.back() == '\t')) element.remove_suffix(1);
        if (!each(element) || comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace nsboot_lb::http::h1
