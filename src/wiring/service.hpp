#pragma once
/// What systemd is told of the service (sd_notify(3)): ready, reloading, stopping, alive. Without systemd it does
/// nothing. Control thread.
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/server/server.hpp"

namespace nsboot_lb::wiring {

/// What systemd has in its descriptor store, by name: sockets, told from others by their inodes, since numbers of
/// descriptors are given anew.
using StoredSockets = std::map<std::string, std::set<ino_t>>;
/// 0 if it is no descriptor.
ino_t identity_of(int descriptor);

class Service {
  public:
    /// Calls what it is given on the control thread as soon as every worker's loop has turned.
    using WhenAllTurn = std::function<void(std::function<void()>)>;
    /// Feeds the watchdog from now on, if systemd asks for it, for as long as all loops turn. `stored` is of processes
    /// before this one.
    Service(boost::asio::io_context& control, WhenAllTurn when_all_turn, StoredSockets stored);
    void ready(const config::Config& config);
    void reloading();
    void stopping();
    /// Has systemd keep these sockets over a restart (its descriptor store), and no others. Whether somebody keeps
    /// them.
    bool keep(const std::vector<server::ListeningSockets>& sockets);
    /// Another process is the service from now on; this one is silent.
    void hand_over(pid_t process);

  private:
    void feed_watchdog();
    boost::asio::steady_timer timer_;
    const WhenAllTurn when_all_turn_;
    std::chrono::microseconds watchdog_{0};
    StoredSockets stored_;
    bool silent_ = false;
};

}  // namespace nsboot_lb::wiring
