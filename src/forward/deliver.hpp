#pragma once
/// Passes a server's final response on to the client, head and body, and gives the connection back for reuse if both
/// messages ended cleanly. The last part of an exchange: nothing can be tried again once it has begun.
#include "attempt.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::forward {

/// The head is in worker.response_head.
net::Task<End> deliver(Worker& worker, Exchange& exchange, Attempt& attempt);

}  // namespace nsboot_lb::forward
