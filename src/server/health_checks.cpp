#include "health_checks.hpp"
namespace nsboot_lb::server {
class HealthChecks::Impl {};
HealthChecks::HealthChecks(boost::asio::io_context&, observe::Statistics&) : impl_(std::make_unique<Impl>()) {}
HealthChecks::~HealthChecks() = default;
void HealthChecks::use(const forward::Snapshot&) {}
void HealthChecks::stop() {}
}  // namespace nsboot_lb::server
