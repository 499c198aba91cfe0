#pragma once
/// A request or response as a test sees it: the exact bytes, and a loose reading of them. Loose means that nothing is
/// refused: a test wants to look at what is wrong. Plain values.
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace nsboot_lb::test {

/// What is being read; it decides whether a body follows (RFC 9112 6.3).
enum class Kind { request, response, response_to_head };

enum class Framing { none, length, chunked, close };

struct Field {
    std::string name;
    std::string value;
    bool operator==(const Field&) const = default;
};

struct Message {
    std::string raw;   ///< every byte, as received
    std::string head;  ///< the part of `raw` up to and including the empty line
    std::string start_line;
    std::vector<Field> fields;
    Framing framing = Framing::none;
    std::vector<std::string> chunk_lines;  ///< the size lines of a chunked body, without CRLF
    std::string body;                      ///< decoded
    std::vector<Field> trailers;
    bool complete = false;  ///< the framing ended as it announced
    int connection = -1;    ///< at an origin: which of its connections, counted from 0

    std::string method() const;
    std::string target() const;
    std::string version() const;
    int status() const;  ///< 0 if there is none
    std::string reason() const;

    bool has(std::string_view name) const;
    /// The first of that name; "" if there is none.
    std::string field(std::string_view name) const;
    /// All of that name, in order.
    std::vector<std::string> values(std::string_view name) const;
    std::string trailer(std::string_view name) const;
    /// The head without the named fields, as it was spelled otherwise.
    std::string head_without(const std::vector<std::string_view>& names) const;
};

void PrintTo(const Field& field, std::ostream* out);
void PrintTo(const Message& message, std::ostream* out);

/// Fills start line and fields from `head`.
void parse_head(Message& message, std::string_view head);
bool equal_ignoring_case(std::string_view a, std::string_view b);
/// With line ends and other unprintable octets made visible.
std::string escaped(std::string_view bytes);

}  // namespace nsboot_lb::test
