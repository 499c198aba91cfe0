#include "acceptor.hpp"

#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsboot_lb::admin {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;
using boost::system::error_code;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

std::unexpected<std::string> cannot_bind(const std::string& address, const error_code& error) {
    return std::unexpected("cannot listen on " + address + ": " + error.message());
}

std::string text_of(const tcp::endpoint& endpoint) {
    const std::string host = endpoint.address().to_string();
    return (endpoint.address().is_v6() ? "[" + host + "]:" : host + ":") + std::to_string(endpoint.port());
}

/// A socket file that nobody listens on any more is in the way (unix(7)); one that is alive stays.
void remove_dead_socket(asio::io_context& io, const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    stream_protocol::socket probe(io, stream_protocol());
    error_code error;
    // It would wait where a living one's backlog is full.
    probe.non_blocking(true, error);
    if (!error) probe.native_non_blocking(true, error);
    const stream_protocol::endpoint endpoint(path);
    if (error) return;
    if (::connect(probe.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
        error.assign(errno, boost::system::system_category());
    if (error == asio::error::connection_refused) ::unlink(path.c_str());
}

}  // namespace

std::expected<Acceptor, std::string> Acceptor::bind(asio::io_context& io, const config::BindAddress& address) {
    return address.unix_path.empty() ? bind_tcp(io, address) : bind_unix(io, address.unix_path);
}

std::expected<Acceptor, std::string> Acceptor::bind_tcp(asio::io_context& io, const config::BindAddress& address) {
    error_code error;
    const tcp::endpoint endpoint(asio::ip::make_address(address.host, error), address.port);
    if (error) return cannot_bind(address.host, error);
    tcp::acceptor acceptor(io);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return cannot_bind(text_of(endpoint), error);
    const tcp::endpoint bound = acceptor.local_endpoint(error);
    return Acceptor(std::move(acceptor), text_of(error ? endpoint : bound));
}

std::expected<Acceptor, std::string> Acceptor::bind_unix(asio::io_context& io, const std::string& path) {
    const std::string text = "unix:" + path;
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return cannot_bind(text, error_code(ENAMETOOLONG, boost::system::generic_category()));
    }
    remove_dead_socket(io, path);
    error_code error;
    stream_protocol::acceptor acceptor(io);
    acceptor.open(stream_protocol(), error);
    if (!error) acceptor.bind(stream_protocol::endpoint(path), error);
    // Before listen(): until then nobody can connect, whatever the umask was.
    if (!error && ::chmod(path.c_str(), 0660) != 0) error.assign(errno, boost::system::system_category());
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return cannot_bind(text, error);
    Acceptor bound(std::move(acceptor), text);
    bound.file_ = file_at(path);
    return bound;
}

Acceptor Acceptor::adopt(asio::io_context& io, const config::BindAddress& address, int descriptor) {
    if (!address.unix_path.empty()) {
        Acceptor adopted(stream_protocol::acceptor(io, stream_protocol(), descriptor), address.text());
        adopted.file_ = file_at(address.unix_path);
        return adopted;
    }
    const bool is_v6 = address.host.contains(':');
    tcp::acceptor acceptor(io, is_v6 ? tcp::v6() : tcp::v4(), descriptor);
    error_code error;
    const tcp::endpoint bound = acceptor.local_endpoint(error);
    return Acceptor(std::move(acceptor), error ? address.text() : text_of(bound));
}

std::optional<Acceptor::SocketFile> Acceptor::file_at(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
    return SocketFile{path, status.st_dev, status.st_ino};
}

int Acceptor::descriptor() {
    return std::visit([](auto& acceptor) { return acceptor.native_handle(); }, acceptor_);
}

Acceptor::~Acceptor() {
    close();
}

asio::awaitable<error_code> Acceptor::accept(Socket& socket) {
    error_code error;
    if (auto* const by_tcp = std::get_if<tcp::acceptor>(&acceptor_)) {
        std::tie(error) = co_await by_tcp->async_accept(socket, as_result);
    } else {
        std::tie(error) = co_await std::get<stream_protocol::acceptor>(acceptor_).async_accept(socket, as_result);
    }
    co_return error;
}

void Acceptor::close() {
    error_code ignored;
    std::visit([&](auto& acceptor) { acceptor.close(ignored); }, acceptor_);
    const auto file = std::exchange(file_, std::nullopt);
    if (!file) return;
    const auto there = file_at(file->path);
    if (there && there->device == file->device && there->inode == file->inode) ::unlink(file->path.c_str());
}

std::optional<base::IpAddress> peer_address(const Socket& socket) {
    error_code error;
    const auto endpoint = socket.remote_endpoint(error);
    if (error) return std::nullopt;
    if (endpoint.protocol().family() == AF_INET) {
        sockaddr_in address{};
        std::memcpy(&address, endpoint.data(), sizeof address);
        return base::IpAddress::from_v4(ntohl(address.sin_addr.s_addr));
    }
    if (endpoint.protocol().family() == AF_INET6) {
        sockaddr_in6 address{};
        std::memcpy(&address, endpoint.data(), sizeof address);
        return base::IpAddress::from_v6(address.sin6_addr.s6_addr);
    }
    return std::nullopt;
}

}  // namespace nsboot_lb::admin
