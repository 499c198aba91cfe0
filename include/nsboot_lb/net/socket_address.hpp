#pragma once
/// An address as the socket calls want it. Pure values, for any thread.
#include <cstdint>
#include <string_view>
#include <sys/socket.h>

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::net {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }

    /// `address` in its own family; 0.0.0.0 is IPv4's "any", :: is IPv6's.
    static SocketAddress tcp(const base::IpAddress& address, std::uint16_t port);
    /// `path` is cut to what the kernel takes (107 bytes); the configuration refuses longer ones.
    static SocketAddress unix_socket(std::string_view path);
    /// What that socket is bound to; of no family if it is not a socket.
    static SocketAddress bound_by(int descriptor);

    /// Of a peer or a bound socket; :: for a unix socket.
    base::IpAddress address() const;
    std::uint16_t port() const;
    /// Of a unix socket; empty for others and for one that has no file.
    std::string_view path() const;
};

}  // namespace nsboot_lb::net
