#pragma once
/// What becomes of a request: the first page to read of the daemon's inside. Sessions call it, on their worker.
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/http/head.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::forward {

/// Serves one request whose head has been read and checked, and always finishes it: statistics, access log.
/// `exchange.client`, `request_body`, `response`, `scope`, `head`, `request`, `began` and `view` are set.
net::Task<End> serve(Worker& worker, Exchange& exchange);

/// The same for a request whose head was refused, or did not come in time. The connection ends with it.
net::Task<End> refuse(Worker& worker, Exchange& exchange, http::HeadError error);

}  // namespace nsboot_lb::forward
