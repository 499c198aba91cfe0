#pragma once
/// From a field's name to its FieldId, in any case, and what is known of an id. Pure functions, for any thread.
#include <string_view>

#include "nsboot_lb/http/head.hpp"

namespace nsboot_lb::http {

/// FieldId::other for a name that the daemon does not look at. `name` is a token.
FieldId field_id(std::string_view name);

/// Whether a field never crosses a proxy, named in Connection or not (RFC 9110 7.6.1).
constexpr bool is_hop_by_hop(FieldId id) {
    return id >= FieldId::connection && id <= FieldId::http2_settings;
}

/// Whether Connection may not take the field away: it frames or routes the message.
constexpr bool is_protected(FieldId id) {
    return id == FieldId::content_length || id == FieldId::host || id == FieldId::transfer_encoding;
}

/// ASCII, any case.
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace nsboot_lb::http
