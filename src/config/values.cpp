#include "values.hpp"

#include <algorithm>
#include <concepts>

namespace nsboot_lb::config {

namespace {

using base::Parsed;
using base::UnitError;

std::unexpected<UnitError> bad(std::string what, std::string hint = {}) {
    return std::unexpected(UnitError{std::move(what), std::move(hint)});
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

/// ", 1 to 9", as far as the limits are any to a reader.
template <class T>
std::string limit_words(T min, T max, std::string (*print)(T)) {
    if constexpr (std::same_as<T, std::uint64_t>)
        if (min == 0 && max >= 1ULL << 50) return "";
    return min == T{} ? ", at most " + print(max) : ", " + print(min) + " to " + print(max);
}

/// A codec of a quantity between two limits.
template <class T>
Codec<T> bounded(std::string noun, std::string schema, T min, T max, Parsed<T> (*parse)(std::string_view),
                 std::string (*print)(T)) {
    return scalar<T>(
        {noun + limit_words(min, max, print), schema_definition(schema)},
        [=](std::string_view text) -> Parsed<T> {
            auto value = parse(text);
            if (value && *value < min) return bad(quoted(text) + " is too small", "at least " + print(min));
            if (value && *value > max) return bad(quoted(text) + " is too large", "at most " + print(max));
            return value;
        },
        [print](const T& value) { return Node::of_text(print(value)); });
}

/// Zero needs no unit, as it needs none where it stands for "no limit" of another quantity.
Parsed<Milliseconds> parse_duration(std::string_view text) {
    return text == "0" ? Milliseconds{0} : base::parse_duration(text);
}

std::string print_number(std::uint64_t number) {
    return std::to_string(number);
}

}  // namespace

Node schema_definition(std::string_view name) {
    return Node::map().set("$ref", Node::of_text("#/definitions/" + std::string(name)));
}

Node schema_pattern(const std::string& pattern) {
    return Node::map()
        .set("type", Node::of_text("string"))
        .set("pattern", Node::of_text("(^(" + pattern + ")$)|\\$\\{"));
}

Node schema_integer(std::uint64_t min, std::uint64_t max) {
    auto number = Node::map();
    number.set("type", Node::of_text("integer"))
        .set("minimum", Node::of_literal(print_number(min)))
        .set("maximum", Node::of_literal(print_number(max)));
    return Node::map().set("anyOf", Node::sequence().push(std::move(number)).push(schema_pattern("[0-9]+")));
}

Node schema_words(std::span<const std::string_view> words) {
    auto list = Node::sequence();
    for (const auto word : words) list.push(Node::of_text(word));
    auto one_of = Node::map();
    one_of.set("enum", std::move(list));
    return Node::map().set("anyOf",
                           Node::sequence().push(std::move(one_of)).push(schema_definition("environment_reference")));
}

std::string list_words(std::span<const std::string_view> words) {
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
        out += words[i];
    }
    return out;
}

UnitError unknown_word(std::string_view text, std::span<const std::string_view> words) {
    return {"unknown value " + quoted(text), did_you_mean(text, words, "it must be " + list_words(words))};
}

Codec<bool> boolean() {
    return scalar<bool>(
        {"true or false", schema_definition("boolean")},
        [](std::string_view text) -> Parsed<bool> {
            if (text == "true") return true;
            if (text == "false") return false;
            const bool yes = text == "yes" || text == "on" || text == "1" || text == "True" || text == "TRUE";
            const bool no = text == "no" || text == "off" || text == "0" || text == "False" || text == "FALSE";
            return bad(quoted(text) + " is neither true nor false", yes ? "write true" : no ? "write false" : "");
        },
        [](const bool& value) { return Node::of_literal(value ? "true" : "false"); });
}

Codec<Milliseconds> duration(Milliseconds min, Milliseconds max) {
    return bounded<Milliseconds>("a duration", "duration", min, max, parse_duration, base::print_duration);
}

Codec<std::chrono::seconds> whole_seconds() {
    return scalar<std::chrono::seconds>(
        {"a duration of whole seconds", schema_definition("duration")},
        [](std::string_view text) -> Parsed<std::chrono::seconds> {
            const auto parsed = base::parse_duration(text);
            if (!parsed) return std::unexpected(parsed.error());
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
            if (seconds != *parsed || seconds < 1s) return bad(quoted(text) + " is no number of whole seconds");
            if (seconds > max_duration)
                return bad(quoted(text) + " is too large", "at most " + base::print_duration(max_duration));
            return seconds;
        },
        [](const std::chrono::seconds& value) { return Node::of_text(base::print_duration(value)); });
}

Codec<std::uint64_t> size_bytes(std::uint64_t min, std::uint64_t max) {
    auto codec = bounded<std::uint64_t>("a size", "size", min, max, base::parse_size_bytes, base::print_size);
    codec.write = [](const std::uint64_t& value) {
        auto printed = base::print_size(value);
        const bool digits_only = printed.find_first_not_of("0123456789") == std::string::npos;
        return digits_only ? Node::of_literal(std::move(printed)) : Node::of_text(printed);
    };
    return codec;
}

Codec<std::uint64_t> byte_rate() {
    static constexpr auto max = 1ULL << 50;
    auto codec =
        bounded<std::uint64_t>("bytes per second", "byte_rate", 0, max, base::parse_byte_rate, base::print_byte_rate);
    codec.write = [](const std::uint64_t& value) {
        return value == 0 ? Node::of_literal("0") : Node::of_text(base::print_byte_rate(value));
    };
    return codec;
}

Codec<double> percentage(double max) {
    return bounded<double>("a percentage", "percentage", 0.0, max, base::parse_percentage, base::print_percentage);
}

Codec<std::uint64_t> whole_number(std::uint64_t min, std::uint64_t max) {
    auto codec = bounded<std::uint64_t>("a whole number", "integer", min, max, base::parse_whole_number, print_number);
    codec.type.schema = schema_integer(min, max);
    codec.write = [](const std::uint64_t& value) { return Node::of_literal(print_number(value)); };
    return codec;
}

Codec<StatusRange> status_range() {
    static constexpr auto usage = "write a status or a range of them: 200, 200-399";
    const auto status = [](std::string_view text) {
        const auto number = base::parse_whole_number(text);
        return number && *number >= 100 && *number <= 599 ? static_cast<int>(*number) : 0;
    };
    const auto schema = Node::map().set(
        "anyOf", Node::sequence().push(schema_integer(100, 599)).push(schema_pattern("[1-5][0-9]{2}-[1-5][0-9]{2}")));
    return scalar<StatusRange>(
        {"a status or a range of them, 100 to 599", schema},
        [status](std::string_view text) -> Parsed<StatusRange> {
            const auto dash = text.find('-');
            StatusRange range{status(text.substr(0, dash)), 0};
            range.last = dash == std::string_view::npos ? range.first : status(text.substr(dash + 1));
            if (range.first == 0 || range.last == 0) return bad(quoted(text) + " is no status of 100 to 599", usage);
            if (range.first > range.last)
                return bad("the range " + quoted(text) + " runs backwards",
                           "write " + std::to_string(range.last) + "-" + std::to_string(range.first));
            return range;
        },
        [](const StatusRange& range) {
            auto first = std::to_string(range.first);
            if (range.first == range.last) return Node::of_literal(std::move(first));
            return Node::of_text(first + "-" + std::to_string(range.last));
        });
}

Codec<std::string> text(std::string words, TextRule rule, Node schema) {
    return scalar<std::string>(
        {std::move(words), std::move(schema)},
        [rule = std::move(rule)](std::string_view text) -> Parsed<std::string> {
            if (auto wrong = rule(text)) return std::unexpected(std::move(*wrong));
            return std::string(text);
        },
        [](const std::string& value) { return Node::of_text(value); });
}

Codec<std::string> text_or_empty(std::string words, TextRule rule) {
    return text(std::move(words), [rule = std::move(rule)](std::string_view text) -> std::optional<UnitError> {
        return text.empty() ? std::nullopt : rule(text);
    });
}

}  // namespace nsboot_lb::config
