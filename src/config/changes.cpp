#include "nsboot_lb/config/changes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "node.hpp"
#include "schema.hpp"

namespace nsboot_lb::config {

namespace {

constexpr std::string_view hidden = "(hidden)";

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return out;
}

/// The keys whose maps are header fields and their values.
bool holds_fields(std::string_view key) {
    static constexpr std::array<std::string_view, 4> keys{"set", "add", "headers", "header"};
    return std::ranges::find(keys, key) != keys.end();
}

/// A log is read by more people than a configuration.
bool carries_credentials(std::string_view field) {
    static constexpr std::array<std::string_view, 4> fields{"authorization", "proxy-authorization", "cookie",
                                                            "set-cookie"};
    static constexpr std::array<std::string_view, 4> endings{"-key", "-password", "-secret", "-token"};
    const auto lower = lower_case(field);
    return std::ranges::find(fields, lower) != fields.end() ||
           std::ranges::any_of(endings, [&](std::string_view ending) { return lower.ends_with(ending); });
}

/// Cut between characters (UTF-8), not within one.
std::string cut(std::string text) {
    if (text.size() <= max_change_value_bytes) return text;
    auto end = max_change_value_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
    return text.substr(0, end) + "...";
}

std::string text_of(const Node& value, bool hides) {
    if (!value || value.is_map()) return {};
    if (hides) return std::string(hidden);
    return cut(value.is_scalar() ? value.text : to_flow_yaml(value));
}

bool same(const Node& a, const Node& b) {
    return to_flow_yaml(a) == to_flow_yaml(b);
}

bool is_list_of_maps(const Node& node) {
    return node.is_sequence() && !node.items.empty() &&
           std::ranges::all_of(node.items, [](const Node& item) { return item.is_map(); });
}

/// A member of a list goes by its name, or by its (first) address where that is its name.
std::string label_of(const Node& item) {
    if (const auto* name = item.find("name")) return name->text;
    const auto* address = item.find("address");
    if (address == nullptr) return {};
    return address->is_sequence() && !address->items.empty() ? address->items.front().text : address->text;
}

/// The members of a list under their labels; what has the label of one before it (listeners on any free port) is told
/// apart by a number.
Node by_label(const Node& list) {
    auto members = Node::map();
    std::map<std::string, int> seen;
    for (const auto& item : list.items) {
        auto label = label_of(item);
        if (const int count = ++seen[label]; count > 1) label += "#" + std::to_string(count);
        members.set(label, item);
    }
    return members;
}

/// The values of a map by their keys: there may be thousands.
std::unordered_map<std::string_view, const Node*> by_key(const Node& map) {
    std::unordered_map<std::string_view, const Node*> values;
    for (const auto& entry : map.entries) values.emplace(entry.key, &entry.value);
    return values;
}

/// The names that both have, in the order of the first.
Node common_names(const Node& of, const Node& with) {
    const auto others = by_key(with);
    auto names = Node::sequence();
    for (const auto& entry : of.entries)
        if (others.contains(entry.key)) names.push(Node::of_text(entry.key));
    return names;
}

/// A key on the way down: its full name, its own, and whether its values are to be shown.
struct Place {
    std::string path;
    std::string name;
    bool hides = false;

    Place below(const std::string& key) const {
        return {path.empty() ? key : path + "." + key, key, hides || (holds_fields(name) && carries_credentials(key))};
    }
};

class Comparison {
  public:
    void compare_maps(const Place& place, const Node& before, const Node& after) {
        static const Node absent;
        const auto old_values = by_key(before);
        const auto new_values = by_key(after);
        for (const auto& entry : before.entries) {
            const auto now = new_values.find(entry.key);
            compare(place.below(entry.key), entry.value, now == new_values.end() ? absent : *now->second);
        }
        for (const auto& entry : after.entries)
            if (!old_values.contains(entry.key)) compare(place.below(entry.key), absent, entry.value);
    }
    std::vector<Change> take() { return std::move(changes_); }

  private:
    void compare(const Place& place, const Node& before, const Node& after) {
        if (before.is_map() && after.is_map())
            compare_maps(place, before, after);
        else if (is_list_of_maps(before) && is_list_of_maps(after))
            compare_lists(place, before, after);
        else if (!before || !after || !same(before, after))
            add(place, before, after);
    }

    void compare_lists(const Place& place, const Node& before, const Node& after) {
        const auto old_members = by_label(before);
        const auto new_members = by_label(after);
        const auto old_order = common_names(old_members, new_members);
        const auto new_order = common_names(new_members, old_members);
        if (!same(old_order, new_order)) add(place, old_order, new_order);
        compare_maps(place, old_members, new_members);
    }

    void add(const Place& place, const Node& before, const Node& after) {
        const auto kind = !before ? ChangeKind::added : !after ? ChangeKind::removed : ChangeKind::changed;
        changes_.push_back({kind, place.path, text_of(before, place.hides), text_of(after, place.hides)});
    }

    std::vector<Change> changes_;
};

}  // namespace

std::string_view to_string(ChangeKind kind) {
    switch (kind) {
        case ChangeKind::added: return "added";
        case ChangeKind::removed: return "removed";
        case ChangeKind::changed: break;
    }
    return "changed";
}

std::vector<Change> changes(const Config& before, const Config& after) {
    Comparison comparison;
    comparison.compare_maps({}, write_section(root_section(), &before), write_section(root_section(), &after));
    return comparison.take();
}

}  // namespace nsboot_lb::config
