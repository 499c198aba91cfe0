/// The table as a JSON Schema (draft 7, which editors know best), for completion and checking while typing.
#include "nsboot_lb/config/load.hpp"
#include "schema.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

namespace {

Node any_of(Node first, Node second) {
    return Node::map().set("anyOf", Node::sequence().push(std::move(first)).push(std::move(second)));
}

Node of_type(std::string_view type) {
    return Node::map().set("type", Node::of_text(type));
}

/// The types that several keys share. Every pattern also takes what holds an environment reference.
Node common_definitions() {
    const auto text_types =
        Node::sequence().push(Node::of_text("string")).push(Node::of_text("number")).push(Node::of_text("boolean"));
    const auto size_pattern = "[0-9]+(B|KiB|MiB|GiB)?";
    const auto not_negative = of_type("integer").set("minimum", Node::of_literal("0"));
    const auto zero = Node::map().set("const", Node::of_literal("0"));
    return Node::map()
        .set("text", Node::map().set("type", text_types))
        .set("environment_reference", of_type("string").set("pattern", Node::of_text("\\$\\{")))
        .set("boolean", any_of(of_type("boolean"), schema_pattern("true|false")))
        .set("duration", any_of(zero, schema_pattern("0|[0-9]+(ms|s|m|h|d)")))
        .set("size", any_of(not_negative, schema_pattern(size_pattern)))
        .set("byte_rate", any_of(zero, schema_pattern("0|" + std::string(size_pattern) + "/s")))
        .set("percentage", schema_pattern("[0-9]+(\\.[0-9]{1,2})?%"))
        .set("integer", not_negative)
        .set("address", schema_pattern("unix:/.+|.+:[0-9]+"))
        .set("cidr", schema_pattern("[0-9a-fA-F:.]+(/[0-9]+)?"));
}

Node property(const Key& key, const Node& defaults) {
    auto node = key.type.schema;
    node.set("description", Node::of_text(key.text));
    const auto* value = defaults.find(key.name);
    if (value != nullptr && !value->is_map() && !key.required) node.set("default", *value);
    return node;
}

Node names_list(const std::vector<std::string>& names) {
    auto list = Node::sequence();
    for (const auto& name : names) list.push(Node::of_text(name));
    return list;
}

Node requires_keys(const std::vector<std::string>& names) {
    return Node::map().set("required", names_list(names));
}

void add_choice(const Choice& choice, Node& node) {
    auto alternatives = Node::sequence();
    if (choice.required) {
        for (const auto& key : choice.keys) alternatives.push(requires_keys({key}));
        node.set("oneOf", std::move(alternatives));
    } else if (!choice.keys.empty()) {
        for (std::size_t i = 0; i < choice.keys.size(); ++i)
            for (std::size_t j = i + 1; j < choice.keys.size(); ++j)
                alternatives.push(requires_keys({choice.keys[i], choice.keys[j]}));
        node.set("not", Node::map().set("anyOf", std::move(alternatives)));
    }
}

/// What a file lacks at the top level may stand in one that it includes.
void add_required(const Section& section, Node& node) {
    std::vector<std::string> required;
    for (const auto& key : section.keys)
        if (key.required) required.push_back(key.name);
    if (required.empty()) return;
    if (section.find("include") == nullptr)
        node.set("required", names_list(required));
    else
        node.set("anyOf", Node::sequence().push(requires_keys({"include"})).push(requires_keys(required)));
}

Node definition(const Section& section) {
    auto node = of_type("object");
    node.set("description", Node::of_text(section.text));
    node.set("additionalProperties", Node::of_literal("false"));
    const auto defaults = section.defaults();
    auto properties = Node::map();
    for (const auto& key : section.keys) {
        if (key.later) continue;
        properties.set(key.name, property(key, defaults));
    }
    node.set("properties", std::move(properties));
    add_required(section, node);
    add_choice(section.choice, node);
    return node;
}

}  // namespace

std::string schema_json() {
    auto definitions = common_definitions();
    for (const auto* section : all_sections(root_section())) definitions.set(section->name, definition(*section));
    auto schema = Node::map();
    schema.set("$schema", Node::of_text("http://json-schema.org/draft-07/schema#"))
        .set("title", Node::of_text("Configuration of nsboot-lb"))
        .set("$ref", Node::of_text("#/definitions/" + root_section().name))
        .set("definitions", std::move(definitions));
    return to_json(schema);
}

}  // namespace nsboot_lb::config
