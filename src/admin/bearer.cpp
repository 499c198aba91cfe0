#include "bearer.hpp"

#include <algorithm>
#include <cstddef>

#include "nsboot_lb/base/read_file.hpp"

namespace nsboot_lb::admin {

namespace {

constexpr std::size_t max_token_file_bytes = 64UZ << 10;

bool equal_in_constant_time(std::string_view given, std::string_view token) {
    volatile unsigned difference = given.size() == token.size() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); ++i) {
        difference = difference | static_cast<unsigned char>(given[i] ^ token[i % token.size()]);
    }
    return difference == 0;
}

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
    return std::ranges::equal(a, lower, [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

}  // namespace

std::expected<std::string, std::string> read_token(const std::string& file) {
    const auto text = base::read_file(file, max_token_file_bytes);
    if (!text) return std::unexpected("cannot read a token from " + file + ": " + text.error().why);
    const std::string line = text->substr(0, text->find('\n'));
    constexpr std::string_view space = " \t\r";
    const std::size_t first = line.find_first_not_of(space);
    if (first == std::string::npos) return std::unexpected("the first line of " + file + " is empty");
    return line.substr(first, line.find_last_not_of(space) + 1 - first);
}

bool is_bearer(std::string_view authorization, std::string_view token) {
    constexpr std::string_view scheme = "bearer ";
    if (token.empty() || authorization.size() <= scheme.size()) return false;
    if (!equal_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return false;
    const std::string_view given = authorization.substr(scheme.size());
    return equal_in_constant_time(given.substr(std::min(given.find_first_not_of(' '), given.size())), token);
}

}  // namespace nsboot_lb::admin
