#include <algorithm>
#include <iterator>

#include "compiled.hpp"
#include "host.hpp"
#include "nsboot_lb/route/normal_path.hpp"
#include "pattern.hpp"

namespace nsboot_lb::route {

namespace {

bool takes_host(std::string_view configured, std::string_view host) {
    if (configured.starts_with("*.")) return is_below(host, configured_host(configured.substr(2)));
    return host == configured_host(configured);
}

bool takes_path(const config::PathPattern& pattern, std::string_view path) {
    std::string scratch;
    switch (pattern.kind) {
        case config::PathMatch::exact: return path == normal_path(pattern.text, scratch);
        case config::PathMatch::prefix: return is_under(path, normal_path(pattern.text, scratch));
        case config::PathMatch::glob: return re2::RE2::FullMatch(path, *compile_regex(glob_expression(pattern.text)));
        case config::PathMatch::regex: return re2::RE2::FullMatch(path, *compile_regex(pattern.text));
    }
    return false;
}

std::string text_of(const config::PathPattern& pattern) {
    switch (pattern.kind) {
        case config::PathMatch::exact: return quoted(pattern.text);
        case config::PathMatch::prefix: return "under " + quoted(pattern.text);
        case config::PathMatch::glob: return "of the glob " + quoted(pattern.text);
        case config::PathMatch::regex: return "of the regex " + quoted(pattern.text);
    }
    return {};
}

std::optional<std::string> why_not(const config::Match& match, const RouteRequest& request, std::string_view host,
                                   std::string_view path) {
    const auto host_fits = [&](const std::string& configured) { return takes_host(configured, host); };
    if (!match.host.empty() && std::ranges::none_of(match.host, host_fits)) {
        return "host " + quoted(host) + " is not " + joined(match.host);
    }
    const auto path_fits = [&](const config::PathPattern& pattern) { return takes_path(pattern, path); };
    if (!match.path.empty() && std::ranges::none_of(match.path, path_fits)) {
        std::vector<std::string> patterns;
        std::ranges::transform(match.path, std::back_inserter(patterns), text_of);
        return "path " + quoted(path) + " is not " + joined(patterns);
    }
    return Conditions(match).why_not(request);
}

}  // namespace

Explanation RouteTable::explain(const RouteRequest& request) const {
    std::string host_scratch;
    std::string path_scratch;
    const auto host = normal_host(request.host, host_scratch);
    Explanation explanation{
        .path = std::string(normal_path(request.path, path_scratch)), .passed_over = {}, .match = {}};
    for (std::size_t route = 0; route < compiled_->matches.size(); ++route) {
        auto why = why_not(compiled_->matches[route], request, host, explanation.path);
        if (!why) {
            explanation.match = route;
            return explanation;
        }
        explanation.passed_over.push_back({.route = route, .why = std::move(*why)});
    }
    return explanation;
}

}  // namespace nsboot_lb::route
