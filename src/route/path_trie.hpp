#pragma once
/// Finds the routes whose path, or beginning of a path, a request's path has: tries of path segments, one for each
/// group of hosts, all in one hash table. Built once with a RouteTable and immutable from then on; any thread may walk
/// it.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

namespace nsboot_lb::route {

/// A route that matches a request which got here, if its expression (on the path) and its conditions hold too.
struct Candidate {
    static constexpr std::uint32_t none = UINT32_MAX;
    std::uint32_t route = none;
    std::uint32_t regex = none;       ///< index of the expression that the whole path must match
    std::uint32_t conditions = none;  ///< index of what else must hold
};

/// In the order of the routes.
using Candidates = std::vector<Candidate>;

class PathTrie {
  public:
    /// A new, empty trie; its number is what the other calls ask for.
    std::uint32_t add_root();

    void add_any(std::uint32_t root, Candidate candidate) { nodes_[root].here.push_back(candidate); }
    /// `path` is normal and begins with `/`.
    void add_exact(std::uint32_t root, std::string_view path, Candidate candidate);
    /// `prefix` is normal and begins with `/`; behind a trailing `/` something has to follow, be it nothing.
    void add_prefix(std::uint32_t root, std::string_view prefix, Candidate candidate);

    /// Calls visit(const Candidates&) for each list that `path`, which is normal, leads to.
    template <class Visit>
    void walk(std::uint32_t root, std::string_view path, Visit visit) const;

  private:
    struct Node {
        Candidates here;   ///< take the path up to here, whatever follows
        Candidates below;  ///< take it if a `/` follows
        Candidates exact;  ///< take it if it ends here
        bool has_children = false;
    };
    struct Edge {
        std::uint32_t from = 0;
        std::string segment;
    };
    struct EdgeView {
        std::uint32_t from = 0;
        std::string_view segment;
    };
    struct EdgeHash {
        using is_transparent = void;
        std::size_t operator()(const auto& edge) const noexcept {
            return std::hash<std::string_view>{}(edge.segment) + edge.from * 0x9e3779b97f4a7c15ULL;
        }
    };
    struct EdgeEqual {
        using is_transparent = void;
        bool operator()(const auto& a, const auto& b) const noexcept {
            return a.from == b.from && std::string_view(a.segment) == std::string_view(b.segment);
        }
    };

    std::uint32_t child(std::uint32_t node, std::string_view segment);
    /// The node of all segments of a path.
    std::uint32_t descend(std::uint32_t root, std::string_view path);

    std::vector<Node> nodes_;
    boost::unordered_flat_map<Edge, std::uint32_t, EdgeHash, EdgeEqual> edges_;
};

template <class Visit>
void PathTrie::walk(std::uint32_t root, std::string_view path, Visit visit) const {
    visit(nodes_[root].here);
    if (!path.starts_with('/')) return;
    // The nodes are left as soon as no route goes further, so a path of many segments costs no more than the longest
    // route.
    std::uint32_t node = root;
    for (std::size_t begin = 1; begin != 0;) {
        visit(nodes_[node].below);
        if (!nodes_[node].has_children) return;
        const auto slash = path.find('/', begin);
        const auto edge = edges_.find(EdgeView{node, path.substr(begin, slash - begin)});
        if (edge == edges_.end()) return;
        node = edge->second;
        visit(nodes_[node].here);
        begin = slash + 1;  // 0 behind the last segment
    }
    visit(nodes_[node].exact);
}

}  // namespace nsboot_lb::route
