#pragma once
/// What outlives a configuration: it lives beside the snapshots under its name, and a snapshot points to it. Touched by
/// whoever builds a snapshot, one at a time.
#include <string>

#include "nsboot_lb/base/kept.hpp"
#include "nsboot_lb/forward/bandwidth.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::server {

struct RunTimeState {
    /// Queue, retry budget and the servers' health and counts, by the pool's name.
    base::Kept<std::string, upstream::PoolState> pools;
    /// Buckets, by the route's identity (config::identity_of()).
    base::Kept<std::string, forward::Bandwidth> bandwidths;
};

}  // namespace nsboot_lb::server
