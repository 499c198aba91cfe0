#include "nsboot_lb/base/units.hpp"

#include <array>
#include <limits>

#include <gtest/gtest.h>

namespace nsboot_lb::base {
namespace {

using namespace std::chrono_literals;

template <class T>
std::string hint_of(const Parsed<T>& parsed) {
    return parsed ? "parsed" : parsed.error().hint;
}

TEST(Duration, EveryUnitIsRead) {
    EXPECT_EQ(parse_duration("500ms"), 500ms);
    EXPECT_EQ(parse_duration("3s"), 3s);
    EXPECT_EQ(parse_duration("5m"), 5min);
    EXPECT_EQ(parse_duration("1h"), 1h);
    EXPECT_EQ(parse_duration("7d"), 24h * 7);
    EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(Duration, WhatIsNoDurationIsRefused) {
    for (const auto* text :
         {"", "s", "ms", "-1s", "+1s", " 1s", "1s ", "1 s", "1S", "1sec", "1h30m", "0x1s", "1.5s", "1e3s"})
        EXPECT_FALSE(parse_duration(text).has_value()) << text;
}

TEST(Duration, AHintSaysWhatToWrite) {
    EXPECT_EQ(hint_of(parse_duration("30")), "write 30s for seconds, 30ms for milliseconds");
    EXPECT_EQ(hint_of(parse_duration("1.5s")), "use a smaller unit: 1500ms, not 1.5s");
    EXPECT_EQ(hint_of(parse_duration("soon")), "write a whole number and a unit: 500ms, 3s, 5m, 1h or 7d");
}

TEST(Duration, OverflowIsRefused) {
    EXPECT_EQ(parse_duration("9223372036854775807ms"), std::chrono::milliseconds::max());
    EXPECT_FALSE(parse_duration("9223372036854775808ms").has_value());
    EXPECT_FALSE(parse_duration("9223372036854775807s").has_value());
    EXPECT_FALSE(parse_duration("99999999999999999999d").has_value());
}

TEST(Duration, IsPrintedWithTheLargestUnitThatFits) {
    EXPECT_EQ(print_duration(0ms), "0s");
    EXPECT_EQ(print_duration(1500ms), "1500ms");
    EXPECT_EQ(print_duration(75s), "75s");
    EXPECT_EQ(print_duration(60s), "1m");
    EXPECT_EQ(print_duration(90min), "90m");
    EXPECT_EQ(print_duration(24h), "1d");
}

TEST(Size, EveryUnitIsRead) {
    EXPECT_EQ(parse_size_bytes("0"), 0U);
    EXPECT_EQ(parse_size_bytes("1000"), 1000U);
    EXPECT_EQ(parse_size_bytes("256B"), 256U);
    EXPECT_EQ(parse_size_bytes("64KiB"), 65'536U);
    EXPECT_EQ(parse_size_bytes("10MiB"), 10'485'760U);
    EXPECT_EQ(parse_size_bytes("10GiB"), 10'737'418'240U);
}

TEST(Size, WhatIsNoSizeIsRefused) {
    for (const auto* text : {"", "KiB", "-1", "1 KiB", "1kib", "1KB", "1.5MiB", "1TiBx", "0x10", "1_000"})
        EXPECT_FALSE(parse_size_bytes(text).has_value()) << text;
}

TEST(Size, ACommonSlipIsUnderstood) {
    EXPECT_EQ(hint_of(parse_size_bytes("64KB")), "did you mean 64KiB?");
    EXPECT_EQ(hint_of(parse_size_bytes("64k")), "did you mean 64KiB?");
    EXPECT_EQ(hint_of(parse_size_bytes("10m")), "did you mean 10MiB?");
    EXPECT_EQ(hint_of(parse_size_bytes("10G")), "did you mean 10GiB?");
}

TEST(Size, OverflowIsRefused) {
    EXPECT_EQ(parse_size_bytes("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
    EXPECT_FALSE(parse_size_bytes("18446744073709551616").has_value());
    EXPECT_FALSE(parse_size_bytes("18446744073709551615KiB").has_value());
    EXPECT_FALSE(parse_size_bytes("17179869184GiB").has_value());
}

TEST(Size, IsPrintedWithTheLargestUnitThatFits) {
    EXPECT_EQ(print_size(0), "0");
    EXPECT_EQ(print_size(1000), "1000");
    EXPECT_EQ(print_size(1024), "1KiB");
    EXPECT_EQ(print_size(1536), "1536");
    EXPECT_EQ(print_size(3ULL << 30), "3GiB");
}

TEST(Rate, CountAndPeriodAreRead) {
    EXPECT_EQ(parse_rate("10/s"), (Rate{10, 1s}));
    EXPECT_EQ(parse_rate("5/m"), (Rate{5, 60s}));
    EXPECT_EQ(parse_rate("1/h"), (Rate{1, 3600s}));
    for (const auto* text : {"", "10", "/s", "10/", "10/w", "10 /s", "-1/s", "10/s/s", "99999999999999999999/s"})
        EXPECT_FALSE(parse_rate(text).has_value()) << text;
}

TEST(ByteRate, IsASizePerSecond) {
    EXPECT_EQ(parse_byte_rate("256B/s"), 256U);
    EXPECT_EQ(parse_byte_rate("50MiB/s"), 50U << 20);
    EXPECT_EQ(parse_byte_rate("0"), 0U);
    EXPECT_EQ(hint_of(parse_byte_rate("50MiB")), "did you mean 50MiB/s?");
    EXPECT_EQ(hint_of(parse_byte_rate("256")), "did you mean 256B/s?");
    for (const auto* text : {"", "/s", "50/m", "50MiB/m", "MiB/s", "1.5MiB/s"})
        EXPECT_FALSE(parse_byte_rate(text).has_value()) << text;
}

TEST(Percentage, IsReadAsAShare) {
    EXPECT_DOUBLE_EQ(parse_percentage("20%").value(), 0.2);
    EXPECT_DOUBLE_EQ(parse_percentage("12.5%").value(), 0.125);
    EXPECT_DOUBLE_EQ(parse_percentage("0.05%").value(), 0.0005);
    EXPECT_EQ(hint_of(parse_percentage("20")), "did you mean 20%?");
    for (const auto* text :
         {"", "%", ".5%", "1.%", "1.234%", "-1%", "1,5%", "20 %", "1.2.3%", "1x2%", "99999999999999999999%"})
        EXPECT_FALSE(parse_percentage(text).has_value()) << text;
}

TEST(Units, WhatIsPrintedIsReadBackAsTheSame) {
    for (const auto value : {0ms, 1ms, 999ms, 1000ms, 59'999ms, 86'400'000ms, std::chrono::milliseconds::max()})
        EXPECT_EQ(parse_duration(print_duration(value)), value);
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1023}, std::uint64_t{1} << 20,
                                      std::numeric_limits<std::uint64_t>::max()}) {
        EXPECT_EQ(parse_size_bytes(print_size(value)), value);
        EXPECT_EQ(parse_byte_rate(print_byte_rate(value)), value);
    }
    for (const auto rate : {Rate{1, 1s}, Rate{5, 60s}, Rate{7, 3600s}, Rate{9, 86'400s}})
        EXPECT_EQ(parse_rate(print_rate(rate)), rate);
    for (unsigned hundredths = 0; hundredths <= 10'000; ++hundredths) {
        const auto share = static_cast<double>(hundredths) / 10'000.0;
        EXPECT_EQ(parse_percentage(print_percentage(share)), share) << hundredths;
    }
}

}  // namespace
}  // namespace nsboot_lb::base
