#include "nsboot_lb/base/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>

namespace nsboot_lb::base {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Smallest first: printing looks from the back for the largest that leaves a whole number.
constexpr std::array<Unit, 5> duration_units_ms{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 4> size_units_bytes{
    {{"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}}};
constexpr std::array<Unit, 4> period_units_s{{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}}};

constexpr auto max_duration_ms = static_cast<std::uint64_t>(std::chrono::milliseconds::max().count());

std::unexpected<UnitError> bad(std::string what, std::string hint) {
    return std::unexpected(UnitError{std::move(what), std::move(hint)});
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

/// The digits in front and what follows them.
std::pair<std::string_view, std::string_view> split_digits(std::string_view text) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    return {text.substr(0, digits), text.substr(digits)};
}

std::optional<std::uint64_t> to_number(std::string_view digits) {
    std::uint64_t number = 0;
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return number;
}

std::optional<std::uint64_t> times(std::uint64_t number, std::uint64_t factor, std::uint64_t limit) {
    if (number > limit / factor) return std::nullopt;
    return number * factor;
}

const Unit* find(std::span<const Unit> units, std::string_view name) {
    const auto found = std::ranges::find(units, name, &Unit::name);
    return found == units.end() ? nullptr : &*found;
}

std::string print_with(std::span<const Unit> units, std::uint64_t number) {
    for (std::size_t i = units.size(); i-- > 0;)
        if (number % units[i].factor == 0) return std::to_string(number / units[i].factor) + std::string(units[i].name);
    return std::to_string(number);
}

/// The unit somebody meant who wrote "K", "kb" or "MB": the one of the same first letter.
std::string_view size_unit_like(std::string_view written) {
    for (const auto& unit : size_units_bytes)
        if ((written.front() | 0x20) == (unit.name.front() | 0x20)) return unit.name;
    return {};
}

}  // namespace

Parsed<std::uint64_t> parse_whole_number(std::string_view text) {
    const auto [digits, rest] = split_digits(text);
    if (digits.empty() || !rest.empty()) return bad(quoted(text) + " is not a whole number", "write digits only");
    const auto number = to_number(digits);
    if (!number) return bad(quoted(text) + " is too large", "");
    return *number;
}

Parsed<std::chrono::milliseconds> parse_duration(std::string_view text) {
    static constexpr auto usage = "write a whole number and a unit: 500ms, 3s, 5m, 1h or 7d";
    const auto [digits, unit_name] = split_digits(text);
    if (digits.empty()) return bad(quoted(text) + " is not a duration", usage);
    if (unit_name.empty())
        return bad("the duration " + quoted(text) + " has no unit",
                   "write " + std::string(digits) + "s for seconds, " + std::string(digits) + "ms for milliseconds");
    if (unit_name.front() == '.')
        return bad("the duration " + quoted(text) + " is not a whole number", "use a smaller unit: 1500ms, not 1.5s");
    const auto* unit = find(duration_units_ms, unit_name);
    if (unit == nullptr) return bad("the duration " + quoted(text) + " has no known unit", usage);
    const auto number = to_number(digits);
    const auto ms = number ? times(*number, unit->factor, max_duration_ms) : std::nullopt;
    if (!ms) return bad("the duration " + quoted(text) + " is too long", "");
    return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(*ms));
}

Parsed<std::uint64_t> parse_size_bytes(std::string_view text) {
    static constexpr auto usage = "write bytes, or a whole number with KiB, MiB or GiB: 65536, 64KiB, 10MiB, 10GiB";
    const auto [digits, unit_name] = split_digits(text);
    if (digits.empty()) return bad(quoted(text) + " is not a size", usage);
    const auto* unit = unit_name.empty() ? &size_units_bytes.front() : find(size_units_bytes, unit_name);
    if (unit == nullptr) {
        const auto meant = size_unit_like(unit_name);
        return bad("the size " + quoted(text) + " has no known unit",
                   meant.empty() ? usage : "did you mean " + std::string(digits) + std::string(meant) + "?");
    }
    const auto number = to_number(digits);
    const auto bytes = number ? times(*number, unit->factor, std::numeric_limits<std::uint64_t>::max()) : std::nullopt;
    if (!bytes) return bad("the size " + quoted(text) + " is too large", "");
    return *bytes;
}

Parsed<Rate> parse_rate(std::string_view text) {
    static constexpr auto usage = "write a whole number per s, m, h or d: 10/s, 5/m";
    const auto [digits, rest] = split_digits(text);
    if (digits.empty() || rest.empty() || rest.front() != '/') return bad(quoted(text) + " is not a rate", usage);
    const auto* period = find(period_units_s, rest.substr(1));
    if (period == nullptr) return bad("the rate " + quoted(text) + " has no known period", usage);
    const auto count = to_number(digits);
    if (!count) return bad("the rate " + quoted(text) + " is too large", "");
    return Rate{*count, std::chrono::seconds(period->factor)};
}

Parsed<std::uint64_t> parse_byte_rate(std::string_view text) {
    static constexpr auto usage = "write a size per second: 256B/s, 64KiB/s, 50MiB/s, 1GiB/s, or 0 for none";
    if (text == "0") return 0;
    if (!text.ends_with("/s")) {
        const bool size = parse_size_bytes(text).has_value();
        const auto* unit = text.ends_with('B') ? "" : "B";
        return bad(quoted(text) + " is not a byte rate",
                   size ? "did you mean " + std::string(text) + unit + "/s?" : usage);
    }
    const auto size = parse_size_bytes(text.substr(0, text.size() - 2));
    if (!size) return bad(quoted(text) + " is not a byte rate", usage);
    return *size;
}

Parsed<double> parse_percentage(std::string_view text) {
    static constexpr auto usage = "write a number and %: 20%, 12.5%";
    if (!text.ends_with('%')) {
        const bool number = parse_whole_number(text).has_value();
        return bad(quoted(text) + " is not a percentage", number ? "did you mean " + std::string(text) + "%?" : usage);
    }
    const auto [digits, rest] = split_digits(text.substr(0, text.size() - 1));
    const auto [decimals, behind] = split_digits(rest.empty() ? rest : rest.substr(1));
    const bool point = !rest.empty() && rest.front() == '.' && !decimals.empty() && decimals.size() <= 2;
    if (digits.empty() || digits.size() > 9 || !behind.empty() || (!rest.empty() && !point))
        return bad(quoted(text) + " is not a percentage", usage);
    auto hundredths = to_number(digits).value_or(0) * 100;
    if (point) hundredths += to_number(decimals).value_or(0) * (decimals.size() == 1 ? 10 : 1);
    return static_cast<double>(hundredths) / 10'000.0;
}

std::string print_duration(std::chrono::milliseconds duration) {
    if (duration.count() <= 0) return "0s";
    return print_with(duration_units_ms, static_cast<std::uint64_t>(duration.count()));
}

std::string print_size(std::uint64_t bytes) {
    if (bytes == 0) return "0";
    auto text = print_with(size_units_bytes, bytes);
    if (!text.ends_with("iB")) text.pop_back();
    return text;
}

std::string print_rate(const Rate& rate) {
    const auto seconds = static_cast<std::uint64_t>(rate.period.count());
    const auto period = std::ranges::find(period_units_s, seconds, &Unit::factor);
    // parse_rate() makes no other periods; one made by hand is shown in seconds.
    const auto name = period == period_units_s.end() ? std::to_string(seconds) + "s" : std::string(period->name);
    return std::to_string(rate.count) + "/" + name;
}

std::string print_byte_rate(std::uint64_t bytes_per_second) {
    if (bytes_per_second == 0) return "0";
    return print_with(size_units_bytes, bytes_per_second) + "/s";
}

std::string print_percentage(double share) {
    const auto hundredths = static_cast<std::uint64_t>(std::llround(share * 10'000.0));
    auto text = std::to_string(hundredths / 100);
    if (const auto rest = hundredths % 100; rest != 0) {
        text += "." + std::to_string(rest / 10);
        if (rest % 10 != 0) text += std::to_string(rest % 10);
    }
    return text + "%";
}

}  // namespace nsboot_lb::base
