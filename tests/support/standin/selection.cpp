#include "selection.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/beast/core/string.hpp>

namespace nsboot_lb::standin {
namespace http = boost::beast::http;
namespace {

std::string_view field(const http::fields& request, http::field name) {
    const auto found = request.find(name);
    if (found == request.end()) return {};
    return {found->value().data(), found->value().size()};
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

enum class Comparison { strong, weak };

// RFC 9110 8.8.3.2. Entity tags of ours hold no comma, so that splitting a list at commas finds them.
bool lists_etag(std::string_view list, std::string_view etag, Comparison comparison) {
    if (trim(list) == "*") return true;
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        std::string_view candidate = trim(list.substr(0, comma));
        if (comparison == Comparison::weak && candidate.starts_with("W/")) candidate.remove_prefix(2);
        if (candidate == etag) return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

std::optional<http::status> failed_precondition(http::verb method, const http::fields& request,
                                                const Representation& representation) {
    if (const auto wanted = field(request, http::field::if_match); !wanted.empty()) {
        if (!lists_etag(wanted, representation.etag, Comparison::strong)) return http::status::precondition_failed;
    } else if (const auto since = parse_http_date(field(request, http::field::if_unmodified_since))) {
        if (representation.last_modified > *since) return http::status::precondition_failed;
    }
    const bool reads = method == http::verb::get || method == http::verb::head;
    if (const auto known = field(request, http::field::if_none_match); !known.empty()) {
        if (lists_etag(known, representation.etag, Comparison::weak)) {
            return reads ? http::status::not_modified : http::status::precondition_failed;
        }
    } else if (const auto since = parse_http_date(field(request, http::field::if_modified_since)); since && reads) {
        if (representation.last_modified <= *since) return http::status::not_modified;
    }
    return std::nullopt;
}

bool range_applies(const http::fields& request, const Representation& representation) {
    const auto condition = trim(field(request, http::field::if_range));
    if (condition.empty()) return true;
    if (condition.starts_with('"') || condition.starts_with("W/")) return condition == representation.etag;
    const auto date = parse_http_date(condition);
    return date && *date == representation.last_modified;
}

std::optional<std::uint64_t> parse_position(std::string_view text) {
    std::uint64_t value = 0;
    const auto* const end = text.data() + text.size();
    const auto [parsed, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || parsed != end) return std::nullopt;
    return value;
}

// One range of bytes. Several ranges, other units and broken ones are ignored, as RFC 9110 14.2 allows: nothing here.
std::optional<Selection> select_range(std::string_view value, std::uint64_t size_bytes) {
    const auto equals = value.find('=');
    if (equals == std::string_view::npos || !boost::beast::iequals(value.substr(0, equals), "bytes"))
        return std::nullopt;
    value = trim(value.substr(equals + 1));
    const auto dash = value.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto first = parse_position(value.substr(0, dash));
    const auto last = parse_position(value.substr(dash + 1));
    const bool has_first = dash != 0;
    const bool has_last = dash + 1 != value.size();
    if ((has_first && !first) || (has_last && !last) || (!has_first && !has_last)) return std::nullopt;
    if (first && last && *last < *first) return std::nullopt;

    constexpr Selection unsatisfiable{.status = http::status::range_not_satisfiable};
    if (!has_first) {  // the last so many bytes
        const auto count = std::min(*last, size_bytes);
        if (count == 0) return unsatisfiable;
        return Selection{.status = http::status::partial_content, .first = size_bytes - count, .length_bytes = count};
    }
    if (*first >= size_bytes) return unsatisfiable;
    const auto end = has_last ? std::min(*last, size_bytes - 1) : size_bytes - 1;
    return Selection{.status = http::status::partial_content, .first = *first, .length_bytes = end - *first + 1};
}

}  // namespace

Selection select(http::verb method, const http::fields& request, const Representation& representation) {
    if (const auto status = failed_precondition(method, request, representation)) return {.status = *status};
    const Selection whole{.length_bytes = representation.size_bytes};
    const auto range = field(request, http::field::range);
    // RFC 9110 14.2: Range means something with GET alone.
    if (method != http::verb::get || range.empty() || !range_applies(request, representation)) return whole;
    return select_range(trim(range), representation.size_bytes).value_or(whole);
}

std::string http_date(std::time_t time) {
    std::tm parts{};
    gmtime_r(&time, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::optional<std::time_t> parse_http_date(std::string_view text) {
    const std::string copy(trim(text));
    for (const char* const form : {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
        std::tm parts{};
        const char* const end = strptime(copy.c_str(), form, &parts);
        if (end != nullptr && *end == '\0') return timegm(&parts);
    }
    return std::nullopt;
}

}  // namespace nsboot_lb::standin
