#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "check.hpp"
#include "coverage.hpp"

namespace nsboot_lb::config {

namespace {

constexpr std::size_t max_routes = 10'000;
/// Keys that act on the exchange with a server.
constexpr std::array<std::string_view, 7> pool_keys{
    "balance", "timeouts", "rewrite", "request_headers", "max_body", "reject_content_type", "bandwidth"};

void check_effect(const Node& node, Reader& reader) {
    if (node.find("pool") != nullptr) return;
    const auto* action = node.find("redirect") != nullptr ? "redirect" : "respond";
    if (node.find(action) == nullptr) return;
    for (const auto key : pool_keys)
        if (const auto* useless = node.find(key))
            reader.problems().warning(useless->mark,
                                      "'" + std::string(key) + "' has no effect on a route with '" + action + "'",
                                      "remove it");
}

void check_reference(const std::set<std::string_view>& pools, const Config& config, const Route& route,
                     const Node& node, Reader& reader) {
    const auto* at = node.find("pool");
    if (at == nullptr || !at->is_scalar() || pools.contains(route.pool)) return;
    const auto what = "there is no pool '" + route.pool + "'";
    if (reader.problems().is_full()) return reader.problems().error(at->mark, what);
    std::vector<std::string_view> names;
    std::string known;
    for (const auto& pool : config.pools) {
        names.push_back(pool.name);
        known += (known.empty() ? "" : ", ") + pool.name;
    }
    reader.problems().error(at->mark, what,
                            did_you_mean(route.pool, names, known.empty() ? "" : "the pools are " + known));
}

/// A prefix that none of the route's own paths begins with is never there to be stripped.
void check_rewrite(const Route& route, const Node& node, Reader& reader) {
    const auto& prefix = route.rewrite.strip_prefix;
    if (prefix.empty() || route.match.path.empty()) return;
    const bool possible = std::ranges::any_of(route.match.path, [&](const PathPattern& pattern) {
        const bool literal = pattern.kind == PathMatch::exact || pattern.kind == PathMatch::prefix;
        return !literal || pattern.text.starts_with(prefix) ||
               (pattern.kind == PathMatch::prefix && prefix.starts_with(pattern.text));
    });
    if (!possible)
        reader.problems().warning(part(part(node, "rewrite"), "strip_prefix").mark,
                                  "strip_prefix: no path of this route begins with '" + prefix + "'",
                                  "make it agree with the route's match");
}

/// Whether the route's match is what its author meant; an error in it would make any conclusion misleading.
bool has_sound_match(const Node& node, const Reader& reader) {
    const auto* match = node.find("match");
    return node.is_map() && (match == nullptr || (*match && !reader.is_broken(*match)));
}

void check_reachable(const Config& config, std::size_t index, const Node& routes, Coverage& coverage, Reader& reader) {
    const auto& node = item(routes, index);
    if (!has_sound_match(node, reader)) return;
    const auto covering = coverage.add(config.routes[index].match, index);
    if (!covering) return;
    const auto& earlier = item(routes, *covering);
    const bool everything = earlier.find("match") == nullptr;
    const auto where = reader.problems().file_name(earlier.mark.file) + ":" + std::to_string(earlier.mark.line);
    reader.problems().warning(node.mark, "the route '" + config.routes[index].name + "' can never match",
                              "the route '" + config.routes[*covering].name + "' at " + where + " takes " +
                                  (everything ? "everything" : "all of its requests") + "; put this one first");
}

}  // namespace

void check_routes(const Config& config, const Node& routes, Reader& reader) {
    if (config.routes.size() > max_routes) {
        reader.problems().error(routes.mark, "too many routes", "at most " + std::to_string(max_routes));
        return;
    }
    std::set<std::string_view> pools;
    for (const auto& pool : config.pools) pools.insert(pool.name);
    std::map<std::string_view, Mark> names;
    Coverage coverage;
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        const auto& node = item(routes, i);
        if (!node.is_map()) continue;
        check_effect(node, reader);
        check_reference(pools, config, route, node, reader);
        check_rewrite(route, node, reader);
        const auto [first, fresh] = names.emplace(route.name, node.mark);
        if (!fresh)
            reader.problems().error(part(node, "name").mark, "the route '" + route.name + "' is given twice",
                                    "the first is at " + reader.problems().file_name(first->second.file) + ":" +
                                        std::to_string(first->second.line) + "; give another name");
        check_reachable(config, i, routes, coverage, reader);
    }
}

}  // namespace nsboot_lb::config
