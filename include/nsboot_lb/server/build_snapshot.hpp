#pragma once
/// From a checked configuration to a Snapshot. Runs on the control thread; reads the files that the configuration
/// names; changes nothing that is shared until the snapshot is used.
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "nsboot_lb/forward/snapshot.hpp"

namespace nsboot_lb::server {

struct SnapshotSources {
    std::shared_ptr<const config::Config> config;
    const forward::Snapshot* previous = nullptr;  ///< whose endpoints' state is taken over
    const upstream::Addresses& addresses;
    observe::Statistics& statistics;
    const upstream::TransitionHandler& on_transition;
};

/// The errors say which file or key is at fault.
std::expected<std::shared_ptr<const forward::Snapshot>, std::vector<std::string>> build_snapshot(
    const SnapshotSources& sources);

}  // namespace nsboot_lb::server
