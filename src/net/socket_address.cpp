#include "nsboot_lb/net/socket_address.hpp"

#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

namespace nsboot_lb::net {

namespace {

template <class Address>
SocketAddress made_of(const Address& address) {
    SocketAddress made;
    std::memcpy(&made.storage, &address, sizeof address);
    made.size = sizeof address;
    return made;
}

template <class Address>
Address read_as(const sockaddr_storage& storage) {
    Address address{};
    std::memcpy(&address, &storage, sizeof address);
    return address;
}

}  // namespace

SocketAddress SocketAddress::tcp(const base::IpAddress& address, std::uint16_t port) {
    if (address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, address.bytes.data() + 12, 4);
        return made_of(v4);
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    return made_of(v6);
}

SocketAddress SocketAddress::unix_socket(std::string_view path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return made_of(address);
}

SocketAddress SocketAddress::bound_by(int descriptor) {
    SocketAddress bound;
    bound.size = sizeof bound.storage;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0) return {};
    return bound;
}

base::IpAddress SocketAddress::address() const {
    if (family() == AF_INET) return base::IpAddress::from_v4(ntohl(read_as<sockaddr_in>(storage).sin_addr.s_addr));
    if (family() != AF_INET6) return {};
    const auto v6 = read_as<sockaddr_in6>(storage);
    return base::IpAddress::from_v6(std::span<const std::uint8_t, 16>{v6.sin6_addr.s6_addr});
}

std::uint16_t SocketAddress::port() const {
    if (family() == AF_INET) return ntohs(read_as<sockaddr_in>(storage).sin_port);
    return family() == AF_INET6 ? ntohs(read_as<sockaddr_in6>(storage).sin6_port) : std::uint16_t{0};
}

std::string_view SocketAddress::path() const {
    constexpr auto begin = offsetof(sockaddr_un, sun_path);
    if (family() != AF_UNIX || size <= begin) return {};
    const auto* text = reinterpret_cast<const char*>(&storage) + begin;
    return {text, ::strnlen(text, size - begin)};
}

}  // namespace nsboot_lb::net
