#pragma once
/// The inside of a RouteTable: hosts lead to groups, each group has a trie of paths, and what the tries cannot decide
/// is decided candidate by candidate. Built by the constructor and immutable from then on. Private to this floor.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <re2/re2.h>

#include "conditions.hpp"
#include "nsboot_lb/route/route_table.hpp"
#include "path_trie.hpp"

namespace nsboot_lb::route {

struct RouteTable::Compiled {
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    /// From a name in its normal form to the root of its group's trie.
    using Hosts = boost::unordered_flat_map<std::string, std::uint32_t, Hash, std::equal_to<>>;

    explicit Compiled(std::span<const config::Route> routes);

    std::uint32_t first_match(const RouteRequest& request) const;

    PathTrie paths;
    std::uint32_t any_host = 0;  ///< the root of the routes without host
    Hosts hosts;
    Hosts host_suffixes;  ///< of "*.name", the name
    std::size_t longest_suffix = 0;
    bool looks_at_path = false;
    /// The first route that asks for nothing; those behind it can never match and are not in the tries.
    std::uint32_t catch_all = Candidate::none;
    std::vector<Conditions> conditions;
    std::vector<std::unique_ptr<const re2::RE2>> regexes;

    std::vector<config::Match> matches;  ///< for explain()

  private:
    void add(std::uint32_t route, const config::Match& match);
    void add_paths(std::uint32_t root, const std::vector<config::PathPattern>& patterns, Candidate candidate);
    std::uint32_t root_of(std::string_view configured);
    void try_group(std::uint32_t root, std::string_view path, const RouteRequest& request, std::uint32_t& best) const;
    void try_hosts(std::string_view host, std::string_view path, const RouteRequest& request,
                   std::uint32_t& best) const;
};

}  // namespace nsboot_lb::route
