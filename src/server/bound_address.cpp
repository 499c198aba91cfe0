#include "bound_address.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "nsboot_lb/net/socket_address.hpp"
#include "nsboot_lb/net/socket_options.hpp"

namespace nsboot_lb::server {

namespace {

constexpr int backlog = 65535;  // the kernel caps it at net.core.somaxconn

net::SocketAddress address_of(const config::BindAddress& bind) {
    if (!bind.unix_path.empty()) return net::SocketAddress::unix_socket(bind.unix_path);
    return net::SocketAddress::tcp(base::IpAddress::parse(bind.host).value_or(base::IpAddress{}), bind.port);
}

void set(int descriptor, int level, int option) {
    const int on = 1;
    ::setsockopt(descriptor, level, option, &on, sizeof on);
}

/// A TCP socket for that address, not bound yet; -1 if there is none.
int open_tcp(const net::SocketAddress& where) {
    const int descriptor = ::socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    set(descriptor, SOL_SOCKET, SO_REUSEADDR);
    set(descriptor, IPPROTO_TCP, TCP_NODELAY);  // this and the next are inherited by what is accepted
    net::peer_options(descriptor);
    if (where.family() == AF_INET6) set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY);
    return descriptor;
}

/// Whether a socket file is left over from a process that is gone: nobody accepts there.
bool is_abandoned(const net::SocketAddress& address, const std::string& path) {
    struct stat file{};
    if (::stat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return false;
    const int connected = ::connect(probe, address.get(), address.size);
    const bool abandoned = connected != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return abandoned;
}

}  // namespace

BoundAddress::BoundAddress(BoundAddress&& other) noexcept
    : configured_(std::move(other.configured_)),
      text_(std::move(other.text_)),
      descriptors_(std::exchange(other.descriptors_, {})),
      keeps_file_(other.keeps_file_),
      file_(other.file_) {}

BoundAddress& BoundAddress::operator=(BoundAddress&& other) noexcept {
    std::swap(configured_, other.configured_);
    std::swap(text_, other.text_);
    std::swap(descriptors_, other.descriptors_);
    std::swap(keeps_file_, other.keeps_file_);
    std::swap(file_, other.file_);
    return *this;
}

BoundAddress::~BoundAddress() {
    for (const int descriptor : descriptors_) ::close(descriptor);
    if (!descriptors_.empty() && !configured_.unix_path.empty() && !keeps_file_ && file_now() == file_)
        ::unlink(configured_.unix_path.c_str());
}

std::pair<std::uint64_t, std::uint64_t> BoundAddress::file_now() const {
    struct stat file{};
    if (configured_.unix_path.empty() || ::lstat(configured_.unix_path.c_str(), &file) != 0) return {};
    return {file.st_dev, file.st_ino};
}

std::vector<int> BoundAddress::descriptors_of(unsigned worker, unsigned workers) const {
    if (descriptors_.size() < workers) return {descriptors_[worker % descriptors_.size()]};
    std::vector<int> mine;
    for (std::size_t i = worker; i < descriptors_.size(); i += workers) mine.push_back(descriptors_[i]);
    return mine;
}

std::expected<BoundAddress, std::string> BoundAddress::bind(const config::BindAddress& address, unsigned workers) {
    BoundAddress bound;
    bound.configured_ = address;
    auto wanted = address;
    const bool is_unix = !address.unix_path.empty();
    const auto fail = [&](const char* what) {
        return std::unexpected{"cannot listen on " + address.text() + ": " + what + ": " +
                               std::generic_category().message(errno)};
    };
    const unsigned sockets = is_unix ? 1 : workers;
    for (unsigned i = 0; i < sockets; ++i) {
        const auto where = address_of(wanted);
        const int descriptor =
            is_unix ? ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : open_tcp(where);
        if (descriptor < 0) return fail("socket");
        bound.descriptors_.push_back(descriptor);
        if (is_unix && is_abandoned(where, address.unix_path)) ::unlink(address.unix_path.c_str());
        // Not before the first bind: another process that listens here must be noticed, not joined.
        if (i > 0) set(descriptor, SOL_SOCKET, SO_REUSEPORT);
        if (::bind(descriptor, where.get(), where.size) != 0) {
            bound.keeps_file_ = true;  // not ours to remove
            return fail("bind");
        }
        if (i == 0 && sockets > 1) set(descriptor, SOL_SOCKET, SO_REUSEPORT);
        if (!is_unix && wanted.port == 0) wanted.port = net::SocketAddress::bound_by(descriptor).port();
    }
    for (const int descriptor : bound.descriptors_) {
        if (::listen(descriptor, backlog) != 0) return fail("listen");
    }
    bound.text_ = wanted.text();
    bound.file_ = bound.file_now();
    return bound;
}

BoundAddress BoundAddress::adopt(const config::BindAddress& address, std::vector<int> descriptors, unsigned workers) {
    BoundAddress adopted;
    adopted.configured_ = address;
    adopted.descriptors_ = std::move(descriptors);
    auto really = address;
    const auto where = net::SocketAddress::bound_by(adopted.descriptors_.front());
    if (address.unix_path.empty()) {
        really.port = where.port();
        const bool too_few = adopted.descriptors_.size() < workers;
        for (const int descriptor : adopted.descriptors_) {
            set(descriptor, IPPROTO_TCP, TCP_NODELAY);
            net::peer_options(descriptor);
            if (too_few) set(descriptor, SOL_SOCKET, SO_REUSEPORT);
        }
        // The kernel refuses where the first socket is another user's, as systemd's are, or the port a privileged one.
        while (adopted.descriptors_.size() < workers) {
            const int descriptor = open_tcp(where);
            if (descriptor < 0) break;
            set(descriptor, SOL_SOCKET, SO_REUSEPORT);
            if (::bind(descriptor, where.get(), where.size) != 0 || ::listen(descriptor, backlog) != 0) {
                ::close(descriptor);
                break;
            }
            adopted.descriptors_.push_back(descriptor);
        }
    }
    adopted.text_ = really.text();
    adopted.file_ = adopted.file_now();
    return adopted;
}

}  // namespace nsboot_lb::server
