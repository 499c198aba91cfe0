#include "apr1.hpp"

#include <array>
#include <cstdint>
#include <optional>

#include <openssl/evp.h>

namespace nsboot_lb::base {

namespace {

/// 16 octets, or nothing.
std::optional<std::string> md5(std::string_view text) {
    std::string out(16, '\0');
    auto* const target = reinterpret_cast<unsigned char*>(out.data());
    if (EVP_Digest(text.data(), text.size(), target, nullptr, EVP_md5(), nullptr) != 1) return std::nullopt;
    return out;
}

std::optional<std::string> first_digest(const std::string& password, const std::string& salt) {
    const auto mixed = md5(password + salt + password);
    if (!mixed) return std::nullopt;
    auto text = password + "$apr1$" + salt;
    for (std::size_t i = 0; i < password.size(); ++i) text += (*mixed)[i % mixed->size()];
    for (std::size_t bits = password.size(); bits != 0; bits >>= 1) {
        text += (bits & 1) != 0 ? '\0' : password.front();
    }
    return md5(text);
}

/// 16 octets in crypt's own order and alphabet.
std::string encoded(const std::string& digest) {
    constexpr std::string_view alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string out;
    const auto octet = [&](std::size_t index) { return std::uint32_t{static_cast<unsigned char>(digest[index])}; };
    const auto append = [&](std::uint32_t bits, int letters) {
        for (; letters > 0; --letters, bits >>= 6) out += alphabet[bits & 0x3f];
    };
    constexpr std::array<std::array<std::size_t, 3>, 5> order{
        {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}}};
    for (const auto& [high, middle, low] : order) append(octet(high) << 16 | octet(middle) << 8 | octet(low), 4);
    append(octet(11), 2);
    return out;
}

}  // namespace

std::string apr1_hash(std::string_view password, std::string_view salt) {
    const std::string secret(password);
    const std::string seasoning(salt);
    auto digest = first_digest(secret, seasoning);
    for (int round = 0; round < 1000 && digest; ++round) {
        const bool odd = round % 2 != 0;
        auto text = odd ? secret : *digest;
        if (round % 3 != 0) text += seasoning;
        if (round % 7 != 0) text += secret;
        text += odd ? *digest : secret;
        digest = md5(text);
    }
    if (!digest) return {};
    return "$apr1$" + seasoning + "$" + encoded(*digest);
}

}  // namespace nsboot_lb::base
