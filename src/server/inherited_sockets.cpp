#include "nsboot_lb/server/inherited_sockets.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "nsboot_lb/net/socket_address.hpp"

namespace nsboot_lb::server {

namespace {

constexpr std::size_t longest_descriptor_name = 255;

int option(int descriptor, int which) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(descriptor, SOL_SOCKET, which, &value, &size) == 0 ? value : -1;
}

bool listens(int descriptor) {
    return option(descriptor, SO_TYPE) == SOCK_STREAM && option(descriptor, SO_ACCEPTCONN) == 1;
}

config::BindAddress bound_to(int descriptor) {
    const auto bound = net::SocketAddress::bound_by(descriptor);
    config::BindAddress address;
    if (bound.family() == AF_UNIX) {
        address.unix_path = bound.path();
    } else {
        address.host = bound.address().text();
        address.port = bound.port();
    }
    return address;
}

bool same_address(const config::BindAddress& a, const config::BindAddress& b) {
    if (a.unix_path != b.unix_path || a.port != b.port) return false;
    return !a.unix_path.empty() || base::IpAddress::parse(a.host) == base::IpAddress::parse(b.host);
}

/// Clients reach a unix socket by its file alone.
bool reachable(const config::BindAddress& address) {
    struct stat file{};
    return address.unix_path.empty() || (::stat(address.unix_path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode));
}

}  // namespace

InheritedSockets::~InheritedSockets() {
    close_rest();
}

bool InheritedSockets::add(std::string name, int descriptor) {
    if (!listens(descriptor)) {
        ::close(descriptor);
        return false;
    }
    // systemd hands over sockets that block.
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    sockets_.push_back({descriptor_name(name), descriptor, bound_to(descriptor)});
    return true;
}

std::vector<int> InheritedSockets::claim(std::string_view name, const config::BindAddress& address) {
    const auto wanted = descriptor_name(name);
    const bool by_name = std::ranges::any_of(sockets_, [&](const Socket& socket) { return socket.name == wanted; });
    std::vector<int> claimed;
    std::erase_if(sockets_, [&](const Socket& socket) {
        const bool theirs = by_name ? socket.name == wanted : same_address(socket.address, address);
        if (!theirs || !reachable(socket.address)) return false;
        claimed.push_back(socket.descriptor);
        return true;
    });
    return claimed;
}

std::vector<std::string> InheritedSockets::close_rest() {
    std::vector<std::string> closed;
    for (const auto& socket : std::exchange(sockets_, {})) {
        ::close(socket.descriptor);
        closed.push_back(socket.address.text());
    }
    std::ranges::sort(closed);
    const auto repeated = std::ranges::unique(closed);
    closed.erase(repeated.begin(), repeated.end());
    return closed;
}

std::string descriptor_name(std::string_view name) {
    std::string allowed{name.substr(0, longest_descriptor_name)};
    for (char& c : allowed)
        if (c == ':' || c < ' ' || c > '~') c = '_';
    return allowed;
}

}  // namespace nsboot_lb::server
