#pragma once
/// Percent-decoding of one octet as routing sees it. Pure, private to this floor.
#include <cstddef>
#include <string_view>

namespace nsboot_lb::route {

constexpr int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

/// The octet that begins at text[position], moving `position` behind it: %XX decoded, anything else itself.
constexpr char next_octet(std::string_view text, std::size_t& position) {
    const char first = text[position++];
    if (first != '%' || text.size() - position < 2) return first;
    const int high = hex_value(text[position]);
    const int low = hex_value(text[position + 1]);
    if (high < 0 || low < 0) return first;
    position += 2;
    return static_cast<char>(high * 16 + low);
}

}  // namespace nsboot_lb::route
