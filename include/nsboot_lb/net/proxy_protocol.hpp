#pragma once
/// The header that a proxy in front puts before a connection's first byte to say whose connection it is: PROXY protocol
/// versions 1 and 2 (HAProxy's doc/proxy-protocol.txt, cited by section). A pure function of the bytes received so far,
/// for any thread; whom to believe is the listener's business.
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::net {

struct ProxyEndpoint {
    base::IpAddress address;
    std::uint16_t port = 0;
    bool operator==(const ProxyEndpoint&) const = default;
};

struct ProxyHeader {
    std::size_t size = 0;  ///< bytes of the header; what the client sent begins behind them
    /// The client. Absent where the header names none (LOCAL, such as the proxy's own health check; UNKNOWN, UNSPEC,
    /// unix sockets): then the connection's own peer is the client (2.1, 2.2).
    std::optional<ProxyEndpoint> source;
    std::optional<ProxyEndpoint> destination;  ///< what the client had connected to; present with `source`
    bool operator==(const ProxyHeader&) const = default;
};

/// No header is longer: a v1 line by its definition (2.1), a v2 header with its TLVs by our own limit, so that a peer
/// cannot make us hold more.
inline constexpr std::size_t max_proxy_v1_size = 107;
inline constexpr std::size_t max_proxy_v2_size = 4096;

/// `received` holds all bytes from the connection's first on. Gives the header once it is complete, nothing while more
/// has to come (never at or beyond max_proxy_v2_size bytes), or what is wrong: the connection is then to be closed
/// without an answer (2).
std::expected<std::optional<ProxyHeader>, std::string_view> parse_proxy_header(std::string_view received);

}  // namespace nsboot_lb::net
