#include "node.hpp"

#include <algorithm>
#include <array>

namespace nsboot_lb::config {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

/// Words that some YAML reader takes for something other than text.
constexpr std::array<std::string_view, 9> special_words{"true", "false", "null", "yes", "no", "on", "off", "y", "n"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_plain_text(std::string_view text) {
    if (text.empty() || !(is_digit(text.front()) || is_letter(text.front()) || text.front() == '/')) return false;
    static constexpr std::string_view others = "_/.:@+%-";
    const auto plain = [](char c) { return is_digit(c) || is_letter(c) || others.contains(c); };
    if (!std::ranges::all_of(text, plain) || text.back() == ':') return false;
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) { return static_cast<char>(is_letter(c) ? c | 0x20 : c); });
    if (std::ranges::find(special_words, lower) != special_words.end()) return false;
    // What begins with a digit is text only if something in it says so: "3s", "10.0.0.1", but not "1.5", "0x1f",
    // "1e3".
    if (!is_digit(text.front()) || std::ranges::count(text, '.') > 1) return true;
    static constexpr std::string_view in_numbers = "0123456789abcdefABCDEFoxX._:+-";
    return !std::ranges::all_of(text, [](char c) { return in_numbers.contains(c); });
}

std::string escaped(std::string_view text, bool json) {
    std::string out = "\"";
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = text[i];
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += json ? "\\u00" : "\\x";
            out += hex_digits[byte >> 4];
            out += hex_digits[byte & 0xf];
        } else if (c == '$' && !json && text.substr(i + 1).starts_with('{')) {
            out += "$$";
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string yaml_scalar(const Node& node) {
    if (node.kind == Node::Kind::null) return "null";
    return node.literal || is_plain_text(node.text) ? node.text : escaped(node.text, false);
}

std::string yaml_key(std::string_view key) {
    return is_plain_text(key) ? std::string(key) : escaped(key, false);
}

/// Lists of plain values, and whatever is empty, stand on one line.
bool is_inline(const Node& node) {
    if (node.is_map()) return node.entries.empty();
    return !node.is_sequence() ||
           std::ranges::all_of(node.items, [](const Node& item) { return !item.is_map() && !item.is_sequence(); });
}

void write_block(const Node& node, std::size_t indent, std::string& out);

void write_value(const Node& value, std::size_t indent, std::string& out) {
    if (is_inline(value)) {
        out += " " + to_flow_yaml(value) + "\n";
        return;
    }
    out += "\n";
    write_block(value, indent, out);
}

void write_block(const Node& node, std::size_t indent, std::string& out) {
    const std::string margin(indent, ' ');
    for (const auto& entry : node.entries) {
        out += margin + yaml_key(entry.key) + ":";
        write_value(entry.value, indent + 2, out);
    }
    for (const auto& item : node.items) {
        if (is_inline(item)) {
            out += margin + "- " + to_flow_yaml(item) + "\n";
            continue;
        }
        const auto begin = out.size();
        write_block(item, indent + 2, out);
        out[begin + indent] = '-';
    }
}

void write_flow(const Node& node, std::string& out) {
    bool first = true;
    const auto separate = [&] {
        if (!first) out += ", ";
        first = false;
    };
    if (node.is_map()) {
        out += '{';
        for (const auto& entry : node.entries) {
            separate();
            out += yaml_key(entry.key) + ": ";
            write_flow(entry.value, out);
        }
        out += '}';
    } else if (node.is_sequence()) {
        out += '[';
        for (const auto& item : node.items) {
            separate();
            write_flow(item, out);
        }
        out += ']';
    } else {
        out += yaml_scalar(node);
    }
}

void write_json(const Node& node, std::size_t indent, std::string& out) {
    const std::string margin(indent + 2, ' ');
    bool first = true;
    const auto separate = [&] {
        out += first ? "\n" : ",\n";
        out += margin;
        first = false;
    };
    const auto close = [&](char bracket) {
        if (!first) out += "\n" + std::string(indent, ' ');
        out += bracket;
    };
    switch (node.kind) {
        case Node::Kind::absent:
        case Node::Kind::null: out += "null"; break;
        case Node::Kind::scalar: out += node.literal ? node.text : escaped(node.text, true); break;
        case Node::Kind::sequence:
            out += '[';
            for (const auto& item : node.items) {
                separate();
                write_json(item, indent + 2, out);
            }
            close(']');
            break;
        case Node::Kind::map:
            out += '{';
            for (const auto& entry : node.entries) {
                separate();
                out += escaped(entry.key, true) + ": ";
                write_json(entry.value, indent + 2, out);
            }
            close('}');
            break;
    }
}

}  // namespace

Node Node::of_kind(Kind kind) {
    Node node;
    node.kind = kind;
    return node;
}

Node Node::null() {
    return of_kind(Kind::null);
}
Node Node::map() {
    return of_kind(Kind::map);
}
Node Node::sequence() {
    return of_kind(Kind::sequence);
}

Node Node::of_text(std::string_view text) {
    auto node = of_kind(Kind::scalar);
    node.text = text;
    return node;
}

Node Node::of_literal(std::string text) {
    auto node = of_kind(Kind::scalar);
    node.text = std::move(text);
    node.literal = true;
    return node;
}

const Node* Node::find(std::string_view key) const {
    const auto found = std::ranges::find(entries, key, &Entry::key);
    return found == entries.end() ? nullptr : &found->value;
}

Node* Node::find(std::string_view key) {
    const auto found = std::ranges::find(entries, key, &Entry::key);
    return found == entries.end() ? nullptr : &found->value;
}

Node& Node::set(std::string_view key, Node value) {
    if (value) entries.push_back(Entry{std::string(key), {}, std::move(value)});
    return *this;
}

Node& Node::push(Node item) {
    if (item) items.push_back(std::move(item));
    return *this;
}

std::string_view describe(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::scalar: return "a plain value";
        case Node::Kind::sequence: return "a list";
        case Node::Kind::map: return "a map";
        case Node::Kind::absent:
        case Node::Kind::null: break;
    }
    return "nothing";
}

std::string to_yaml(const Node& node) {
    std::string out;
    if (is_inline(node)) return to_flow_yaml(node) + "\n";
    write_block(node, 0, out);
    return out;
}

std::string to_flow_yaml(const Node& node) {
    std::string out;
    write_flow(node, out);
    return out;
}

std::string to_json(const Node& node) {
    std::string out;
    write_json(node, 0, out);
    return out + "\n";
}

}  // namespace nsboot_lb::config
