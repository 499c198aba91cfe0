#pragma once
/// IP addresses and address ranges as small values. Free of threads and of sockets; any thread may use them.
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nsboot_lb::base {

/// An IPv4 or IPv6 address, kept as 16 bytes (IPv4 as ::ffff:a.b.c.d, RFC 4291 2.5.5.2), so that an IPv4 client seen
/// through a dual-stack socket equals itself seen through an IPv4 one. The default is "::" (also used for unix peers).
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};

    static IpAddress from_v4(std::uint32_t host_order);
    static IpAddress from_v6(std::span<const std::uint8_t, 16> network_order);
    /// A literal without brackets, zone or port; nothing for anything else.
    static std::optional<IpAddress> parse(std::string_view text);

    bool is_v4() const;
    /// "10.0.0.1" for IPv4 (mapped or not), RFC 5952 text for IPv6.
    std::string text() const;
    auto operator<=>(const IpAddress&) const = default;
};

/// A range such as 10.0.0.0/8, ::1 or 2001:db8::/32. A bare address is the range of itself.
class Cidr {
  public:
    /// Nothing for a malformed range. Bits behind the prefix are cleared.
    static std::optional<Cidr> parse(std::string_view text);
    bool contains(const IpAddress& address) const;
    /// Whether all of the other range is in this one.
    bool contains(const Cidr& range) const;
    /// Of 128; an IPv4 /8 has 104.
    unsigned prefix_bits() const { return prefix_bits_; }
    /// The range of so many bits, at most its own, that this one is in.
    Cidr widened(unsigned prefix_bits) const;
    std::string text() const;
    bool operator==(const Cidr&) const = default;

  private:
    IpAddress network_;
    std::uint8_t prefix_bits_ = 128;  ///< of 128; an IPv4 /8 is 104
};

/// Whether any of the ranges has the address.
bool any_contains(std::span<const Cidr> ranges, const IpAddress& address);

}  // namespace nsboot_lb::base

template <>
struct std::hash<nsboot_lb::base::IpAddress> {
    std::size_t operator()(const nsboot_lb::base::IpAddress& address) const noexcept;
};
