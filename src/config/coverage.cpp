#include "coverage.hpp"

#include <algorithm>

namespace nsboot_lb::config {

namespace {

/// Whether every entry that `narrow` may match by has one in `wide` that takes all of it. An empty list asks nothing.
template <class T, class Takes>
bool list_covers(const std::vector<T>& wide, const std::vector<T>& narrow, Takes takes) {
    if (wide.empty()) return true;
    if (narrow.empty()) return false;
    return std::ranges::all_of(narrow, [&](const T& inner) {
        return std::ranges::any_of(wide, [&](const T& outer) { return takes(outer, inner); });
    });
}

bool host_takes(const std::string& wide, const std::string& narrow) {
    if (wide == narrow) return true;
    // "*.x" takes "a.x" and "*.a.x", not "x".
    return wide.starts_with("*.") && narrow.size() > wide.size() - 1 && narrow.ends_with(wide.substr(1)) &&
           narrow != wide;
}

/// Whole segments: "/ws" takes "/ws" and "/ws/x"; "/ws/" takes "/ws/x".
bool prefix_takes(const std::string& prefix, const std::string& path) {
    if (!path.starts_with(prefix)) return false;
    return path.size() == prefix.size() || prefix.ends_with('/') || path[prefix.size()] == '/';
}

bool path_takes(const PathPattern& wide, const PathPattern& narrow) {
    if (wide.kind == narrow.kind && wide.text == narrow.text) return true;
    if (wide.kind != PathMatch::prefix) return false;
    return (narrow.kind == PathMatch::exact || narrow.kind == PathMatch::prefix) &&
           prefix_takes(wide.text, narrow.text);
}

bool same_condition(const HeaderMatch& a, const HeaderMatch& b) {
    return a.name == b.name && a.test == b.test && a.value == b.value && a.present == b.present;
}

}  // namespace

bool covers(const Match& wide, const Match& narrow) {
    const auto range_takes = [](const base::Cidr& outer, const base::Cidr& inner) { return outer.contains(inner); };
    // Header conditions must all hold, so the wide ones must be among the narrow ones.
    const bool headers = std::ranges::all_of(wide.header, [&](const HeaderMatch& condition) {
        return std::ranges::any_of(narrow.header,
                                   [&](const HeaderMatch& other) { return same_condition(condition, other); });
    });
    return headers && (!wide.websocket || wide.websocket == narrow.websocket) &&
           list_covers(wide.path, narrow.path, path_takes) && list_covers(wide.host, narrow.host, host_takes) &&
           list_covers(wide.method, narrow.method, std::equal_to<>()) &&
           list_covers(wide.client, narrow.client, range_takes);
}

}  // namespace nsboot_lb::config
