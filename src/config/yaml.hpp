#pragma once
/// Turns YAML text into a tree, by yaml-cpp's events, so that duplicate keys are seen and hostile input is bounded. The
/// only user of yaml-cpp. Environment references in scalars are replaced here. Used by one thread.
#include <cstddef>
#include <string>

#include "node.hpp"
#include "problems.hpp"

namespace nsboot_lb::config {

/// What one load may use, over all of its files and with aliases written out. Far beyond any useful configuration.
inline constexpr std::size_t max_file_bytes = 4UZ << 20;
inline constexpr std::size_t max_depth = 32;
inline constexpr std::size_t max_nodes = 250'000;
inline constexpr std::size_t max_text_bytes = 16UZ << 20;

/// What has been used so far.
struct Budget {
    std::size_t nodes = 0;
    std::size_t text_bytes = 0;
};

/// The tree of `text`, whose marks are in `file`. An empty document is an empty map; after a syntax error the result
/// is absent and the problem reported.
Node parse_yaml(const std::string& text, std::size_t file, Budget& budget, Problems& problems);

}  // namespace nsboot_lb::config
