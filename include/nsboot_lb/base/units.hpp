#pragma once
/// Durations, sizes, rates and shares as people write them: "500ms", "10MiB", "5/m", "50MiB/s", "20%". Pure functions,
/// strict and overflow-checked; any thread may call them. print_*() writes what parse_*() reads back to the same value.
#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace nsboot_lb::base {

/// Why a text is no such quantity, and what to write instead (may be empty).
struct UnitError {
    std::string what;
    std::string hint;
};

template <class T>
using Parsed = std::expected<T, UnitError>;

/// So many events in each period; "5/m" is {5, 60s}.
struct Rate {
    std::uint64_t count = 0;
    std::chrono::seconds period{1};
    bool operator==(const Rate&) const = default;
};

/// A whole number and one of ms, s, m, h, d: "500ms", "3s", "5m", "1h", "7d".
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);
/// Bytes: a whole number, alone or with one of B, KiB, MiB, GiB (powers of 1024).
Parsed<std::uint64_t> parse_size_bytes(std::string_view text);
/// A whole number of events per s, m, h or d: "10/s", "5/m".
Parsed<Rate> parse_rate(std::string_view text);
/// Bytes per second: a size and "/s", such as "50MiB/s"; "0" alone means none.
Parsed<std::uint64_t> parse_byte_rate(std::string_view text);
/// A share: "20%" is 0.2. At most two digits behind the point.
Parsed<double> parse_percentage(std::string_view text);
/// A whole decimal number without sign.
Parsed<std::uint64_t> parse_whole_number(std::string_view text);

/// With the largest unit that leaves a whole number: 3600000 ms is "1h", none is "0s".
std::string print_duration(std::chrono::milliseconds duration);
/// With the largest unit that leaves a whole number: 65536 is "64KiB", 1000 is "1000".
std::string print_size(std::uint64_t bytes);
std::string print_rate(const Rate& rate);
std::string print_byte_rate(std::uint64_t bytes_per_second);
std::string print_percentage(double share);

}  // namespace nsboot_lb::base
