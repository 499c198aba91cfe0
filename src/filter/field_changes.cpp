#include "field_changes.hpp"

#include <algorithm>

#include "nsboot_lb/http/field_names.hpp"

namespace nsboot_lb::filter {

namespace {

void note(std::bitset<http::field_id_count>& set, http::FieldId id) {
    if (id != http::FieldId::other) set.set(static_cast<std::size_t>(id));
}

}  // namespace

// A field of these would be a second framing of the message, or speak for a connection that is not its own.
std::expected<FieldChanges::Name, std::string> FieldChanges::checked(std::string_view name) {
    const auto id = http::field_id(name);
    if (http::is_hop_by_hop(id) || id == http::FieldId::content_length)
        return std::unexpected("the field \"" + std::string(name) +
                               "\" belongs to the connection and cannot be changed");
    return Name{std::string(name), id};
}

std::expected<void, std::string> FieldChanges::compile_additions(const Additions& given, bool replacing) {
    for (const auto& [name, value] : given) {
        auto known = checked(name);
        if (!known) return std::unexpected(std::move(known.error()));
        auto compiled = http::Template::parse(value);
        if (!compiled) return std::unexpected(name + ": " + compiled.error());
        additions_.push_back({name, std::move(*compiled)});
        if (!replacing) continue;
        note(settled_, known->id);
        dropped_.push_back(std::move(*known));
    }
    return {};
}

std::expected<FieldChanges, std::string> FieldChanges::compile(const config::HeaderChanges& changes) {
    FieldChanges compiled;
    for (const auto& name : changes.remove) {
        auto known = checked(name);
        if (!known) return std::unexpected(std::move(known.error()));
        note(compiled.settled_, known->id);
        compiled.dropped_.push_back(std::move(*known));
    }
    if (auto set = compiled.compile_additions(changes.set, true); !set) return std::unexpected(std::move(set.error()));
    if (auto add = compiled.compile_additions(changes.add, false); !add) return std::unexpected(std::move(add.error()));
    return compiled;
}

void FieldChanges::drop(http::Fields& fields) const {
    for (auto& field : fields) {
        const auto is_this = [&field](const Name& name) {
            return name.id == http::FieldId::other ? http::equal_ignoring_case(name.text, field.name)
                                                   : name.id == field.id;
        };
        if (!field.dropped && std::ranges::any_of(dropped_, is_this)) field.dropped = true;
    }
}

void FieldChanges::append_to(Additions& additions, const forward::Exchange& exchange) const {
    const auto values = exchange.template_values();
    for (const auto& [name, value] : additions_) {
        auto& added = additions.emplace_back(name, std::string());
        value.expand(values, added.second);
    }
}

std::string describe(const config::HeaderChanges& changes) {
    std::string text;
    const auto add = [&text](std::string_view what, const auto& fields, auto name_of) {
        if (fields.empty()) return;
        text.append(text.empty() ? "" : ", ").append(what);
        for (const auto& field : fields) text.append(" ").append(name_of(field));
    };
    const auto first = [](const auto& field) { return field.first; };
    add("remove", changes.remove, [](const auto& name) { return name; });
    add("set", changes.set, first);
    add("add", changes.add, first);
    return text;
}

std::string expanded(const http::Template& text, const forward::Exchange& exchange) {
    std::string out;
    text.expand(exchange.template_values(), out);
    return out;
}

}  // namespace nsboot_lb::filter
