#include "message.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace nsboot_lb::test {
namespace {

std::string word(std::string_view line, int index) {
    for (; index > 0; --index) {
        const auto space = line.find(' ');
        if (space == line.npos) return {};
        line.remove_prefix(space + 1);
    }
    return std::string{line.substr(0, line.find(' '))};
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

std::string_view take_line(std::string_view& rest) {
    const auto end = std::min(rest.find("\r\n"), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    return line;
}

}  // namespace

std::string Message::method() const {
    return word(start_line, 0);
}
std::string Message::target() const {
    return word(start_line, 1);
}

std::string Message::version() const {
    return start_line.starts_with("HTTP/") ? word(start_line, 0) : word(start_line, 2);
}

int Message::status() const {
    const std::string digits = start_line.starts_with("HTTP/") ? word(start_line, 1) : std::string{};
    int status = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), status);
    return status;
}

std::string Message::reason() const {
    const auto first = start_line.find(' ');
    const auto second = first == start_line.npos ? first : start_line.find(' ', first + 1);
    return second == start_line.npos ? std::string{} : start_line.substr(second + 1);
}

std::vector<std::string> Message::values(std::string_view name) const {
    std::vector<std::string> found;
    for (const Field& field : fields) {
        if (equal_ignoring_case(field.name, name)) found.push_back(field.value);
    }
    return found;
}

bool Message::has(std::string_view name) const {
    return !values(name).empty();
}

std::string Message::field(std::string_view name) const {
    const auto all = values(name);
    return all.empty() ? std::string{} : all.front();
}

std::string Message::trailer(std::string_view name) const {
    const auto found =
        std::ranges::find_if(trailers, [&](const Field& f) { return equal_ignoring_case(f.name, name); });
    return found == trailers.end() ? std::string{} : found->value;
}

std::string Message::head_without(const std::vector<std::string_view>& names) const {
    std::string kept;
    std::string_view rest = head;
    while (!rest.empty()) {
        const auto line = take_line(rest);
        const auto name = line.substr(0, std::min(line.find(':'), line.size()));
        const bool drop = std::ranges::any_of(names, [&](std::string_view n) { return equal_ignoring_case(n, name); });
        if (!drop) kept.append(line).append("\r\n");
    }
    return kept;
}

void parse_head(Message& message, std::string_view head) {
    message.head = head;
    message.start_line = take_line(head);
    while (!head.empty()) {
        const auto line = take_line(head);
        if (line.empty()) break;
        const auto colon = line.find(':');
        message.fields.push_back({std::string{line.substr(0, std::min(colon, line.size()))},
                                  std::string{colon == line.npos ? "" : trimmed(line.substr(colon + 1))}});
    }
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string escaped(std::string_view bytes) {
    static constexpr std::size_t shown = 500;
    static constexpr std::array digits{'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
    std::string text;
    for (const char c : bytes.substr(0, shown)) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '\r') {
            text += "\\r";
        } else if (c == '\n') {
            text += "\\n";
        } else if (octet < 0x20 || octet >= 0x7f) {
            text.append("\\x").append(1, digits[octet >> 4U]).append(1, digits[octet & 15U]);
        } else {
            text += c;
        }
    }
    if (bytes.size() > shown) text += "... (" + std::to_string(bytes.size()) + " bytes)";
    return text;
}

void PrintTo(const Field& field, std::ostream* out) {
    *out << field.name << ": " << escaped(field.value);
}

void PrintTo(const Message& message, std::ostream* out) {
    *out << '"' << escaped(message.raw) << '"' << (message.complete ? "" : " (incomplete)");
}

}  // namespace nsboot_lb::test
