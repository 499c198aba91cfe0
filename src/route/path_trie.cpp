#include "path_trie.hpp"

namespace nsboot_lb::route {

std::uint32_t PathTrie::add_root() {
    nodes_.emplace_back();
    return static_cast<std::uint32_t>(nodes_.size() - 1);
}

void PathTrie::add_exact(std::uint32_t root, std::string_view path, Candidate candidate) {
    const auto node = descend(root, path);
    nodes_[node].exact.push_back(candidate);
}

void PathTrie::add_prefix(std::uint32_t root, std::string_view prefix, Candidate candidate) {
    if (!prefix.ends_with('/')) {
        const auto node = descend(root, prefix);
        nodes_[node].here.push_back(candidate);
        return;
    }
    prefix.remove_suffix(1);
    const auto node = prefix.empty() ? root : descend(root, prefix);
    nodes_[node].below.push_back(candidate);
}

std::uint32_t PathTrie::child(std::uint32_t node, std::string_view segment) {
    const auto [edge, is_new] = edges_.try_emplace(Edge{node, std::string(segment)}, 0U);
    if (is_new) {
        edge->second = add_root();
        nodes_[node].has_children = true;
    }
    return edge->second;
}

std::uint32_t PathTrie::descend(std::uint32_t root, std::string_view path) {
    std::uint32_t node = root;
    for (std::size_t begin = 1; begin != 0;) {
        const auto slash = path.find('/', begin);
        node = child(node, path.substr(begin, slash - begin));
        begin = slash + 1;  // 0 behind the last segment
    }
    return node;
}

}  // namespace nsboot_lb::route
