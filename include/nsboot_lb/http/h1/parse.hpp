#pragma once
/// From received bytes to a checked head of HTTP/1.x (RFC 9112). The parser is ours and not Beast's because it is the
/// half of the user-space cost of a request with many fields, and because it refuses by itself what a front door must
/// refuse (docs/decisions/head-parser.md). Pure functions, for any thread.
#include <string>
#include <string_view>

#include "nsboot_lb/http/head.hpp"

namespace nsboot_lb::http::h1 {

enum class Parsed : std::uint8_t {
    complete,    ///< the head is filled in; its views point into the bytes that were given
    incomplete,  ///< nothing wrong so far; call again with more bytes, from the first
    failed,      ///< see the error
};

/// A request head at the beginning of `bytes`, which may go on behind it: head.bytes says where it ended.
Parsed parse_request(std::string_view bytes, const HeadLimits& limits, RequestHead& head, HeadError& error);

/// A response head at the beginning of `bytes`. What can be mended without changing the meaning is (obsolete line
/// folding, white space before a colon, equal duplicates of Content-Length, a missing reason phrase); the mended head
/// is kept in `mended`, which the caller owns and which must live as long as the head's views.
Parsed parse_response(std::string_view bytes, const HeadLimits& limits, ResponseHead& head, std::string& mended,
                      HeadError& error);

/// The fields of a trailer section up to its empty line, from the beginning of `bytes` (RFC 9112 7.1.2). `size` is what
/// they took.
Parsed parse_trailers(std::string_view bytes, const HeadLimits& limits, Fields& fields, std::size_t& size,
                      HeadError& error);

/// RFC 9110 7.2: uri-host [":" port], as this daemon accepts it: no user info, path, list or empty host.
bool is_valid_host(std::string_view host);

}  // namespace nsboot_lb::http::h1
