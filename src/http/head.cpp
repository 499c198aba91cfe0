#include "nsboot_lb/http/head.hpp"

#include <algorithm>

#include "nsboot_lb/http/field_names.hpp"

namespace nsboot_lb::http {

namespace {

const Field* found(const Field* field, const Fields& fields) {
    return field == fields.end() ? nullptr : field;
}

}  // namespace

void Fields::grow() {
    constexpr std::size_t least_room = 16;
    room_ = std::max(least_room, 2 * room_);
    fields_.resize(room_);
}

const Field* Fields::find(FieldId id) const {
    return has(id) ? found(std::ranges::find(begin(), end(), id, &Field::id), *this) : nullptr;
}

std::string_view Fields::value(FieldId id) const {
    for (const auto& field : all(id)) {
        if (!field.value.empty()) return field.value;
    }
    return {};
}

const Field* RequestHead::find(std::string_view name) const {
    const auto is_named = [name](const Field& field) { return equal_ignoring_case(field.name, name); };
    return found(std::ranges::find_if(fields, is_named), fields);
}

// Member by member, since assigning a whole new head moves its string and its fields there and back.
void RequestHead::clear() {
    method = Method::other;
    method_text = target = origin_target = path = query = host = bytes = {};
    minor_version = 1;
    framing = Framing::none;
    content_length = 0;
    keep_alive = true;
    expect_continue = accepts_trailers = false;
    upgrade = UpgradeKind::none;
    max_forwards.reset();
    made_target.clear();
    fields.clear();
}

void ResponseHead::clear() {
    status = 0;
    reason = upgrade_value = {};
    minor_version = 1;
    framing = Framing::none;
    content_length = 0;
    has_content_length = length_in_fields = has_date = false;
    keep_alive = true;
    upgrade = UpgradeKind::none;
    keep_alive_timeout_s.reset();
    fields.clear();
    size = 0;
}

}  // namespace nsboot_lb::http
