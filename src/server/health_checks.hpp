#pragma once
/// The active checks of all pools of the snapshot in force. Belongs to the control thread.
#include <memory>

#include <boost/asio/io_context.hpp>

#include "nsboot_lb/forward/snapshot.hpp"

namespace nsboot_lb::server {

class HealthChecks {
  public:
    HealthChecks(boost::asio::io_context& control, observe::Statistics& statistics);
    ~HealthChecks();
    HealthChecks(const HealthChecks&) = delete;
    HealthChecks& operator=(const HealthChecks&) = delete;

    /// Checks the endpoints of this snapshot from now on; one that stays with the same check goes on undisturbed.
    void use(const forward::Snapshot& snapshot);
    void stop();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsboot_lb::server
