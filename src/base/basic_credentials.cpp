#include "nsboot_lb/base/basic_credentials.hpp"

#include <algorithm>

#include <openssl/evp.h>

namespace nsboot_lb::base {

namespace {

constexpr std::string_view scheme = "basic ";

bool is_basic(std::string_view authorization) {
    const auto lower = [](char letter) {
        return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
    };
    return std::ranges::equal(authorization.substr(0, scheme.size()), scheme, {}, lower);
}

const unsigned char* octets_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string base64(std::string_view text) {
    std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');  // EVP_EncodeBlock writes a NUL at the end
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), octets_of(text), static_cast<int>(text.size()));
    out.pop_back();
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0) return std::nullopt;
    std::string out(text.size() / 4 * 3, '\0');
    auto* const target = reinterpret_cast<unsigned char*>(out.data());
    if (EVP_DecodeBlock(target, octets_of(text), static_cast<int>(text.size())) < 0) return std::nullopt;
    out.resize(out.size() - (text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0));
    // The decoder forgives white space, padding in the middle and stray bits at the end; the encoder makes none of
    // them.
    if (base64(out) != text) return std::nullopt;
    return out;
}

bool is_control(char octet) {
    return static_cast<unsigned char>(octet) < 0x20 || octet == 0x7f;
}

}  // namespace

std::optional<BasicCredentials> parse_basic_credentials(std::string_view authorization) {
    if (!is_basic(authorization)) return std::nullopt;
    const auto start = authorization.find_first_not_of(' ', scheme.size());
    if (start == std::string_view::npos) return std::nullopt;
    const auto pair = from_base64(authorization.substr(start));
    if (!pair || std::ranges::any_of(*pair, is_control)) return std::nullopt;
    const auto colon = pair->find(':');
    if (colon == std::string::npos) return std::nullopt;
    return BasicCredentials{.user = pair->substr(0, colon), .password = pair->substr(colon + 1)};
}

}  // namespace nsboot_lb::base
