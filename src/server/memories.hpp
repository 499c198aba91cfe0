#pragma once
/// What a process tells its successor of the servers, and how the successor makes use of it. Control thread.
#include <vector>

#include "nsboot_lb/forward/snapshot.hpp"
#include "nsboot_lb/server/server.hpp"

namespace nsboot_lb::server {

/// Of the endpoints that are not as a fresh process would take them to be.
std::vector<ServerMemory> remember(const forward::Snapshot& snapshot);
/// Before the snapshot goes live: health checks begin with the state that they find.
void recall(const forward::Snapshot& snapshot, const std::vector<ServerMemory>& memories);

}  // namespace nsboot_lb::server
