#include "texts.hpp"

#include <algorithm>
#include <array>

#include <re2/re2.h>

namespace nsboot_lb::config {

namespace {

using base::UnitError;
using Wrong = std::optional<UnitError>;

constexpr std::size_t max_name_bytes = 64;
constexpr std::size_t max_label_bytes = 128;

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_alphanumeric(char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
}
bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
bool has_control(std::string_view text) {
    return std::ranges::any_of(text, is_control);
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 0x20);
    return out;
}

bool same_field(std::string_view a, std::string_view b) {
    return upper(a) == upper(b);
}

/// Those that frame a message or belong to one connection (RFC 9110 7.6.1, RFC 9112 6).
constexpr std::array<std::string_view, 9> fixed_fields{"Connection", "Content-Length",   "Keep-Alive",
                                                       "TE",         "Trailer",          "Transfer-Encoding",
                                                       "Upgrade",    "Proxy-Connection", "HTTP2-Settings"};

constexpr std::array<std::string_view, 9> methods{"GET",     "HEAD",  "POST",    "PUT",  "DELETE",
                                                  "OPTIONS", "PATCH", "CONNECT", "TRACE"};

}  // namespace

bool is_token(std::string_view text) {
    static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || others.contains(c); });
}

Wrong check_name(std::string_view text) {
    static constexpr std::string_view others = "._-";
    if (text.empty()) return UnitError{"the name is empty", ""};
    if (text.size() > max_name_bytes)
        return UnitError{"the name is too long", "at most " + std::to_string(max_name_bytes) + " characters"};
    if (!std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || others.contains(c); }))
        return UnitError{"the name " + quoted(text) + " has a character that names cannot have",
                         "use letters, digits, '.', '_' and '-'"};
    return std::nullopt;
}

Wrong check_label(std::string_view text) {
    if (text.empty()) return UnitError{"the name is empty", "give one, or remove the key"};
    if (text.size() > max_label_bytes)
        return UnitError{"the name is too long", "at most " + std::to_string(max_label_bytes) + " characters"};
    return check_printable(text);
}

Wrong check_printable(std::string_view text) {
    if (has_control(text)) return UnitError{quoted(text) + " holds a control character", "remove it"};
    return std::nullopt;
}

Wrong check_field_name(std::string_view text) {
    if (is_token(text)) return std::nullopt;
    return UnitError{quoted(text) + " is no header field's name",
                     text.ends_with(':') ? "write it without the ':'" : "use letters, digits and '-'"};
}

Wrong check_changeable_field(std::string_view text) {
    if (auto wrong = check_field_name(text)) return wrong;
    for (const auto field : fixed_fields)
        if (same_field(field, text))
            return UnitError{"the field " + quoted(text) + " belongs to the connection and cannot be changed",
                             "remove it"};
    return std::nullopt;
}

Wrong check_method(std::string_view text) {
    if (!is_token(text)) return UnitError{quoted(text) + " is no method", "write such as GET or POST"};
    const auto shouted = upper(text);
    // Methods are case-sensitive (RFC 9110 9.1): "get" would never match.
    if (shouted != text && std::ranges::find(methods, shouted) != methods.end())
        return UnitError{"methods are written in capitals", "write " + shouted};
    return std::nullopt;
}

Wrong check_media_type(std::string_view text) {
    const auto slash = text.find('/');
    if (slash != std::string_view::npos && is_token(text.substr(0, slash)) && is_token(text.substr(slash + 1)))
        return std::nullopt;
    return UnitError{quoted(text) + " is no media type", "write such as text/html, without parameters"};
}

Wrong check_authority(std::string_view text) {
    static constexpr std::string_view others = ".-_:[]";
    if (std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || others.contains(c); })) return std::nullopt;
    return UnitError{quoted(text) + " is no host", "write such as nsboot.example.com"};
}

Wrong check_host_pattern(std::string_view text) {
    static constexpr std::string_view others = ".-_";
    const auto name = text.starts_with("*.") ? text.substr(2) : text;
    if (name.starts_with('[') && name.ends_with(']') && base::IpAddress::parse(name.substr(1, name.size() - 2)))
        return std::nullopt;
    if (base::IpAddress::parse(name)) return std::nullopt;
    if (text.contains("://")) return UnitError{quoted(text) + " is a URL, not a host", "write the host's name alone"};
    if (text.contains(':'))
        return UnitError{quoted(text) + " has a port", "write the host alone; ports are ignored when matching"};
    if (name.contains('*'))
        return UnitError{quoted(text) + " has a '*' elsewhere than in front", "write such as *.example.com"};
    if (name.empty() || name.starts_with('.') || name.contains("..") ||
        !std::ranges::all_of(name, [](char c) { return is_alphanumeric(c) || others.contains(c); }))
        return UnitError{quoted(text) + " is no host", "write such as nsboot.example.com or *.example.com"};
    return std::nullopt;
}

Wrong check_path(std::string_view text) {
    if (!text.starts_with('/'))
        return UnitError{"the path " + quoted(text) + " does not begin with '/'", "write /" + std::string(text)};
    if (text.find_first_of("?#") != std::string_view::npos)
        return UnitError{"the path " + quoted(text) + " holds a '?' or a '#'",
                         "write the path alone; queries do not take part"};
    return check_printable(text);
}

Wrong check_sent_path(std::string_view text) {
    if (auto wrong = check_path(text)) return wrong;
    const auto cannot_stand = [](char c) { return c == ' ' || static_cast<unsigned char>(c) > 0x7e; };
    if (std::ranges::any_of(text, cannot_stand))
        return UnitError{"the path " + quoted(text) + " holds a character that must be encoded",
                         "write a space as %20, and so on"};
    return std::nullopt;
}

Wrong check_glob(std::string_view text) {
    if (!text.starts_with('/') && !text.starts_with('*'))
        return UnitError{"the pattern " + quoted(text) + " begins with neither '/' nor '*'",
                         "write /" + std::string(text)};
    return check_printable(text);
}

Wrong check_regex(std::string_view text) {
    RE2::Options options(RE2::Quiet);
    options.set_encoding(RE2::Options::EncodingLatin1);  // as the route table compiles it
    const RE2 expression(re2::StringPiece(text.data(), text.size()), options);
    if (expression.ok()) return std::nullopt;
    return UnitError{"the regular expression " + quoted(text) + " is not valid: " + expression.error(),
                     "the syntax is RE2's, which has no back-references and no look-around"};
}

Wrong check_cookie_domain(std::string_view text) {
    const auto name = text.starts_with('.') ? text.substr(1) : text;
    if (name.starts_with("*.") || check_host_pattern(name))
        return UnitError{quoted(text) + " is no cookie domain", "write such as example.com"};
    return std::nullopt;
}

Wrong check_cookie_path(std::string_view text) {
    // RFC 6265 4.1.1: any character but controls and ';'.
    if (auto wrong = check_path(text)) return wrong;
    if (text.contains(';')) return UnitError{"the path " + quoted(text) + " holds a ';'", "remove it"};
    return std::nullopt;
}

Wrong check_realm(std::string_view text) {
    if (text.contains('"') || text.contains('\\'))
        return UnitError{"the realm " + quoted(text) + " holds a quote or a backslash", "remove it"};
    return check_printable(text);
}

namespace {

UnitError unknown_placeholder(std::string_view name, std::span<const std::string_view> placeholders) {
    const auto near = nearest(name, placeholders);
    std::string known;
    for (const auto each : placeholders) known += (known.empty() ? "{" : " {") + std::string(each) + "}";
    return {"unknown placeholder {" + std::string(name) + "}",
            near ? "did you mean {" + std::string(*near) + "}?" : "known are " + known};
}

bool is_known(std::string_view name, std::span<const std::string_view> placeholders) {
    return std::ranges::find(placeholders, name) != placeholders.end();
}

}  // namespace

Wrong check_template(std::string_view text, std::span<const std::string_view> placeholders) {
    if (auto wrong = check_printable(text)) return wrong;
    for (auto open = text.find('{'); open != std::string_view::npos; open = text.find('{')) {
        text.remove_prefix(open + 1);
        if (text.starts_with('{')) {
            text.remove_prefix(1);
            continue;
        }
        const auto close = text.find('}');
        if (close == std::string_view::npos) return UnitError{"a '{' without its '}'", "write {{ for a plain brace"};
        const auto name = text.substr(0, close);
        if (!is_known(name, placeholders)) return unknown_placeholder(name, placeholders);
        text.remove_prefix(close + 1);
    }
    return std::nullopt;
}

Wrong check_log_template(std::string_view text, std::span<const std::string_view> placeholders) {
    if (auto wrong = check_printable(text)) return wrong;
    for (auto open = text.find('{'); open != std::string_view::npos; open = text.find('{')) {
        text.remove_prefix(open + 1);
        const auto length = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
        if (length == 0 || length == std::string_view::npos || text[length] != '}') continue;
        const auto name = text.substr(0, length);
        if (!is_known(name, placeholders)) return unknown_placeholder(name, placeholders);
    }
    return std::nullopt;
}

Codec<std::string> printable_text(std::string words) {
    return text(std::move(words), check_printable);
}

Codec<std::string> free_text(std::string words) {
    return text(std::move(words), [](std::string_view) { return std::nullopt; });
}

Codec<std::string> template_text(std::vector<std::string_view> placeholders) {
    std::string words = "text with";
    for (const auto name : placeholders) words += " {" + std::string(name) + "}";
    return text(std::move(words), [placeholders = std::move(placeholders)](std::string_view text) {
        return check_template(text, placeholders);
    });
}

}  // namespace nsboot_lb::config
