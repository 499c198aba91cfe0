#pragma once
/// The vocabulary of the table in schema/: a Section is a map of the file and mirrors a struct, a Key is one of its
/// keys and mirrors a member, a Codec says how a value is read, printed and described. Built once on first use and
/// immutable from then on; any thread may use them.
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node.hpp"
#include "reader.hpp"

namespace nsboot_lb::config {

struct Section;

/// What the reference and the JSON Schema say of a value.
struct Type {
    std::string words;                 ///< "a duration, 1ms to 365d"
    Node schema;                       ///< a JSON Schema of the value
    const Section* section = nullptr;  ///< of the maps in the value, if it holds any with keys of their own
};

template <class T>
struct Codec {
    Type type;
    /// Leaves the value as it was, and reports a problem, if the node is no such value.
    std::function<void(const Node&, T&, Reader&)> read;
    /// An absent node is not printed.
    std::function<Node(const T&)> write;
};

struct Key {
    std::string name;
    std::string text;  ///< one line of the reference
    Type type;
    std::string example;  ///< of a key that must be given
    bool required = false;
    bool later = false;         ///< known, but refused by this version
    std::string default_words;  ///< where the default is no fixed value
    std::function<void(const Node&, void*, Reader&)> read;
    std::function<Node(const void*)> write;
};

/// Keys of which one at most may be given.
struct Choice {
    std::vector<std::string> keys;
    bool required = false;  ///< one must be given
    std::string hint;       ///< what to do where several are
};

struct Section {
    std::string name;   ///< of its definition in the JSON Schema: "keepalive"
    std::string title;  ///< in messages: "keepalive", "a pool"
    std::string path;   ///< where it stands: "pools.NAME.keepalive"
    std::string text;
    std::vector<Key> keys;
    Choice choice;
    std::string shorthand;  ///< the key that a plain value in the map's place stands for
    std::function<void(const Node&, void*, Reader&)> finish;
    std::function<Node()> defaults;  ///< a default value, printed

    const Key* find(std::string_view key) const;
};

/// A Section whose object is a T.
template <class T>
struct SectionOf : Section {
    SectionOf&& with_choice(Choice of) && {
        choice = std::move(of);
        return std::move(*this);
    }
};

/// A Key of a section of T.
template <class T>
struct KeyOf : Key {
    KeyOf&& required_as(std::string value) && {
        required = true;
        example = std::move(value);
        return std::move(*this);
    }
    KeyOf&& default_is(std::string words) && {
        default_words = std::move(words);
        return std::move(*this);
    }
};

void read_section(const Section& section, const Node& node, void* object, Reader& reader);
Node write_section(const Section& section, const void* object);
/// `root` and all sections under it, each once, in the order of the table.
std::vector<const Section*> all_sections(const Section& root);

/// A key that stands for one member.
template <class T, class M>
KeyOf<T> key(std::string name, M T::* member, Codec<M> codec, std::string text) {
    KeyOf<T> made;
    made.name = std::move(name);
    made.text = std::move(text);
    made.type = std::move(codec.type);
    made.read = [member, read = std::move(codec.read)](const Node& node, void* object, Reader& reader) {
        read(node, static_cast<T*>(object)->*member, reader);
    };
    made.write = [member, write = std::move(codec.write)](const void* object) {
        return write(static_cast<const T*>(object)->*member);
    };
    return made;
}

/// A key whose value is spread over the object by `set` and gathered by `get`.
template <class T, class V>
KeyOf<T> computed_key(std::string name, Codec<V> codec, std::function<V(const T&)> get, std::function<void(T&, V)> set,
                      std::string text) {
    KeyOf<T> made;
    made.name = std::move(name);
    made.text = std::move(text);
    made.type = std::move(codec.type);
    made.read = [get, set = std::move(set), read = std::move(codec.read)](const Node& node, void* object,
                                                                          Reader& reader) {
        auto& target = *static_cast<T*>(object);
        auto value = get(target);
        read(node, value, reader);
        set(target, std::move(value));
    };
    made.write = [get = std::move(get), write = std::move(codec.write)](const void* object) {
        return write(get(*static_cast<const T*>(object)));
    };
    return made;
}

/// A key that a later version will have.
template <class T>
KeyOf<T> later_key(std::string name, std::string text) {
    KeyOf<T> made;
    made.name = std::move(name);
    made.text = std::move(text);
    made.later = true;
    made.write = [](const void*) { return Node{}; };
    return made;
}

struct Heading {
    std::string name;
    std::string title;
    std::string path;
    std::string text;
};

/// `finish` runs after the keys were read: it fills in what depends on more than one key, and checks it.
template <class T>
SectionOf<T> make_section(Heading heading, std::initializer_list<KeyOf<T>> keys,
                          std::function<void(const Node&, T&, Reader&)> finish = {}) {
    SectionOf<T> section;
    section.name = std::move(heading.name);
    section.title = std::move(heading.title);
    section.path = std::move(heading.path);
    section.text = std::move(heading.text);
    section.keys.assign(keys.begin(), keys.end());
    section.finish = [finish = std::move(finish)](const Node& node, void* object, Reader& reader) {
        auto& value = *static_cast<T*>(object);
        if constexpr (requires { value.position; }) value.position = reader.position(node);
        if (finish) finish(node, value, reader);
    };
    section.defaults = [section_keys = section.keys] {
        const T value{};
        auto node = Node::map();
        for (const auto& each : section_keys) node.set(each.name, each.write(&value));
        return node;
    };
    return section;
}

Node schema_reference(const Section& section);

/// A map of the section's keys.
template <class T>
Codec<T> nested(const SectionOf<T>& section) {
    return {{"a map", schema_reference(section), &section},
            [&section](const Node& node, T& value, Reader& reader) { read_section(section, node, &value, reader); },
            [&section](const T& value) {
                auto node = write_section(section, &value);
                return node.entries.empty() ? Node{} : node;
            }};
}

/// A value that may be left out; it is not printed then.
template <class T>
Codec<std::optional<T>> optional_of(Codec<T> codec) {
    return {codec.type,
            [read = codec.read](const Node& node, std::optional<T>& value, Reader& reader) {
                T inner{};
                read(node, inner, reader);
                value = std::move(inner);
            },
            [write = codec.write](const std::optional<T>& value) { return value ? write(*value) : Node{}; }};
}

/// Not printed where it is empty or zero.
template <class T>
Codec<T> omit_empty(Codec<T> codec) {
    codec.write = [write = std::move(codec.write)](const T& value) { return value == T{} ? Node{} : write(value); };
    return codec;
}

Type list_type(const Type& item, bool one_may_stand_alone, std::size_t min_items);

/// A list. Where the items are plain values, one may stand without the brackets.
template <class T>
Codec<std::vector<T>> list_of(Codec<T> item, std::size_t min_items = 0) {
    const bool plain = item.type.section == nullptr || !item.type.section->shorthand.empty();
    return {list_type(item.type, plain, min_items),
            [read = item.read, plain, min_items](const Node& node, std::vector<T>& values, Reader& reader) {
                std::vector<T> items;
                if (plain && node.is_scalar()) {
                    read(node, items.emplace_back(), reader);
                } else if (reader.expect(node, Node::Kind::sequence, "a list")) {
                    // What cannot be read still takes its place, so that indices of values and of nodes agree.
                    items.reserve(node.items.size());
                    for (const auto& each : node.items) read(each, items.emplace_back(), reader);
                    if (items.size() < min_items) reader.error(node, "the list is empty", "give at least one");
                } else {
                    return;
                }
                values = std::move(items);
            },
            [write = item.write](const std::vector<T>& values) {
                auto node = Node::sequence();
                for (const auto& value : values) node.push(write(value));
                return node;
            }};
}

Type named_type(const Type& item);

/// A map from names to maps; the name becomes the member `name`.
template <class T>
Codec<std::vector<T>> named(Codec<T> item, std::function<std::optional<base::UnitError>(std::string_view)> check) {
    return {named_type(item.type),
            [read = item.read, check = std::move(check)](const Node& node, std::vector<T>& values, Reader& reader) {
                if (!reader.expect(node, Node::Kind::map, "a map of names")) return;
                values.reserve(node.entries.size());
                for (const auto& entry : node.entries) {
                    if (const auto wrong = check(entry.key))
                        reader.problems().error(entry.mark, wrong->what, wrong->hint);
                    auto& value = values.emplace_back();
                    value.name = entry.key;
                    const Reader::InKey in_key(reader, entry.key);
                    read(entry.value, value, reader);
                    if constexpr (requires { value.position; }) value.position = reader.problems().position(entry.mark);
                }
                if (node.entries.empty()) reader.error(node, "the map is empty", "give at least one");
            },
            [write = item.write](const std::vector<T>& values) {
                auto node = Node::map();
                for (const auto& value : values) node.set(value.name, write(value));
                return node;
            }};
}

}  // namespace nsboot_lb::config
