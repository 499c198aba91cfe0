#pragma once
/// The tree that a configuration is read from and printed to: YAML without its variety. Scalars are text whose meaning
/// comes from the key they belong to. Values, used by one thread at a time.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsboot_lb::config {

/// Where a node stands: an index into the loaded files (see Problems), and line and column, the first being 1.
struct Mark {
    std::size_t file = 0;
    int line = 0;
    int column = 0;
};

struct Entry;

struct Node {
    enum class Kind { absent, null, scalar, sequence, map };

    Kind kind = Kind::absent;
    bool literal = false;  ///< of a scalar to print: a number or a boolean, never quoted
    std::string text;      ///< of a scalar
    Mark mark;
    std::vector<Node> items;     ///< of a sequence
    std::vector<Entry> entries;  ///< of a map, in the file's order

    static Node null();
    static Node map();
    static Node sequence();
    static Node of_text(std::string_view text);
    static Node of_literal(std::string text);

    bool is_scalar() const { return kind == Kind::scalar; }
    bool is_sequence() const { return kind == Kind::sequence; }
    bool is_map() const { return kind == Kind::map; }
    explicit operator bool() const { return kind != Kind::absent; }

    /// The value of a key of this map; nullptr if this is no map or has no such key.
    const Node* find(std::string_view key) const;
    Node* find(std::string_view key);
    /// Adds an entry to this map and returns the map, so that trees can be written down; an absent value adds nothing.
    Node& set(std::string_view key, Node value);
    Node& push(Node item);

  private:
    static Node of_kind(Kind kind);
};

struct Entry {
    std::string key;
    Mark mark;
    Node value;
};

/// What a node is, for "expected a list, found a map".
std::string_view describe(Node::Kind kind);

/// As YAML that yaml.cpp reads back to the same tree ("${" is escaped).
std::string to_yaml(const Node& node);
/// As YAML on one line, such as "[a, b]".
std::string to_flow_yaml(const Node& node);
std::string to_json(const Node& node);

}  // namespace nsboot_lb::config
