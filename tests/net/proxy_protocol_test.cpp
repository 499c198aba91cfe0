#include "nsboot_lb/net/proxy_protocol.hpp"

#include <string>

#include <gtest/gtest.h>

namespace nsboot_lb::net {
namespace {

using namespace std::string_literals;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

/// A v2 header: version and command, family and protocol, and what stands behind the length.
std::string v2(int command, int family, const std::string& payload) {
    const auto octet = [](std::size_t value) { return std::string(1, static_cast<char>(value)); };
    return signature + octet(static_cast<std::size_t>(command)) + octet(static_cast<std::size_t>(family)) +
           octet(payload.size() >> 8) + octet(payload.size() & 0xff) + payload;
}

const std::string v4_addresses = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"s;  // 192.0.2.1 to 198.51.100.2
const std::string v6_addresses =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xff\xff\0\x50"s;

ProxyEndpoint endpoint(std::string_view address, std::uint16_t port) {
    return {.address = base::IpAddress::parse(address).value(), .port = port};
}

struct Good {
    std::string name;
    std::string header;
    std::optional<ProxyEndpoint> source;
    std::optional<ProxyEndpoint> destination;
};

std::vector<Good> good_headers() {
    const auto v4 = endpoint("192.0.2.1", 56324);
    const auto v4_to = endpoint("198.51.100.2", 443);
    const auto v6 = endpoint("2001:db8::1", 65535);
    const auto v6_to = endpoint("2001:db8::2", 80);
    return {
        {"v1_tcp4", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", v4, v4_to},
        {"v1_tcp6", "PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 65535 80\r\n", v6, v6_to},
        {"v1_longest_tcp6",
         "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
         endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)},
        {"v1_port_zero", "PROXY TCP4 192.0.2.1 198.51.100.2 0 443\r\n", endpoint("192.0.2.1", 0), v4_to},
        {"v1_unknown", "PROXY UNKNOWN\r\n", {}, {}},
        {"v1_unknown_with_rest_of_107_octets", "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", {}, {}},
        {"v2_tcp4", v2(0x21, 0x11, v4_addresses), v4, v4_to},
        {"v2_tcp6", v2(0x21, 0x21, v6_addresses), v6, v6_to},
        {"v2_tlvs_skipped", v2(0x21, 0x11, v4_addresses + "\x04\0\x02xx"s), v4, v4_to},
        {"v2_longest", v2(0x21, 0x11, v4_addresses + std::string(max_proxy_v2_size - 28, 't')), v4, v4_to},
        {"v2_local", v2(0x20, 0x00, ""), {}, {}},
        {"v2_local_with_addresses", v2(0x20, 0x11, v4_addresses), {}, {}},
        {"v2_unspec", v2(0x21, 0x00, "whatever"), {}, {}},
        {"v2_unix_stream", v2(0x21, 0x31, std::string(216, '\0')), {}, {}},
    };
}

class GoodHeader : public testing::TestWithParam<Good> {};

TEST_P(GoodHeader, NamesTheClient) {
    const auto& [name, header, source, destination] = GetParam();
    const auto parsed = parse_proxy_header(header);
    ASSERT_TRUE(parsed.has_value()) << parsed.error();
    EXPECT_EQ(*parsed, (ProxyHeader{.size = header.size(), .source = source, .destination = destination}));
}

TEST_P(GoodHeader, IsAwaitedOctetByOctet) {
    const auto& header = GetParam().header;
    for (std::size_t size = 0; size < header.size(); ++size) {
        EXPECT_EQ(parse_proxy_header(std::string_view(header).substr(0, size)), std::nullopt) << size;
    }
}

TEST_P(GoodHeader, EndsWhereTheClientsOwnBytesBegin) {
    const auto& header = GetParam().header;
    for (const auto* behind : {"GET / HTTP/1.1\r\n", "\r\n", "PROXY TCP4", "\n"}) {
        EXPECT_EQ(parse_proxy_header(header + behind), parse_proxy_header(header)) << behind;
    }
}

INSTANTIATE_TEST_SUITE_P(ProxyProtocol, GoodHeader, testing::ValuesIn(good_headers()),
                         [](const auto& info) { return info.param.name; });

struct Bad {
    std::string name;
    std::string header;
    std::string error;
};

std::vector<Bad> bad_headers() {
    const std::string line_end = "PROXY v1 line that does not end in CRLF";
    const std::string address = "malformed address in a PROXY v1 line";
    const std::string port = "malformed port in a PROXY v1 line";
    const std::string family = "unknown protocol in a PROXY v1 line";
    const std::string none = "no PROXY header";
    const std::string short_v2 = "PROXY v2 header too short for its addresses";
    return {
        {"http", "GET / HTTP/1.1\r\n", none},
        {"one_wrong_octet", "G", none},
        {"lower_case", "proxy TCP4", none},
        {"tab_behind_the_word", "PROXY\tTCP4", none},
        {"broken_signature", "\r\n\r\n\r\n", none},
        {"v1_line_feed_alone", "PROXY UNKNOWN\n", line_end},
        {"v1_carriage_return_alone", "PROXY UNKNOWN\rx", line_end},
        {"v1_of_108_octets", "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", line_end},
        {"v1_without_an_end", "PROXY " + std::string(101, 'x'), "PROXY v1 line without an end"},
        {"v1_family", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", family},
        {"v1_unknown_with_suffix", "PROXY UNKNOWNX\r\n", family},
        {"v1_nothing", "PROXY \r\n", family},
        {"v1_two_spaces", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", family},
        {"v1_two_spaces_later", "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", address},
        {"v1_leading_zero_in_an_octet", "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", address},
        {"v1_three_octets", "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", address},
        {"v1_octet_of_256", "PROXY TCP4 192.0.2.1 192.0.2.256 1 2\r\n", address},
        {"v1_v6_as_tcp4", "PROXY TCP4 ::1 ::1 1 2\r\n", address},
        {"v1_v4_as_tcp6", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", address},
        {"v1_zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", address},
        {"v1_brackets", "PROXY TCP6 [::1] [::1] 1 2\r\n", address},
        {"v1_nul_behind_the_address", "PROXY TCP4 192.0.2.1\0x 192.0.2.2 1 2\r\n"s, address},
        {"v1_port_missing", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", port},
        {"v1_port_empty", "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", port},
        {"v1_port_too_large", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", port},
        {"v1_port_with_leading_zero", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", port},
        {"v1_port_with_sign", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", port},
        {"v1_trailing_space", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", port},
        {"v1_trailing_word", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", port},
        {"v2_version_1", signature + "\x11", "PROXY header of an unknown version"},
        {"v2_command_2", signature + "\x22", "unknown command in a PROXY v2 header"},
        {"v2_udp", v2(0x21, 0x12, v4_addresses), "PROXY v2 header for something that is not a stream"},
        {"v2_unknown_family", v2(0x21, 0x41, v4_addresses), "PROXY v2 header for something that is not a stream"},
        {"v2_tcp4_too_short", v2(0x21, 0x11, v4_addresses.substr(1)), short_v2},
        {"v2_tcp6_too_short", v2(0x21, 0x21, v6_addresses.substr(1)), short_v2},
        {"v2_unix_too_short", v2(0x21, 0x31, std::string(215, '\0')), short_v2},
        {"v2_too_long_before_its_payload", v2(0x21, 0x11, std::string(max_proxy_v2_size - 15, 't')).substr(0, 16),
         "PROXY v2 header too long"},
    };
}

class BadHeader : public testing::TestWithParam<Bad> {};

TEST_P(BadHeader, IsRefused) {
    const auto parsed = parse_proxy_header(GetParam().header);
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error(), GetParam().error);
}

TEST_P(BadHeader, IsNeverTakenForAGoodOneWhileItComesIn) {
    const auto& header = GetParam().header;
    for (std::size_t size = 0; size < header.size(); ++size) {
        const auto parsed = parse_proxy_header(std::string_view(header).substr(0, size));
        EXPECT_TRUE(!parsed.has_value() || !parsed->has_value()) << size;
    }
}

INSTANTIATE_TEST_SUITE_P(ProxyProtocol, BadHeader, testing::ValuesIn(bad_headers()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace nsboot_lb::net
