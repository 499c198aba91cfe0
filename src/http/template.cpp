#include "nsboot_lb/http/template.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace nsboot_lb::http {

namespace {

using Value = std::string_view TemplateValues::*;

constexpr std::array<std::pair<std::string_view, Value>, 7> placeholders{{
    {"client_ip", &TemplateValues::client_ip},
    {"host", &TemplateValues::host},
    {"uri", &TemplateValues::uri},
    {"path", &TemplateValues::path},
    {"query", &TemplateValues::query},
    {"scheme", &TemplateValues::scheme},
    {"request_id", &TemplateValues::request_id},
}};

bool is_control(char octet) {
    return static_cast<unsigned char>(octet) < 0x20 || octet == 0x7f;
}

std::expected<Value, std::string> placeholder(std::string_view name) {
    const auto found = std::ranges::find(placeholders, name, &std::pair<std::string_view, Value>::first);
    if (found != placeholders.end()) return found->second;
    std::string error = "unknown placeholder {" + std::string(name) + "}; known are";
    for (const auto& [known, value] : placeholders) error.append(" {").append(known).append("}");
    return std::unexpected(std::move(error));
}

void append_without_controls(std::string_view value, std::string& out) {
    if (std::ranges::none_of(value, is_control)) {
        out += value;
    } else {
        std::ranges::remove_copy_if(value, std::back_inserter(out), is_control);
    }
}

}  // namespace

std::expected<Template, std::string> Template::parse(std::string_view text) {
    if (std::ranges::any_of(text, is_control)) return std::unexpected("a control character");
    Template parsed;
    Part part;
    while (!text.empty()) {
        const auto plain = text.substr(0, text.find_first_of("{}"));
        part.literal += plain;
        text.remove_prefix(plain.size());
        if (text.empty()) break;
        if (text.starts_with("{{") || text.front() == '}') {
            part.literal += text.front();
            text.remove_prefix(text.starts_with("{{") || text.starts_with("}}") ? 2 : 1);
            continue;
        }
        const auto end = text.find('}');
        if (end == std::string_view::npos) return std::unexpected("a { without }; a { that stands for itself is {{");
        const auto value = placeholder(text.substr(1, end - 1));
        if (!value) return std::unexpected(value.error());
        part.value = *value;
        parsed.parts_.push_back(std::exchange(part, {}));
        text.remove_prefix(end + 1);
    }
    if (!part.literal.empty()) parsed.parts_.push_back(std::move(part));
    return parsed;
}

void Template::expand(const TemplateValues& values, std::string& out) const {
    for (const auto& part : parts_) {
        out += part.literal;
        if (part.value != nullptr) append_without_controls(values.*part.value, out);
    }
}

}  // namespace nsboot_lb::http
