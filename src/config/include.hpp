#pragma once
/// Reads a file and what it includes into one tree. Touches the file system; used by one thread.
#include <filesystem>
#include <string>

#include "node.hpp"
#include "problems.hpp"

namespace nsboot_lb::config {

inline constexpr std::size_t max_include_depth = 8;
inline constexpr std::size_t max_files = 256;

/// The tree of `file` with its includes merged in; absent if it cannot be read or is no YAML.
Node read_tree(const std::filesystem::path& file, Problems& problems);
/// The same for text in memory; without `follow_includes` they are left out.
Node read_tree(const std::string& text, const std::string& name, bool follow_includes, Problems& problems);

}  // namespace nsboot_lb::config
