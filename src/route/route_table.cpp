#include "nsboot_lb/route/route_table.hpp"

#include <algorithm>
#include <cassert>

#include "compiled.hpp"
#include "host.hpp"
#include "nsboot_lb/route/normal_path.hpp"
#include "pattern.hpp"

namespace nsboot_lb::route {

RouteTable::Compiled::Compiled(std::span<const config::Route> routes) : any_host(paths.add_root()) {
    for (const auto& route : routes) matches.push_back(route.match);
    for (std::uint32_t route = 0; route < matches.size() && catch_all == Candidate::none; ++route) {
        add(route, matches[route]);
    }
}

void RouteTable::Compiled::add(std::uint32_t route, const config::Match& match) {
    Candidate candidate{.route = route};
    if (Conditions asked(match); !asked.empty()) {
        candidate.conditions = static_cast<std::uint32_t>(conditions.size());
        conditions.push_back(std::move(asked));
    } else if (match.host.empty() && match.path.empty()) {
        catch_all = route;
        return;
    }
    if (match.host.empty()) add_paths(any_host, match.path, candidate);
    for (const auto& host : match.host) add_paths(root_of(host), match.path, candidate);
}

std::uint32_t RouteTable::Compiled::root_of(std::string_view configured) {
    const bool wildcard = configured.starts_with("*.");
    const auto name = configured_host(wildcard ? configured.substr(2) : configured);
    if (wildcard) longest_suffix = std::max(longest_suffix, name.size());
    const auto [entry, is_new] = (wildcard ? host_suffixes : hosts).try_emplace(name, 0U);
    if (is_new) entry->second = paths.add_root();
    return entry->second;
}

void RouteTable::Compiled::add_paths(std::uint32_t root, const std::vector<config::PathPattern>& patterns,
                                     Candidate candidate) {
    if (patterns.empty()) paths.add_any(root, candidate);
    looks_at_path = looks_at_path || !patterns.empty();
    std::string scratch;
    for (const auto& pattern : patterns) {
        using enum config::PathMatch;
        candidate.regex = Candidate::none;
        if (pattern.kind == exact) {
            paths.add_exact(root, normal_path(pattern.text, scratch), candidate);
        } else if (pattern.kind == prefix) {
            paths.add_prefix(root, normal_path(pattern.text, scratch), candidate);
        } else {
            const bool is_glob = pattern.kind == glob;
            candidate.regex = static_cast<std::uint32_t>(regexes.size());
            regexes.push_back(compile_regex(is_glob ? glob_expression(pattern.text) : pattern.text));
            assert(regexes.back()->ok() && "load() has compiled it");
            const auto directory = is_glob ? glob_directory(pattern.text) : std::string();
            if (directory.starts_with('/')) {
                paths.add_prefix(root, directory, candidate);
            } else {
                paths.add_any(root, candidate);
            }
        }
    }
}

void RouteTable::Compiled::try_group(std::uint32_t root, std::string_view path, const RouteRequest& request,
                                     std::uint32_t& best) const {
    paths.walk(root, path, [&](const Candidates& candidates) {
        for (const auto& candidate : candidates) {
            if (candidate.route >= best) return;
            if (candidate.conditions != Candidate::none && !conditions[candidate.conditions].hold(request)) continue;
            if (candidate.regex != Candidate::none && !re2::RE2::FullMatch(path, *regexes[candidate.regex])) continue;
            best = candidate.route;
            return;
        }
    });
}

void RouteTable::Compiled::try_hosts(std::string_view host, std::string_view path, const RouteRequest& request,
                                     std::uint32_t& best) const {
    if (const auto found = hosts.find(host); found != hosts.end()) try_group(found->second, path, request, best);
    if (host_suffixes.empty()) return;
    // No longer part is looked up than there are suffixes: a host of a thousand dots must not cost a thousand hashes.
    const std::size_t start = host.size() > longest_suffix + 1 ? host.size() - longest_suffix - 1 : 1;
    for (auto dot = host.find('.', start); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
        const auto found = host_suffixes.find(host.substr(dot + 1));
        if (found != host_suffixes.end()) try_group(found->second, path, request, best);
    }
}

std::uint32_t RouteTable::Compiled::first_match(const RouteRequest& request) const {
    std::uint32_t best = catch_all;
    if (best == 0) return best;
    // Kept between calls, so that only the longest path and host that a thread has seen cost an allocation.
    thread_local std::string path_scratch;
    thread_local std::string host_scratch;
    const auto path = looks_at_path ? normal_path(request.path, path_scratch) : request.path;
    try_group(any_host, path, request, best);
    if (hosts.empty() && host_suffixes.empty()) return best;
    try_hosts(normal_host(request.host, host_scratch), path, request, best);
    return best;
}

RouteTable::RouteTable(std::span<const config::Route> routes) : compiled_(std::make_shared<const Compiled>(routes)) {}

std::optional<std::size_t> RouteTable::match(const RouteRequest& request) const {
    const auto route = compiled_->first_match(request);
    if (route == Candidate::none) return std::nullopt;
    return route;
}

}  // namespace nsboot_lb::route
