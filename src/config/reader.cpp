#include "reader.hpp"

#include <filesystem>

namespace nsboot_lb::config {

void Reader::error(const Node& at, std::string what, std::string hint) {
    problems_.error(at.mark, key_.empty() ? std::move(what) : std::string(key_) + ": " + what, std::move(hint));
}

void Reader::error(const Node& at, const base::UnitError& error) {
    this->error(at, error.what, error.hint);
}

bool Reader::expect(const Node& node, Node::Kind kind, std::string_view wanted) {
    if (node.kind == kind) return true;
    // An absent node stands for a value about which a problem was reported before.
    if (node.kind == Node::Kind::absent) return false;
    const bool nothing = node.kind == Node::Kind::null;
    error(node, "expected " + std::string(wanted) + ", found " + std::string(describe(node.kind)),
          nothing ? "give a value, or remove the key" : "");
    return false;
}

std::string Reader::resolve(const Node& at, const std::string& path) const {
    if (!may_touch_files() || path.empty() || path.starts_with('/')) return path;
    const std::filesystem::path base = std::filesystem::path(problems_.file_name(at.mark.file)).parent_path();
    std::error_code failed;
    const auto absolute = std::filesystem::absolute(base / path, failed);
    return failed ? path : absolute.lexically_normal().string();
}

}  // namespace nsboot_lb::config
