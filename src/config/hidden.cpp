#include "hidden.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace nsboot_lb::config {

namespace {

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return out;
}

/// The keys whose maps are header fields and their values.
bool holds_fields(std::string_view key) {
    static constexpr std::array<std::string_view, 3> keys{"set", "add", "headers"};
    return std::ranges::find(keys, key) != keys.end();
}

bool carries_credentials(std::string_view field) {
    static constexpr std::array<std::string_view, 4> fields{"authorization", "proxy-authorization", "cookie",
                                                            "set-cookie"};
    static constexpr std::array<std::string_view, 5> endings{"auth", "key", "password", "secret", "token"};
    const auto lower = lower_case(field);
    return std::ranges::find(fields, lower) != fields.end() ||
           std::ranges::any_of(endings, [&](std::string_view ending) { return lower.ends_with(ending); });
}

/// Numbers and booleans say nothing ("present: true").
void hide_all(Node& node) {
    if (node.is_scalar() && !node.literal) node.text = hidden;
    for (auto& item : node.items) hide_all(item);
    for (auto& entry : node.entries) hide_all(entry.value);
}

void hide_below(Node& node, std::string_view key) {
    for (auto& item : node.items) hide_below(item, key);
    for (auto& entry : node.entries) {
        if (hides(key, entry.key))
            hide_all(entry.value);
        else
            hide_below(entry.value, entry.key);
    }
}

}  // namespace

bool hides(std::string_view parent, std::string_view key) {
    return parent == "header" || (holds_fields(parent) && carries_credentials(key));
}

void hide_values(Node& tree) {
    hide_below(tree, "");
}

}  // namespace nsboot_lb::config
