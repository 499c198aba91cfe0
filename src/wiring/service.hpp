#pragma once
/// What systemd is told of the service (sd_notify(3)): ready, reloading, stopping, alive. Without systemd it does
/// nothing. Control thread.
#include <chrono>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::wiring {

class Service {
  public:
    /// Feeds the watchdog from now on, if systemd asks for it.
    explicit Service(boost::asio::io_context& control);
    void ready(const config::Config& config);
    void reloading();
    void stopping();

  private:
    void feed_watchdog();
    boost::asio::steady_timer timer_;
    std::chrono::microseconds watchdog_{0};
};

}  // namespace nsboot_lb::wiring
