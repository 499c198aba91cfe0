#pragma once
/// From "it serves" to the end of the process: signals, and what they lead to: reload, new log files, hot upgrade,
/// graceful stop. Control thread; main owns it.
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "inheritance.hpp"
#include "nsboot_lb/server/server.hpp"
#include "service.hpp"
#include "signals.hpp"
#include "upgrade.hpp"
#include "wiring.hpp"

namespace nsboot_lb::wiring {

class Lifecycle {
  public:
    Lifecycle(boost::asio::io_context& control, Signals& signals, server::Server& server, Service& service,
              Admin& admin, CommandLine command);

    /// Everything is bound and serves: tells systemd, or first the process that this one replaces. Listens to signals
    /// from now on; stops the control loop when the process is to end.
    void begin(std::optional<int> predecessor);

  private:
    void serve_alone();
    void handle(int signal);
    void reload();
    void upgrade();
    boost::asio::awaitable<void> begin_upgrade();
    void end_upgrade();
    void leave_to(pid_t successor);
    void one_left();
    void stop();

    boost::asio::io_context& control_;
    Signals& signals_;
    server::Server& server_;
    Service& service_;
    Admin& admin_;
    Upgrade upgrade_;
    bool upgrading_ = false;  ///< or waiting for it
    /// While the successor starts: it has the sockets and the states of one configuration, which must stay that long.
    std::optional<server::Turns::Turn> no_reload_;
    std::optional<Predecessor> predecessor_;
    int reloads_ = 0;   ///< by SIGHUP, that are not over
    int to_leave_ = 2;  ///< to a successor: the server and the admin listener
    bool stopping_ = false;
};

}  // namespace nsboot_lb::wiring
