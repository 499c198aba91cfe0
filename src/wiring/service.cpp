#include "service.hpp"

#include <ctime>

#include <systemd/sd-daemon.h>

namespace nsboot_lb::wiring {

namespace {

/// What systemd matches RELOADING=1 and the next READY=1 by (sd_notify(3)).
std::string monotonic_usec() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::to_string(static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                          static_cast<std::uint64_t>(now.tv_nsec) / 1000);
}

}  // namespace

Service::Service(boost::asio::io_context& control) : timer_(control) {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) > 0) watchdog_ = std::chrono::microseconds{microseconds};
    if (watchdog_.count() != 0) feed_watchdog();
}

void Service::ready(const config::Config& config) {
    sd_notifyf(0, "READY=1\nSTATUS=Serving %zu listeners, %zu pools, %zu routes", config.listeners.size(),
               config.pools.size(), config.routes.size());
}

void Service::reloading() {
    sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + monotonic_usec()).c_str());
}

void Service::stopping() {
    sd_notify(0, "STOPPING=1\nSTATUS=Draining");
}

// The control loop is what has to be alive; half the time leaves room for a slow turn.
void Service::feed_watchdog() {
    sd_notify(0, "WATCHDOG=1");
    timer_.expires_after(watchdog_ / 2);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) feed_watchdog();
    });
}

}  // namespace nsboot_lb::wiring
