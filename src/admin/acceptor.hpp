#pragma once
/// The admin listener's bound socket, TCP or unix, which look the same from here on. Owned by the AdminServer; control
/// thread only.
#include <expected>
#include <optional>
#include <string>
#include <variant>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::admin {

/// A connected socket of either kind.
using Socket = boost::asio::generic::stream_protocol::socket;

class Acceptor {
  public:
    /// Binds and listens. A unix socket's file that a dead process left is replaced; the new one is for owner and
    /// group.
    static std::expected<Acceptor, std::string> bind(boost::asio::io_context& io, const config::BindAddress& address);
    /// Takes over a socket that listens on that address already.
    static Acceptor adopt(boost::asio::io_context& io, const config::BindAddress& address, int descriptor);
    Acceptor(Acceptor&&) = default;
    Acceptor& operator=(Acceptor&&) = default;
    ~Acceptor();

    boost::asio::awaitable<boost::system::error_code> accept(Socket& socket);
    /// Ends accept(); removes a unix socket's file if it is still this one's.
    void close();
    int descriptor();
    /// Others hold the socket too: a unix socket's file stays when it is closed here.
    void keep_file() { file_.reset(); }
    /// "127.0.0.1:8404", "[::1]:8404" or "unix:/path", with the real port.
    const std::string& address() const { return address_; }

  private:
    /// Which file it was: another process may have put its own in this place since.
    struct SocketFile {
        std::string path;
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
    };
    static std::optional<SocketFile> file_at(const std::string& path);
    using Any = std::variant<boost::asio::ip::tcp::acceptor, boost::asio::local::stream_protocol::acceptor>;

    Acceptor(Any acceptor, std::string address) : acceptor_(std::move(acceptor)), address_(std::move(address)) {}
    static std::expected<Acceptor, std::string> bind_tcp(boost::asio::io_context& io,
                                                         const config::BindAddress& address);
    static std::expected<Acceptor, std::string> bind_unix(boost::asio::io_context& io, const std::string& path);

    Any acceptor_;
    std::string address_;
    std::optional<SocketFile> file_;
};

/// The peer's address; nothing for a unix socket and for a peer that is gone already.
std::optional<base::IpAddress> peer_address(const Socket& socket);

}  // namespace nsboot_lb::admin
