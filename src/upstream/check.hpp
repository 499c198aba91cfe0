#pragma once
/// One active check of one endpoint: connect, and for HTTP send a request and judge the response. A coroutine of the
/// control thread's loop; it ends within the check's timeout (see Patience for what counts) and leaves no connection
/// behind.
#include <boost/asio/awaitable.hpp>

#include "nsboot_lb/upstream/health_checker.hpp"

namespace nsboot_lb::upstream {

/// `check` and `endpoint` outlive the coroutine.
boost::asio::awaitable<CheckResult> run_check(const config::HealthCheck& check, const Endpoint& endpoint);

}  // namespace nsboot_lb::upstream
