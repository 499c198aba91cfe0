#pragma once
/// The end of every exchange: statistics and the access log.
#include "nsboot_lb/forward/worker.hpp"

namespace nsboot_lb::forward {

void finish(Worker& worker, Exchange& exchange);

}  // namespace nsboot_lb::forward
