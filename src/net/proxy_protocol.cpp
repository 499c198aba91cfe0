#include "nsboot_lb/net/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace nsboot_lb::net {

namespace {

using Result = std::expected<std::optional<ProxyHeader>, std::string_view>;
using namespace std::string_view_literals;

constexpr auto v1_start = "PROXY "sv;
constexpr auto v2_signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t v2_fixed_size = 16;

/// Whether `received` begins as `expected` does, as far as both go.
bool may_become(std::string_view received, std::string_view expected) {
    const auto common = std::min(received.size(), expected.size());
    return received.substr(0, common) == expected.substr(0, common);
}

// ---- Version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" (2.1)

/// The text up to the next space, which goes with it; nothing if there is none. Two spaces make an empty word.
std::optional<std::string_view> take_word(std::string_view& line) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const auto word = line.substr(0, space);
    line.remove_prefix(space + 1);
    return word;
}

/// An address of the family that was announced, and of no other.
std::optional<base::IpAddress> v1_address(std::optional<std::string_view> word, bool is_v6) {
    if (!word || word->contains(':') != is_v6 || word->contains('\0')) return std::nullopt;
    return base::IpAddress::parse(*word);
}

/// 0 to 65535 in decimal, without leading zeros.
std::optional<std::uint16_t> v1_port(std::optional<std::string_view> word) {
    if (!word || word->empty() || (word->size() > 1 && word->front() == '0')) return std::nullopt;
    std::uint16_t port = 0;
    const auto* const last = word->data() + word->size();
    const auto [end, error] = std::from_chars(word->data(), last, port);
    if (error != std::errc{} || end != last) return std::nullopt;
    return port;
}

Result parse_v1_line(std::string_view line, std::size_t size) {
    line.remove_prefix(v1_start.size());
    // The rest of an UNKNOWN line is to be ignored.
    if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) {
        return ProxyHeader{.size = size, .source = {}, .destination = {}};
    }
    const auto family = take_word(line);
    if (family != "TCP4" && family != "TCP6") return std::unexpected("unknown protocol in a PROXY v1 line");
    const bool is_v6 = family == "TCP6";
    const auto source = v1_address(take_word(line), is_v6);
    const auto destination = v1_address(take_word(line), is_v6);
    if (!source || !destination) return std::unexpected("malformed address in a PROXY v1 line");
    const auto source_port = v1_port(take_word(line));
    const auto destination_port = v1_port(line);
    if (!source_port || !destination_port) return std::unexpected("malformed port in a PROXY v1 line");
    return ProxyHeader{.size = size,
                       .source = ProxyEndpoint{.address = *source, .port = *source_port},
                       .destination = ProxyEndpoint{.address = *destination, .port = *destination_port}};
}

Result parse_v1(std::string_view received) {
    const auto window = received.substr(0, max_proxy_v1_size);
    const auto end = window.find_first_of("\r\n"sv);
    if (end == std::string_view::npos) {
        if (window.size() == max_proxy_v1_size) return std::unexpected("PROXY v1 line without an end");
        return std::nullopt;
    }
    if (end + 1 == window.size() && window[end] == '\r' && window.size() < max_proxy_v1_size) return std::nullopt;
    if (!window.substr(end).starts_with("\r\n")) return std::unexpected("PROXY v1 line that does not end in CRLF");
    return parse_v1_line(window.substr(0, end), end + 2);
}

// ---- Version 2: signature, version and command, family and protocol, length, addresses, TLVs (2.2)

std::uint8_t octet_at(std::string_view bytes, std::size_t position) {
    return static_cast<std::uint8_t>(bytes[position]);
}

std::uint16_t u16_at(std::string_view bytes, std::size_t position) {
    return static_cast<std::uint16_t>(octet_at(bytes, position) << 8 | octet_at(bytes, position + 1));
}

base::IpAddress address_at(std::string_view bytes, std::size_t position, std::size_t width) {
    if (width == 4)
        return base::IpAddress::from_v4(std::uint32_t{u16_at(bytes, position)} << 16 | u16_at(bytes, position + 2));
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = octet_at(bytes, position + i);
    return base::IpAddress::from_v6(octets);
}

/// What stands behind the fixed part: two addresses, two ports, and TLVs, which are skipped.
Result parse_v2_addresses(std::string_view payload, std::size_t width, std::size_t size) {
    if (payload.size() < 2 * width + 4) return std::unexpected("PROXY v2 header too short for its addresses");
    return ProxyHeader{
        .size = size,
        .source = ProxyEndpoint{.address = address_at(payload, 0, width), .port = u16_at(payload, 2 * width)},
        .destination =
            ProxyEndpoint{.address = address_at(payload, width, width), .port = u16_at(payload, 2 * width + 2)}};
}

Result parse_v2(std::string_view received) {
    constexpr std::uint8_t local = 0x20;
    constexpr std::uint8_t proxy = 0x21;
    constexpr std::size_t unix_addresses_size = 216;
    if (received.size() > v2_signature.size()) {
        const auto command = octet_at(received, 12);
        if (command >> 4 != 2) return std::unexpected("PROXY header of an unknown version");
        if (command != local && command != proxy) return std::unexpected("unknown command in a PROXY v2 header");
    }
    if (received.size() < v2_fixed_size) return std::nullopt;
    const std::size_t size = v2_fixed_size + u16_at(received, 14);
    if (size > max_proxy_v2_size) return std::unexpected("PROXY v2 header too long");
    if (received.size() < size) return std::nullopt;

    const auto payload = received.substr(v2_fixed_size, size - v2_fixed_size);
    const ProxyHeader nobody{.size = size, .source = {}, .destination = {}};
    if (octet_at(received, 12) == local) return nobody;
    switch (octet_at(received, 13)) {
        case 0x00: return nobody;                                 // UNSPEC
        case 0x11: return parse_v2_addresses(payload, 4, size);   // TCP over IPv4
        case 0x21: return parse_v2_addresses(payload, 16, size);  // TCP over IPv6
        case 0x31:                                                // a unix stream socket
            if (payload.size() < unix_addresses_size)
                return std::unexpected("PROXY v2 header too short for its addresses");
            return nobody;
        default: return std::unexpected("PROXY v2 header for something that is not a stream");
    }
}

}  // namespace

std::expected<std::optional<ProxyHeader>, std::string_view> parse_proxy_header(std::string_view received) {
    if (received.empty()) return std::nullopt;
    if (may_become(received, v2_signature)) return parse_v2(received);
    if (may_become(received, v1_start)) return parse_v1(received);
    return std::unexpected("no PROXY header");
}

}  // namespace nsboot_lb::net
