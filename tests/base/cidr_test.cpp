#include "nsboot_lb/base/cidr.hpp"

#include <string_view>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

namespace nsboot_lb::base {
namespace {

IpAddress address(std::string_view text) {
    return IpAddress::parse(text).value();
}
Cidr range(std::string_view text) {
    return Cidr::parse(text).value();
}

TEST(IpAddress, IsReadAndPrinted) {
    for (const auto* text : {"10.0.0.1", "0.0.0.0", "255.255.255.255", "1.20.0.103"})
        EXPECT_EQ(address(text).text(), text);
    EXPECT_EQ(address("2001:DB8:0:0::1").text(), "2001:db8::1");
    EXPECT_EQ(address("::").text(), "::");
    EXPECT_TRUE(address("10.0.0.1").is_v4());
    EXPECT_FALSE(address("::1").is_v4());
}

TEST(IpAddress, WhatIsNoLiteralIsRefused) {
    for (const auto* text : {"", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1 ", "[::1]", "::1%eth0", "10.0.0.1:80",
                             "localhost", "1:2:3:4:5:6:7:8:9", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"})
        EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
}

TEST(IpAddress, NothingIsReadOnlyUpToANul) {
    using namespace std::string_view_literals;
    for (const auto text : {"10.0.0.1\0"sv, "10.0.0.1\0.2"sv, "2001:db8::\0007"sv, "\0"sv})
        EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
    EXPECT_FALSE(Cidr::parse("10.0.0.0\0/8"sv).has_value());
}

TEST(IpAddress, Ipv4EqualsItselfSeenThroughIpv6) {
    EXPECT_EQ(address("10.0.0.1"), address("::ffff:10.0.0.1"));
    EXPECT_EQ(address("::ffff:10.0.0.1").text(), "10.0.0.1");
    EXPECT_EQ(IpAddress::from_v4(0x0a000001), address("10.0.0.1"));
}

TEST(IpAddress, NeighboursHashApart) {
    std::unordered_set<std::size_t> hashes;
    for (std::uint32_t i = 0; i < 256; ++i) hashes.insert(std::hash<IpAddress>{}(IpAddress::from_v4(0x0a000000 + i)));
    EXPECT_EQ(hashes.size(), 256U);
}

TEST(Cidr, HasTheAddressesOfItsPrefix) {
    EXPECT_TRUE(range("10.0.0.0/8").contains(address("10.255.255.255")));
    EXPECT_FALSE(range("10.0.0.0/8").contains(address("11.0.0.0")));
    EXPECT_TRUE(range("192.168.1.128/25").contains(address("192.168.1.200")));
    EXPECT_FALSE(range("192.168.1.128/25").contains(address("192.168.1.127")));
    EXPECT_TRUE(range("2001:db8::/33").contains(address("2001:db8:7fff::1")));
    EXPECT_FALSE(range("2001:db8::/33").contains(address("2001:db8:8000::1")));
}

TEST(Cidr, ABareAddressIsTheRangeOfItself) {
    EXPECT_TRUE(range("::1").contains(address("::1")));
    EXPECT_FALSE(range("::1").contains(address("::2")));
    EXPECT_EQ(range("10.0.0.1"), range("10.0.0.1/32"));
}

TEST(Cidr, EverythingOfOneFamily) {
    EXPECT_TRUE(range("0.0.0.0/0").contains(address("255.1.2.3")));
    EXPECT_FALSE(range("0.0.0.0/0").contains(address("2001:db8::1")));
    EXPECT_TRUE(range("::/0").contains(address("2001:db8::1")));
    EXPECT_TRUE(range("::/0").contains(address("10.0.0.1")));  // IPv4 is a part of it, as on a dual-stack socket
}

TEST(Cidr, BitsBehindThePrefixAreCleared) {
    EXPECT_EQ(range("10.1.2.3/8").text(), "10.0.0.0/8");
    EXPECT_EQ(range("10.1.2.3/8"), range("10.0.0.0/8"));
    EXPECT_EQ(range("2001:db8::1/32").text(), "2001:db8::/32");
}

TEST(Cidr, WhatIsPrintedIsReadBackAsTheSame) {
    for (const auto* text : {"10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "::1", "::/0", "2001:db8::/32", "::ffff:0:0/90"})
        EXPECT_EQ(range(range(text).text()), range(text)) << text;
}

TEST(Cidr, WhatIsNoRangeIsRefused) {
    for (const auto* text :
         {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/ 8", "::/129", "10/8"})
        EXPECT_FALSE(Cidr::parse(text).has_value()) << text;
}

TEST(Cidr, ARangeHasTheRangesWithinIt) {
    EXPECT_TRUE(range("10.0.0.0/8").contains(range("10.1.0.0/16")));
    EXPECT_TRUE(range("10.0.0.0/8").contains(range("10.0.0.0/8")));
    EXPECT_FALSE(range("10.1.0.0/16").contains(range("10.0.0.0/8")));
    EXPECT_FALSE(range("10.0.0.0/8").contains(range("11.0.0.0/16")));
    EXPECT_TRUE(range("::/0").contains(range("0.0.0.0/0")));
}

TEST(Cidr, ARangeIsWidenedToTheOneItIsIn) {
    const auto narrow = Cidr::parse("10.1.2.0/24").value();
    EXPECT_EQ(narrow.prefix_bits(), 96U + 24U);
    EXPECT_EQ(narrow.widened(96 + 8), Cidr::parse("10.0.0.0/8"));
    EXPECT_EQ(narrow.widened(narrow.prefix_bits()), narrow);
    EXPECT_EQ(narrow.widened(0), Cidr::parse("::/0"));
}

TEST(Cidr, AnyOfSeveral) {
    const std::vector<Cidr> ranges{range("10.0.0.0/8"), range("::1")};
    EXPECT_TRUE(any_contains(ranges, address("::1")));
    EXPECT_FALSE(any_contains(ranges, address("192.168.0.1")));
    EXPECT_FALSE(any_contains({}, address("::1")));
}

}  // namespace
}  // namespace nsboot_lb::base
