#pragma once
/// The patterns of `path_glob`, `path_regex` and `header: {regex: ...}` as regular expressions. Compiled once when a
/// table is built; RE2 allows any number of threads to match with one expression. Private to this floor.
#include <memory>
#include <string>
#include <string_view>

#include <re2/re2.h>

namespace nsboot_lb::route {

/// An expression over octets (Latin-1), in which `.` is any of them: with RE2's usual UTF-8 a request could slip past a
/// route by an octet that is no UTF-8, or by a line feed.
std::unique_ptr<const re2::RE2> compile_regex(std::string_view expression);

/// The expression that takes what the glob takes (see RouteTable).
std::string glob_expression(std::string_view glob);

/// A path that begins everything the glob takes: its part before the first star, up to the last `/`, such as "/images/"
/// of "/images/*.iso". Empty if there is none.
std::string glob_directory(std::string_view glob);

/// Whether `path` is under `prefix`, both in their normal form (see RouteTable).
bool is_under(std::string_view path, std::string_view prefix);

}  // namespace nsboot_lb::route
