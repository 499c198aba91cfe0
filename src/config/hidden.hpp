#pragma once
/// What of a configuration is for its owner alone: values that may let somebody in. A log and an admin page are read by
/// more people than a configuration file. Free functions.
#include <string_view>

#include "node.hpp"

namespace nsboot_lb::config {

inline constexpr std::string_view hidden = "(hidden)";

/// Whether the value at `key`, in the map at the key `parent`, is hidden: any that a header field has to have for a
/// route to match, and fields that carry credentials wherever fields are set.
bool hides(std::string_view parent, std::string_view key);

/// Replaces every hidden value in the tree.
void hide_values(Node& tree);

}  // namespace nsboot_lb::config
