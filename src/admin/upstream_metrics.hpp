#pragma once
/// Metrics that come from the pools' state rather than from counters: upstream_up, upstream_draining, upstream_weight,
/// pool_available and queue_limit. A free function that touches only its arguments.
#include <vector>

#include "nsboot_lb/admin/status.hpp"
#include "nsboot_lb/observe/collector.hpp"

namespace nsboot_lb::admin {

/// One series for each server name: endpoints of one name count as up if any is, as draining if all are.
void collect_upstream_state(const std::vector<PoolStatus>& pools, observe::MetricFamilies& into);

}  // namespace nsboot_lb::admin
