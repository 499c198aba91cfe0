#include "address.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire.hpp"

namespace nsboot_lb::test {
namespace {

/// The two kinds of address that the socket calls take through one pointer type.
union AnyAddress {
    sockaddr any;
    sockaddr_in inet;
    sockaddr_un local;
};

[[noreturn]] void fail(const std::string& what) {
    throw Failure(what + ": " + std::strerror(errno));
}

AnyAddress inet_address(const std::string& host, std::uint16_t port) {
    AnyAddress address{};
    address.inet.sin_family = AF_INET;
    address.inet.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &address.inet.sin_addr) != 1) throw Failure("not an address: " + host);
    return address;
}

AnyAddress local_address(const std::string& path) {
    AnyAddress address{};
    address.local.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.local.sun_path) throw Failure("path too long for a socket: " + path);
    path.copy(address.local.sun_path, path.size());
    return address;
}

int make_socket(int family) {
    const int descriptor = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) fail("socket");
    return descriptor;
}

void bind_or_fail(int descriptor, const AnyAddress& address, socklen_t size, const std::string& what) {
    if (::bind(descriptor, &address.any, size) != 0) fail("bind " + what);
}

}  // namespace

int listen_on(const std::string& unix_path, std::uint16_t port, int backlog) {
    const bool local = !unix_path.empty();
    const int descriptor = make_socket(local ? AF_UNIX : AF_INET);
    if (local) {
        bind_or_fail(descriptor, local_address(unix_path), sizeof(sockaddr_un), unix_path);
    } else {
        const int yes = 1;
        ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        bind_or_fail(descriptor, inet_address("127.0.0.1", port), sizeof(sockaddr_in), "loopback");
    }
    if (::listen(descriptor, backlog) != 0) fail("listen");
    return descriptor;
}

std::uint16_t local_port(int descriptor) {
    AnyAddress address{};
    socklen_t size = sizeof(sockaddr_in);
    if (::getsockname(descriptor, &address.any, &size) != 0) fail("getsockname");
    return ntohs(address.inet.sin_port);
}

int connect_to(const std::string& host, std::uint16_t port, const std::string& source) {
    const int descriptor = make_socket(AF_INET);
    const int yes = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (!source.empty()) bind_or_fail(descriptor, inet_address(source, 0), sizeof(sockaddr_in), source);
    const AnyAddress to = inet_address(host, port);
    if (::connect(descriptor, &to.any, sizeof(sockaddr_in)) != 0) {
        const int error = errno;
        ::close(descriptor);
        errno = error;
        fail("connect to " + host + ":" + std::to_string(port));
    }
    return descriptor;
}

int connect_to_unix(const std::string& path) {
    const int descriptor = make_socket(AF_UNIX);
    const AnyAddress to = local_address(path);
    if (::connect(descriptor, &to.any, sizeof(sockaddr_un)) != 0) {
        const int error = errno;
        ::close(descriptor);
        errno = error;
        fail("connect to unix:" + path);
    }
    return descriptor;
}

int connect_with_small_buffer(std::uint16_t port) {
    const int descriptor = make_socket(AF_INET);
    const int bytes = 4096;
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    const AnyAddress to = inet_address("127.0.0.1", port);
    if (::connect(descriptor, &to.any, sizeof(sockaddr_in)) != 0) fail("connect");
    return descriptor;
}

RefusingAddress::RefusingAddress() : descriptor_(make_socket(AF_INET)) {
    bind_or_fail(descriptor_, inet_address("127.0.0.1", 0), sizeof(sockaddr_in), "loopback");
}

RefusingAddress::~RefusingAddress() {
    ::close(descriptor_);
}

std::string RefusingAddress::text() const {
    return "127.0.0.1:" + std::to_string(local_port(descriptor_));
}

UnansweringAddress::UnansweringAddress() : listener_(listen_on("", 0, 0)) {
    // A backlog of 0 holds one connection; the kernel drops the handshakes that come after.
    const AnyAddress to = inet_address("127.0.0.1", local_port(listener_));
    for (int i = 0; i < 3; ++i) {
        const int descriptor = make_socket(AF_INET);
        ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
        ::connect(descriptor, &to.any, sizeof(sockaddr_in));
        queued_.push_back(descriptor);
    }
}

UnansweringAddress::~UnansweringAddress() {
    for (const int descriptor : queued_) ::close(descriptor);
    ::close(listener_);
}

std::string UnansweringAddress::text() const {
    return "127.0.0.1:" + std::to_string(local_port(listener_));
}

}  // namespace nsboot_lb::test
