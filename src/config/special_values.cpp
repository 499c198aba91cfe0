#include "special_values.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "texts.hpp"

namespace nsboot_lb::config {

namespace {

using base::Parsed;
using base::UnitError;

Node any_of(Node first, Node second) {
    return Node::map().set("anyOf", Node::sequence().push(std::move(first)).push(std::move(second)));
}

Node schema_map_of(Node value) {
    return Node::map().set("type", Node::of_text("object")).set("additionalProperties", std::move(value));
}

TextRule rule_of(PathMatch kind) {
    switch (kind) {
        case PathMatch::exact:
        case PathMatch::prefix: return check_path;
        case PathMatch::glob: return check_glob;
        case PathMatch::regex: break;
    }
    return check_regex;
}

std::string words_of(PathMatch kind) {
    switch (kind) {
        case PathMatch::exact:
        case PathMatch::prefix: return "a path";
        case PathMatch::glob: return "a path with *";
        case PathMatch::regex: break;
    }
    return "a regular expression";
}

}  // namespace

Codec<Policy> policy() {
    return choice<Policy>({policies.begin(), policies.end()});
}

Codec<ProxyProtocol> proxy_protocol() {
    const auto flag = boolean();
    const auto ranges = list_of(cidr(), 1);
    return {{"true, false, or a list of address ranges", any_of(flag.type.schema, ranges.type.schema)},
            [flag, ranges](const Node& node, ProxyProtocol& value, Reader& reader) {
                const bool word = node.is_scalar() && !base::Cidr::parse(node.text);
                value = {};
                if (word) {
                    flag.read(node, value.enabled, reader);
                } else {
                    value.enabled = true;
                    ranges.read(node, value.from, reader);
                }
            },
            [flag, ranges](const ProxyProtocol& value) {
                return value.from.empty() ? flag.write(value.enabled) : ranges.write(value.from);
            }};
}

Codec<RetryCause> retry_cause() {
    static constexpr std::string_view connect_failure = "connect-failure";
    static constexpr std::string_view reset = "reset";
    static constexpr std::array<std::string_view, 2> words{connect_failure, reset};
    return scalar<RetryCause>(
        {"connect-failure, reset, or a status of 400 to 599", any_of(schema_words(words), schema_integer(400, 599))},
        [](std::string_view text) -> Parsed<RetryCause> {
            if (text == connect_failure) return RetryCause{RetryCause::Kind::connect_failure, 0};
            if (text == reset) return RetryCause{RetryCause::Kind::reset, 0};
            const auto status = base::parse_whole_number(text);
            if (status && *status >= 400 && *status <= 599)
                return RetryCause{RetryCause::Kind::status, static_cast<int>(*status)};
            return std::unexpected(
                UnitError{"'" + std::string(text) + "' is no cause of a retry",
                          did_you_mean(text, words, "it must be connect-failure, reset or a status of 400 to 599")});
        },
        [](const RetryCause& cause) {
            switch (cause.kind) {
                case RetryCause::Kind::connect_failure: return Node::of_text(connect_failure);
                case RetryCause::Kind::reset: return Node::of_text(reset);
                case RetryCause::Kind::status: break;
            }
            return Node::of_literal(std::to_string(cause.status));
        });
}

Codec<std::vector<PathPattern>> path_patterns(PathMatch kind) {
    const auto pattern = text(words_of(kind), rule_of(kind));
    auto one = Codec<PathPattern>{pattern.type,
                                  [pattern, kind](const Node& node, PathPattern& value, Reader& reader) {
                                      value.kind = kind;
                                      value.position = reader.position(node);
                                      pattern.read(node, value.text, reader);
                                  },
                                  [pattern](const PathPattern& value) { return pattern.write(value.text); }};
    auto list = list_of(std::move(one), 1);
    list.write = [write = std::move(list.write)](const std::vector<PathPattern>& patterns) {
        return patterns.empty() ? Node{} : write(patterns);
    };
    return list;
}

Codec<std::vector<HeaderMatch>> header_matches(const SectionOf<HeaderCondition>& condition) {
    const auto exact = printable_text("a value");
    return {{"a map of field names; each: an exact value, {regex: ...} or {present: ...}",
             schema_map_of(any_of(exact.type.schema, schema_reference(condition))), &condition},
            [exact, &condition](const Node& node, std::vector<HeaderMatch>& values, Reader& reader) {
                if (!reader.expect(node, Node::Kind::map, "a map of header fields")) return;
                for (const auto& entry : node.entries) {
                    if (const auto wrong = check_field_name(entry.key))
                        reader.problems().error(entry.mark, wrong->what, wrong->hint);
                    const Reader::InKey in_key(reader, entry.key);
                    auto& match = values.emplace_back();
                    match.name = entry.key;
                    if (entry.value.is_scalar()) {
                        exact.read(entry.value, match.value, reader);
                        continue;
                    }
                    HeaderCondition wanted;
                    read_section(condition, entry.value, &wanted, reader);
                    match.test = wanted.regex ? HeaderTest::regex : HeaderTest::present;
                    match.value = wanted.regex.value_or("");
                    match.present = wanted.present.value_or(true);
                }
            },
            [exact, &condition](const std::vector<HeaderMatch>& values) {
                if (values.empty()) return Node{};
                auto node = Node::map();
                for (const auto& match : values) {
                    HeaderCondition wanted;
                    if (match.test == HeaderTest::regex) wanted.regex = match.value;
                    if (match.test == HeaderTest::present) wanted.present = match.present;
                    node.set(match.name, match.test == HeaderTest::exact ? exact.write(match.value)
                                                                         : write_section(condition, &wanted));
                }
                return node;
            }};
}

Codec<std::vector<std::pair<std::string, std::string>>> fields(Codec<std::string> value) {
    using Fields = std::vector<std::pair<std::string, std::string>>;
    return {{"a map of field names; each: " + value.type.words, schema_map_of(value.type.schema)},
            [read = value.read](const Node& node, Fields& result, Reader& reader) {
                if (!reader.expect(node, Node::Kind::map, "a map of header fields")) return;
                for (const auto& entry : node.entries) {
                    if (const auto wrong = check_changeable_field(entry.key))
                        reader.problems().error(entry.mark, wrong->what, wrong->hint);
                    const Reader::InKey in_key(reader, entry.key);
                    auto& field = result.emplace_back(entry.key, "");
                    read(entry.value, field.second, reader);
                }
            },
            [write = value.write](const Fields& result) {
                if (result.empty()) return Node{};
                auto node = Node::map();
                for (const auto& [name, text] : result) node.set(name, write(text));
                return node;
            }};
}

}  // namespace nsboot_lb::config
