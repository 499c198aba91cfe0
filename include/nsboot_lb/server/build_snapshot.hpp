#pragma once
/// From a checked configuration to a Snapshot. Reads the files that the configuration names and may take a second, so
/// it runs on a thread that nobody waits at; one build at a time. Nothing that is in use changes until go_live().
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "nsboot_lb/filter/password_checks.hpp"
#include "nsboot_lb/forward/snapshot.hpp"
#include "nsboot_lb/server/run_time_state.hpp"

namespace nsboot_lb::server {

/// What a configuration's routes and pools count in. The Statistics belong to the control thread.
struct Counts {
    std::vector<std::shared_ptr<observe::PerWorker<observe::RouteCounters>>> routes;  ///< as configured
    std::vector<upstream::PoolCounts> pools;                                          ///< as configured
    std::shared_ptr<observe::PerWorker<observe::RouteCounters>> no_route;
};
Counts counts_of(const config::Config& config, observe::Statistics& statistics);

struct SnapshotSources {
    std::shared_ptr<const config::Config> config;
    std::shared_ptr<const forward::Snapshot> previous;  ///< whose passwords are remembered; null at first
    upstream::Addresses addresses;
    Counts counts;
    RunTimeState& state;
    filter::PasswordChecks& checks;
    upstream::TransitionHandler on_transition;
};

/// The errors say which file or key is at fault.
std::expected<std::shared_ptr<const forward::Snapshot>, std::vector<std::string>> build_snapshot(
    const SnapshotSources& sources);

/// The same snapshot with other addresses behind its servers' names: pools whose addresses change are made anew,
/// everything else is shared. Null if no pool's addresses change. Reads no file; can only lack memory (std::bad_alloc).
std::shared_ptr<const forward::Snapshot> with_addresses(const forward::Snapshot& snapshot,
                                                        const upstream::Addresses& addresses);

/// On the control thread, before workers get it: what `snapshot` says of limits and servers holds from now on. Pools
/// that it shares with `before`, which may be null, go on as they are.
void go_live(const forward::Snapshot& snapshot, const forward::Snapshot* before);

}  // namespace nsboot_lb::server
