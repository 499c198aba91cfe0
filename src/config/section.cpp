#include "section.hpp"

#include <algorithm>

#include "schema.hpp"

namespace nsboot_lb::config {

namespace {

std::vector<std::string_view> key_names(const Section& section, bool with_later) {
    std::vector<std::string_view> names;
    for (const auto& key : section.keys)
        if (with_later || !key.later) names.push_back(key.name);
    return names;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : std::string(separator)) + word;
    return out;
}

/// For a key that is right, but stands in the wrong place.
std::string place_of(std::string_view name) {
    static constexpr std::size_t max_places = 3;
    std::vector<std::string> places;
    for (const auto* section : all_sections(root_section()))
        if (section->find(name) != nullptr) places.push_back(section->path.empty() ? "the top level" : section->path);
    if (places.empty() || places.size() > max_places) return {};
    return "'" + std::string(name) + "' belongs in " + joined(places, " or ");
}

void report_unknown(const Section& section, const Entry& entry, Reader& reader) {
    if (reader.problems().is_full()) return reader.problems().error(entry.mark, "unknown key");
    const auto names = key_names(section, true);
    auto hint = did_you_mean(entry.key, names, place_of(entry.key));
    if (hint.empty()) {
        const auto available = key_names(section, false);
        const std::vector<std::string> known(available.begin(), available.end());
        hint = "known keys are " + joined(known, ", ");
    }
    if (entry.key == "<<") hint = "merge keys are not supported; write the keys out";
    reader.problems().error(entry.mark, "unknown key '" + entry.key + "' in " + section.title, std::move(hint));
}

void report_missing(const Section& section, const Node& node, Reader& reader) {
    for (const auto& key : section.keys)
        if (key.required && node.find(key.name) == nullptr)
            reader.problems().error(node.mark, section.title + " needs '" + key.name + "'",
                                    "write " + key.name + ": " + key.example);
}

void report_choice(const Section& section, const Node& node, Reader& reader) {
    const auto& choice = section.choice;
    const Entry* first = nullptr;
    for (const auto& entry : node.entries) {
        if (std::ranges::find(choice.keys, entry.key) == choice.keys.end()) continue;
        if (first != nullptr)
            reader.problems().error(
                entry.mark, section.title + " has both '" + first->key + "' and '" + entry.key + "'", choice.hint);
        else
            first = &entry;
    }
    if (choice.required && first == nullptr)
        reader.problems().error(node.mark, section.title + " needs one of " + joined(choice.keys, ", "),
                                "give exactly one");
}

}  // namespace

const Key* Section::find(std::string_view key) const {
    const auto found = std::ranges::find(keys, key, &Key::name);
    return found == keys.end() ? nullptr : &*found;
}

void read_section(const Section& section, const Node& node, void* object, Reader& reader) {
    const auto errors_before = reader.problems().error_count();
    if (node.is_scalar() && !section.shorthand.empty()) {
        const auto* key = section.find(section.shorthand);
        const Reader::InKey in_key(reader, key->name);
        key->read(node, object, reader);
        section.finish(node, object, reader);
        return;
    }
    if (!reader.expect(node, Node::Kind::map, section.shorthand.empty() ? "a map" : "a plain value or a map")) {
        reader.mark_broken(node);
        return;
    }
    for (const auto& entry : node.entries) {
        const auto* key = section.find(entry.key);
        if (key == nullptr) {
            report_unknown(section, entry, reader);
        } else if (key->later) {
            reader.problems().error(entry.mark, "'" + entry.key + "' is not available in this version", "remove it");
        } else if (entry.value) {
            const Reader::InKey in_key(reader, key->name);
            key->read(entry.value, object, reader);
        }
    }
    report_missing(section, node, reader);
    report_choice(section, node, reader);
    section.finish(node, object, reader);
    if (reader.problems().error_count() != errors_before) reader.mark_broken(node);
}

Node write_section(const Section& section, const void* object) {
    auto node = Node::map();
    for (const auto& key : section.keys) node.set(key.name, key.write(object));
    return node;
}

std::vector<const Section*> all_sections(const Section& root) {
    std::vector<const Section*> sections;
    const auto visit = [&](const auto& self, const Section& section) -> void {
        if (std::ranges::find(sections, &section) != sections.end()) return;
        sections.push_back(&section);
        for (const auto& key : section.keys)
            if (key.type.section != nullptr) self(self, *key.type.section);
    };
    visit(visit, root);
    return sections;
}

Node schema_reference(const Section& section) {
    const auto reference = [](const std::string& name) {
        return Node::map().set("$ref", Node::of_text("#/definitions/" + name));
    };
    if (section.shorthand.empty()) return reference(section.name);
    const auto* key = section.find(section.shorthand);
    return Node::map().set("anyOf", Node::sequence().push(key->type.schema).push(reference(section.name)));
}

Type list_type(const Type& item, bool one_may_stand_alone, std::size_t min_items) {
    auto list = Node::map();
    list.set("type", Node::of_text("array")).set("items", item.schema);
    if (min_items > 0) list.set("minItems", Node::of_literal(std::to_string(min_items)));
    auto schema = std::move(list);
    if (one_may_stand_alone)
        schema = Node::map().set("anyOf", Node::sequence().push(item.schema).push(std::move(schema)));
    return {"a list; each: " + item.words, std::move(schema), item.section};
}

Type named_type(const Type& item) {
    auto schema = Node::map();
    schema.set("type", Node::of_text("object"))
        .set("minProperties", Node::of_literal("1"))
        .set("additionalProperties", item.schema);
    return {"a map of names; each: " + item.words, std::move(schema), item.section};
}

}  // namespace nsboot_lb::config
