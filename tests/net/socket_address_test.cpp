// Addresses there and back, and what the kernel makes of them.
#include "nsboot_lb/net/socket_address.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace nsboot_lb::net {
namespace {

base::IpAddress ip(std::string_view text) {
    return base::IpAddress::parse(text).value();
}

TEST(SocketAddress, keeps_address_and_port) {
    for (const auto* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::7"}) {
        SCOPED_TRACE(text);
        const auto made = SocketAddress::tcp(ip(text), 8080);
        EXPECT_EQ(made.address(), ip(text));
        EXPECT_EQ(made.port(), 8080);
    }
}

TEST(SocketAddress, is_of_the_address_own_family) {
    EXPECT_EQ(SocketAddress::tcp(ip("0.0.0.0"), 1).family(), AF_INET);
    EXPECT_EQ(SocketAddress::tcp(ip("::ffff:10.0.0.1"), 1).family(), AF_INET);
    EXPECT_EQ(SocketAddress::tcp(ip("::"), 1).family(), AF_INET6);
    EXPECT_EQ(SocketAddress::unix_socket("/run/x").family(), AF_UNIX);
}

TEST(SocketAddress, of_a_unix_socket_has_no_address) {
    const auto made = SocketAddress::unix_socket("/run/x");
    EXPECT_EQ(made.address(), base::IpAddress{});
    EXPECT_EQ(made.port(), 0);
}

TEST(SocketAddress, is_what_the_kernel_binds) {
    const auto wanted = SocketAddress::tcp(ip("127.0.0.9"), 0);
    const int descriptor = ::socket(wanted.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(descriptor, wanted.get(), wanted.size), 0);
    SocketAddress bound;
    bound.size = sizeof bound.storage;
    ASSERT_EQ(::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound.storage), &bound.size), 0);
    EXPECT_EQ(bound.address(), ip("127.0.0.9"));
    EXPECT_NE(bound.port(), 0);
    ::close(descriptor);
}

}  // namespace
}  // namespace nsboot_lb::net
