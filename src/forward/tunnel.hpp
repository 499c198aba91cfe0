#pragma once
/// An upgraded connection: after the 101, bytes go both ways as they are until both sides have closed, one breaks, or
/// nothing has moved for timeouts.tunnel_idle. When the daemon goes away (end_tunnel()), the client is told with a
/// WebSocket close frame between two of the server's frames: an upgrade to anything else never comes to be. A request
/// that asks for one has no body, so nothing else uses the two connections.
#include "attempt.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::forward {

/// The 101 is in worker.response_head.
net::Task<End> tunnel(Worker& worker, Exchange& exchange, Attempt& attempt);

}  // namespace nsboot_lb::forward
