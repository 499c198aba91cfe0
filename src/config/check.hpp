#pragma once
/// Checks what no single key can tell: names, references, routes that can never match. Used by one thread, after the
/// tree was read into the configuration.
#include "node.hpp"
#include "nsboot_lb/config/config.hpp"
#include "reader.hpp"

namespace nsboot_lb::config {

/// `root` is the tree that `config` was read from; problems are told at its nodes.
void check_config(const Config& config, const Node& root, Reader& reader);
void check_routes(const Config& config, const Node& routes, Reader& reader);

/// The value of a key, or the node itself if it has none: the best place to complain at.
const Node& part(const Node& node, std::string_view key);
/// An item of a list, or the node itself if it is the only item, written without brackets.
const Node& item(const Node& node, std::size_t index);
/// Of a map with names: the value of the entry, as items of a list.
const Node& named_item(const Node& node, std::size_t index);

}  // namespace nsboot_lb::config
