#include "nsboot_lb/http/head.hpp"

#include <algorithm>

#include "nsboot_lb/http/field_names.hpp"

namespace nsboot_lb::http {

namespace {

template <class Predicate>
const Field* find_first(const Fields& fields, Predicate predicate) {
    const auto found = std::ranges::find_if(fields, predicate);
    return found == fields.end() ? nullptr : &*found;
}

const Field* find_id(const Fields& fields, FieldId id) {
    return find_first(fields, [id](const Field& field) { return field.id == id; });
}

std::string_view value_of(const Field* field) {
    return field == nullptr ? std::string_view{} : field->value;
}

/// A cleared head of the same type, with the memory that `fields` had.
template <class Head>
void reset(Head& head) {
    auto fields = std::move(head.fields);
    fields.clear();
    head = Head{};
    head.fields = std::move(fields);
}

}  // namespace

const Field* RequestHead::find(FieldId id) const {
    return find_id(fields, id);
}
const Field* RequestHead::find(std::string_view name) const {
    return find_first(fields, [name](const Field& field) { return equal_ignoring_case(field.name, name); });
}
std::string_view RequestHead::value(FieldId id) const {
    return value_of(find(id));
}
void RequestHead::clear() {
    reset(*this);
}

const Field* ResponseHead::find(FieldId id) const {
    return find_id(fields, id);
}
std::string_view ResponseHead::value(FieldId id) const {
    return value_of(find(id));
}
void ResponseHead::clear() {
    reset(*this);
}

}  // namespace nsboot_lb::http
