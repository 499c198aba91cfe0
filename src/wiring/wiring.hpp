#pragma once
/// Joins the floors that do not know each other: what the admin listener shows is what the server knows. Used by main
/// on the control thread.
#include <expected>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "nsboot_lb/admin/admin_server.hpp"
#include "nsboot_lb/observe/log.hpp"
#include "nsboot_lb/server/server.hpp"
#include "nsboot_lb/server/turns.hpp"
#include "service.hpp"

namespace nsboot_lb::wiring {

observe::log::Level log_level(config::LogLevel level);

/// The admin listener of the configuration in force, and what it may do to the server.
class Admin {
  public:
    Admin(boost::asio::io_context& control, server::Server& server, Service& service, std::string config_file);

    /// Listens as the server's configuration says, on a socket of `inherited` if there is one for it.
    std::expected<void, std::string> start(server::InheritedSockets& inherited);
    /// Reloads the configuration, logs and admin listener included. All or nothing: an admin address that cannot be had
    /// refuses it.
    boost::asio::awaitable<admin::ReloadResult> reload();
    /// Waits for a reload that is going on. Others wait until the turn is over.
    boost::asio::awaitable<server::Turns::Turn> hold_reloads() { return turns_.take(); }
    /// Every listening socket of this process: the server's and the admin listener's own.
    std::vector<server::ListeningSockets> sockets() const;
    /// Has systemd keep them, if it is there.
    void keep_sockets();
    /// Leaves the admin listener to a successor, as soon as everybody who asked for a reload has been told.
    boost::asio::awaitable<void> leave();

  private:
    std::expected<void, std::string> prepare(const config::Config& wanted);
    void take_over();
    admin::AdminContext context();
    admin::View view();

    boost::asio::io_context& control_;
    server::Server& server_;
    Service& service_;
    const std::string config_file_;
    std::unique_ptr<admin::AdminServer> admin_;
    std::unique_ptr<admin::AdminServer> next_;      ///< of a reload that is going on, bound already
    std::unique_ptr<admin::AdminServer> previous_;  ///< about to be closed
    config::BindAddress address_;
    server::Turns turns_;                                          ///< of reloads and hot upgrades
    const std::shared_ptr<void> asked_ = std::make_shared<int>();  ///< each reload that is not over holds it as well
    boost::asio::thread_pool background_{1};                       ///< for looking at views
};

}  // namespace nsboot_lb::wiring
