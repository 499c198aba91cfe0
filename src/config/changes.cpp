#include "nsboot_lb/config/changes.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "hidden.hpp"
#include "node.hpp"
#include "schema.hpp"

namespace nsboot_lb::config {

namespace {

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
    return a.kind == b.kind && a.text == b.text && std::ranges::equal(a.items, b.items, same) &&
           std::ranges::equal(a.entries, b.entries, [](const Entry& one, const Entry& other) {
               return one.key == other.key && same(one.value, other.value);
           });
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
Node by_label(Node& list) {
    auto members = Node::map();
    members.entries.reserve(list.items.size());
    std::map<std::string, int> seen;
    for (auto& item : list.items) {
        auto label = label_of(item);
        if (const int count = ++seen[label]; count > 1) label += "#" + std::to_string(count);
        members.set(label, std::move(item));
    }
    return members;
}

/// Finds the keys of a map that may have thousands.
class Index {
  public:
    explicit Index(Node& map) : map_(map) {
        if (map.entries.size() <= few) return;
        for (auto& entry : map.entries) values_.emplace(entry.key, &entry.value);
    }
    Node* find(std::string_view key) const {
        if (map_.entries.size() <= few) return map_.find(key);
        const auto found = values_.find(key);
        return found != values_.end() ? found->second : nullptr;
    }

  private:
    static constexpr std::size_t few = 32;  ///< are looked through faster than put into an index
    Node& map_;
    std::unordered_map<std::string_view, Node*> values_;
};

/// The names that both have, in the order of the first.
Node common_names(const Node& of, const Index& with) {
    auto names = Node::sequence();
    for (const auto& entry : of.entries)
        if (with.find(entry.key) != nullptr) names.push(Node::of_text(entry.key));
    return names;
}

/// A key on the way down: its full name, its own, and whether its values are to be shown.
struct Place {
    std::string path;
    std::string name;
    bool hides = false;

    Place below(const std::string& key) const {
        return {path.empty() ? key : path + "." + key, key, hides || config::hides(name, key)};
    }
};

class Comparison {
  public:
    /// Takes what they hold.
    void compare_maps(const Place& place, Node& before, Node& after) {
        Node absent;
        const Index before_by_key{before};
        const Index after_by_key{after};
        for (auto& entry : before.entries) {
            auto* now = after_by_key.find(entry.key);
            compare(place.below(entry.key), entry.value, now == nullptr ? absent : *now);
        }
        for (auto& entry : after.entries)
            if (before_by_key.find(entry.key) == nullptr) compare(place.below(entry.key), absent, entry.value);
    }
    std::vector<Change> take() { return std::move(changes_); }

  private:
    void compare(const Place& place, Node& before, Node& after) {
        if (before.is_map() && after.is_map())
            compare_maps(place, before, after);
        else if (is_list_of_maps(before) && is_list_of_maps(after))
            compare_lists(place, before, after);
        else if (!before || !after || !same(before, after))
            add(place, before, after);
    }

    void compare_lists(const Place& place, Node& before, Node& after) {
        auto old_members = by_label(before);
        auto new_members = by_label(after);
        const auto old_order = common_names(old_members, Index{new_members});
        const auto new_order = common_names(new_members, Index{old_members});
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
    auto old_tree = write_section(root_section(), &before);
    auto new_tree = write_section(root_section(), &after);
    comparison.compare_maps({}, old_tree, new_tree);
    return comparison.take();
}

}  // namespace nsboot_lb::config
