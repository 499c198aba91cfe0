#include "nsboot_lb/upstream/cookie.hpp"

#include <array>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace nsboot_lb::upstream {

namespace {

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view attribute(config::SameSite same_site) {
    switch (same_site) {
        case config::SameSite::none: return "None";
        case config::SameSite::lax: return "Lax";
        case config::SameSite::strict: return "Strict";
    }
    return "";
}

}  // namespace

std::optional<std::string_view> take_cookie(std::string_view& cookie_field, std::string_view name) {
    while (!cookie_field.empty()) {
        const auto end = cookie_field.find(';');
        const auto pair = cookie_field.substr(0, end);
        cookie_field.remove_prefix(end == std::string_view::npos ? cookie_field.size() : end + 1);
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos || trim(pair.substr(0, equals)) != name) continue;
        auto value = trim(pair.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        return value;
    }
    return std::nullopt;
}

std::string sticky_value(std::string_view key, std::string_view pool, std::string_view server,
                         std::string_view address) {
    constexpr std::size_t kept_bytes = 16;
    // NUL cannot be in a name, so different names never make the same text.
    std::string text{pool};
    for (const auto part : {server, address}) text.append(1, '\0').append(part);
    const std::string_view keyed_by = key.empty() ? std::string_view{text} : key;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), keyed_by.data(), static_cast<int>(keyed_by.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size) == nullptr)
        throw std::runtime_error("HMAC-SHA256 is not available");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string value;
    for (std::size_t i = 0; i < kept_bytes; ++i) {
        value += digits[digest[i] >> 4];
        value += digits[digest[i] & 15];
    }
    return value;
}

std::string set_cookie_field(const config::Cookie& cookie, std::string_view value) {
    auto field = cookie.name + "=" + std::string{value};
    if (!cookie.path.empty()) field += "; Path=" + cookie.path;
    if (!cookie.domain.empty()) field += "; Domain=" + cookie.domain;
    if (cookie.max_age) field += "; Max-Age=" + std::to_string(cookie.max_age->count());
    if (cookie.secure) field += "; Secure";
    if (cookie.http_only) field += "; HttpOnly";
    return field.append("; SameSite=").append(attribute(cookie.same_site));
}

}  // namespace nsboot_lb::upstream
