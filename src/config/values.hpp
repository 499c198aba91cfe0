#pragma once
/// Codecs of plain values: quantities, words of a fixed set, addresses, ranges, texts with rules. Each is strict, and
/// says in its error what to write instead. Pure; any thread may use them.
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/base/units.hpp"
#include "nsboot_lb/config/config.hpp"
#include "section.hpp"

namespace nsboot_lb::config {

using namespace std::chrono_literals;

inline constexpr Milliseconds max_duration = std::chrono::days(365);

/// A codec from a function that parses text and one that prints it.
template <class T>
Codec<T> scalar(Type type, std::function<base::Parsed<T>(std::string_view)> parse,
                std::function<Node(const T&)> print) {
    return {type,
            [words = type.words, parse = std::move(parse)](const Node& node, T& value, Reader& reader) {
                if (!reader.expect(node, Node::Kind::scalar, words)) return;
                auto parsed = parse(node.text);
                if (parsed)
                    value = std::move(*parsed);
                else
                    reader.error(node, parsed.error());
            },
            std::move(print)};
}

/// References to definitions that json_schema.cpp makes for all.
Node schema_definition(std::string_view name);
/// A JSON Schema of text that matches `pattern`, or takes some of itself from the environment.
Node schema_pattern(const std::string& pattern);
/// A JSON Schema of a whole number.
Node schema_integer(std::uint64_t min, std::uint64_t max);

Codec<bool> boolean();
Codec<Milliseconds> duration(Milliseconds min = 1ms, Milliseconds max = max_duration);
Codec<std::chrono::seconds> whole_seconds();
Codec<std::uint64_t> size_bytes(std::uint64_t min, std::uint64_t max);
Codec<std::uint64_t> byte_rate();
Codec<double> percentage(double max);
Codec<std::uint64_t> whole_number(std::uint64_t min, std::uint64_t max);

/// A whole number of a narrower type.
template <class T>
Codec<T> integer(T min = 0, T max = std::numeric_limits<T>::max()) {
    auto wide = whole_number(min, max);
    return {wide.type,
            [read = wide.read](const Node& node, T& value, Reader& reader) {
                std::uint64_t number = value;
                read(node, number, reader);
                value = static_cast<T>(number);  // read() has kept it between min and max
            },
            [write = wide.write](const T& value) { return write(value); }};
}

std::string list_words(std::span<const std::string_view> words);
Node schema_words(std::span<const std::string_view> words);
base::UnitError unknown_word(std::string_view text, std::span<const std::string_view> words);

/// One of a fixed set of words, spelled by to_string().
template <class E>
Codec<E> choice(std::vector<E> values) {
    std::vector<std::string_view> words;
    for (const auto value : values) words.push_back(to_string(value));
    return scalar<E>(
        {list_words(words), schema_words(words)},
        [values, words](std::string_view text) -> base::Parsed<E> {
            for (const auto value : values)
                if (to_string(value) == text) return value;
            return std::unexpected(unknown_word(text, words));
        },
        [](const E& value) { return Node::of_text(to_string(value)); });
}

Codec<base::Cidr> cidr();
Codec<BindAddress> bind_address();
/// A name as DNS has it, in lower case and without its last dot.
Codec<std::string> host_name();

/// Where a server is; `port` is never 0 for TCP.
struct ServerAddress {
    std::string host;
    std::uint16_t port = 0;
    std::string unix_path;
};
Codec<ServerAddress> server_address();

/// "200" or "200-399".
Codec<StatusRange> status_range();

/// Asks whether text follows a rule; the answer is what is wrong with it.
using TextRule = std::function<std::optional<base::UnitError>(std::string_view)>;

Codec<std::string> text(std::string words, TextRule rule, Node schema = schema_definition("text"));
/// The same, and "" stands for nothing given.
Codec<std::string> text_or_empty(std::string words, TextRule rule);
/// Text without control characters.
Codec<std::string> printable_text(std::string words);
/// Any text, lines too.
Codec<std::string> free_text(std::string words);
/// Text with {placeholders} of these names and no other; without control characters.
Codec<std::string> template_text(std::vector<std::string_view> placeholders);

}  // namespace nsboot_lb::config
