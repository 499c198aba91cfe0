#pragma once
/// Rules for texts that have a grammar of their own: names, header fields, hosts, paths, methods, media types, regular
/// expressions. Pure; any thread may use them.
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "values.hpp"

namespace nsboot_lb::config {

/// Pools: letters, digits, '.', '_' and '-', since the name is part of URLs and of metrics' labels.
std::optional<base::UnitError> check_name(std::string_view text);
/// Listeners, servers, routes: anything printable.
std::optional<base::UnitError> check_label(std::string_view text);
std::optional<base::UnitError> check_printable(std::string_view text);
/// RFC 9110 5.6.2.
bool is_token(std::string_view text);
std::optional<base::UnitError> check_field_name(std::string_view text);
/// A field that a configuration may set, add or remove: none that frames the message or belongs to the connection.
std::optional<base::UnitError> check_changeable_field(std::string_view text);
std::optional<base::UnitError> check_method(std::string_view text);
std::optional<base::UnitError> check_media_type(std::string_view text);
std::optional<base::UnitError> check_host_pattern(std::string_view text);
/// A host for a Host field: with or without port.
std::optional<base::UnitError> check_authority(std::string_view text);
/// A path to compare with: begins with '/', percent-encoded or not.
std::optional<base::UnitError> check_path(std::string_view text);
/// A path that becomes part of a request: as check_path(), and all of it can stand in a request line.
std::optional<base::UnitError> check_sent_path(std::string_view text);
std::optional<base::UnitError> check_glob(std::string_view text);
std::optional<base::UnitError> check_regex(std::string_view text);
std::optional<base::UnitError> check_cookie_domain(std::string_view text);
std::optional<base::UnitError> check_cookie_path(std::string_view text);
std::optional<base::UnitError> check_realm(std::string_view text);
/// {placeholders} of these names only; `{{` and `}}` are plain braces, as in http/template.hpp.
std::optional<base::UnitError> check_template(std::string_view text, std::span<const std::string_view> placeholders);
/// The same for the access log, where a brace that opens no word of small letters and '_' is a plain character, so that
/// a template can be JSON.
std::optional<base::UnitError> check_log_template(std::string_view text,
                                                  std::span<const std::string_view> placeholders);

}  // namespace nsboot_lb::config
