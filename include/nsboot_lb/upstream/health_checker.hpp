#pragma once
/// Active checks: for each endpoint of a pool that has a health_check, a request or a connection every `interval`, on a
/// connection of its own that is closed afterwards. Belongs to the control thread, whose event loop it runs on; what it
/// finds out it tells the EndpointStates.
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include <boost/asio/io_context.hpp>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::upstream {

/// Why a check did not pass: "connection refused", "timeout after 1s", "status 503" …
struct NotPassed {
    std::string reason;
    /// The daemon's own trouble: it had no descriptor, or stood still. Says nothing of the server.
    bool is_ours = false;
};
using CheckResult = std::expected<void, NotPassed>;
/// Whether a response is what the check expects.
CheckResult judge(const config::HealthCheck& check, int status, std::string_view body);

class HealthChecker {
  public:
    HealthChecker(boost::asio::io_context& control, observe::Statistics& statistics);
    /// Stops all checks; nothing is reported any more.
    ~HealthChecker();
    HealthChecker(const HealthChecker&) = delete;
    HealthChecker& operator=(const HealthChecker&) = delete;

    /// The pools from now on. An endpoint whose check stays the same goes on in its rhythm with its count of results;
    /// new ones begin at a random moment of their first interval, so that they do not march in step.
    void follow(std::span<const std::shared_ptr<const Pool>> pools);

  private:
    class Watch;
    boost::asio::io_context& control_;
    observe::Statistics& statistics_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Watch>> watches_;  ///< by Endpoint::id()
};

}  // namespace nsboot_lb::upstream
