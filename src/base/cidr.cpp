#include "nsboot_lb/base/cidr.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <span>

namespace nsboot_lb::base {

namespace {
constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void clear_behind(IpAddress& address, unsigned prefix_bits) {
    for (unsigned i = 0; i < 16; ++i) {
        const unsigned kept = prefix_bits > i * 8 ? std::min(prefix_bits - i * 8, 8U) : 0;
        address.bytes[i] = static_cast<std::uint8_t>(address.bytes[i] & (0xff00U >> kept));
    }
}
}  // namespace

IpAddress IpAddress::from_v4(std::uint32_t host_order) {
    IpAddress address;
    std::ranges::copy(v4_prefix, address.bytes.begin());
    for (unsigned i = 0; i < 4; ++i) address.bytes[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
    return address;
}

IpAddress IpAddress::from_v6(std::span<const std::uint8_t, 16> network_order) {
    IpAddress address;
    std::ranges::copy(network_order, address.bytes.begin());
    return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.empty() || text.size() >= terminated.size()) return std::nullopt;
    // inet_pton() would take what stands before a NUL for the whole.
    if (text.contains('\0')) return std::nullopt;
    std::ranges::copy(text, terminated.begin());
    in_addr v4{};
    if (inet_pton(AF_INET, terminated.data(), &v4) == 1) return from_v4(ntohl(v4.s_addr));
    IpAddress address;
    if (inet_pton(AF_INET6, terminated.data(), address.bytes.data()) == 1) return address;
    return std::nullopt;
}

bool IpAddress::is_v4() const {
    return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
}

std::string IpAddress::text() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (!is_v4()) return inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
    // The library's goes through printf(), once for each connection.
    auto* end = text.data();
    for (const auto byte : std::span{bytes}.last<4>()) {
        if (end != text.data()) *end++ = '.';
        end = std::to_chars(end, text.data() + text.size(), byte).ptr;
    }
    return {text.data(), end};
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    const bool dotted = text.substr(0, slash).find(':') == std::string_view::npos;
    const unsigned width = dotted ? 32 : 128;
    unsigned bits = width;
    if (slash != std::string_view::npos) {
        const auto digits = text.substr(slash + 1);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty() || bits > width)
            return std::nullopt;
    }
    Cidr range;
    range.prefix_bits_ = static_cast<std::uint8_t>(bits + 128 - width);
    range.network_ = *address;
    clear_behind(range.network_, range.prefix_bits_);
    return range;
}

bool Cidr::contains(const IpAddress& address) const {
    const unsigned whole = prefix_bits_ / 8;
    if (std::memcmp(network_.bytes.data(), address.bytes.data(), whole) != 0) return false;
    const unsigned rest = prefix_bits_ % 8;
    return rest == 0 || ((network_.bytes[whole] ^ address.bytes[whole]) >> (8 - rest)) == 0;
}

bool Cidr::contains(const Cidr& range) const {
    return prefix_bits_ <= range.prefix_bits_ && contains(range.network_);
}

Cidr Cidr::widened(unsigned prefix_bits) const {
    Cidr range = *this;
    range.prefix_bits_ = static_cast<std::uint8_t>(prefix_bits);
    clear_behind(range.network_, range.prefix_bits_);
    return range;
}

std::string Cidr::text() const {
    const bool v4 = network_.is_v4() && prefix_bits_ >= 96;
    const unsigned bits = v4 ? prefix_bits_ - 96U : prefix_bits_;
    const unsigned width = v4 ? 32 : 128;
    auto text = network_.text();
    if (bits != width) text += "/" + std::to_string(bits);
    return text;
}

bool any_contains(std::span<const Cidr> ranges, const IpAddress& address) {
    return std::ranges::any_of(ranges, [&](const Cidr& range) { return range.contains(address); });
}

}  // namespace nsboot_lb::base

std::size_t std::hash<nsboot_lb::base::IpAddress>::operator()(
    const nsboot_lb::base::IpAddress& address) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, address.bytes.data(), 8);
    std::memcpy(&low, address.bytes.data() + 8, 8);
    // The finaliser of MurmurHash3, which spreads addresses that differ in their last bits only.
    std::uint64_t mixed = (high * 0x9e3779b97f4a7c15ULL) ^ low;
    mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccdULL;
    mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return mixed ^ (mixed >> 33);
}
