#pragma once
/// The admin listener: metrics, health, status, the dashboard and the REST API over HTTP/1.1, for operators and
/// Prometheus. Lives on the control thread's io_context and is used from that thread alone; main owns it.
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "nsboot_lb/admin/context.hpp"
#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/server/inherited_sockets.hpp"

namespace nsboot_lb::admin {

class AdminServer {
  public:
    /// The name that a successor claims the listening socket by.
    static constexpr std::string_view socket_name = "admin";

    /// Binds, or claims from `inherited` if there is any, and serves. The error says what could not be bound or read.
    static std::expected<std::unique_ptr<AdminServer>, std::string> start(
        boost::asio::io_context& io, const config::Admin& config, AdminContext context,
        server::InheritedSockets* inherited = nullptr);
    /// Closes the listener and every connection.
    ~AdminServer();
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    /// A reload's new allow list, token file and hosts, where the address stayed. They hold for the next request of a
    /// connection that is open; only a peer that was not allowed has to connect again.
    void set_access(const config::Admin& config);
    /// The listening socket, for a successor.
    int descriptor() const;
    /// Others hold the socket as well: a unix socket's file stays when this one is closed.
    void keep_socket_file();
    /// The really bound address: "127.0.0.1:8404" or "unix:/path".
    const std::string& address() const;

  private:
    class Impl;
    explicit AdminServer(std::shared_ptr<Impl> impl);
    const std::shared_ptr<Impl> impl_;  ///< shared with its coroutines, which end soon after stop()
};

}  // namespace nsboot_lb::admin
