#include "environment.hpp"

#include <algorithm>
#include <cstdlib>

namespace nsboot_lb::config {

namespace {

using base::Parsed;
using base::UnitError;

bool is_name(std::string_view name) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return !name.empty() && !digit(name.front()) &&
           std::ranges::all_of(name, [&](char c) { return letter(c) || digit(c); });
}

/// The value of what stands between "${" and "}".
Parsed<std::string> value_of(std::string_view reference) {
    const auto split = reference.find(":-");
    const std::string name(reference.substr(0, split));
    if (!is_name(name))
        return std::unexpected(UnitError{"'${" + std::string(reference) + "}' is no environment reference",
                                         "write ${NAME} or ${NAME:-default}, and $${ for a plain ${"});
    const char* value = std::getenv(name.c_str());
    if (split != std::string_view::npos) {
        if (value == nullptr || *value == '\0') return std::string(reference.substr(split + 2));
    } else if (value == nullptr) {
        return std::unexpected(UnitError{"the environment variable " + name + " is not set",
                                         "set it, or give a default: ${" + name + ":-value}"});
    }
    return std::string(value);
}

}  // namespace

Parsed<std::string> expand_environment(std::string_view text, std::size_t max_bytes) {
    std::string out;
    while (true) {
        const auto start = text.find("${");
        out += text.substr(0, start);
        if (out.size() > max_bytes) return std::unexpected(UnitError{"the value is too long", ""});
        if (start == std::string_view::npos) return out;
        if (start > 0 && text[start - 1] == '$') {  // "$${": the first dollar is in `out` already
            out += '{';
            text.remove_prefix(start + 2);
            continue;
        }
        const auto end = text.find('}', start);
        if (end == std::string_view::npos)
            return std::unexpected(UnitError{"'${' without its '}'", "write ${NAME}, and $${ for a plain ${"});
        auto value = value_of(text.substr(start + 2, end - start - 2));
        if (!value) return value;
        out += *value;
        text.remove_prefix(end + 1);
    }
}

}  // namespace nsboot_lb::config
