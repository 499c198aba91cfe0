#include "sha256.hpp"

#include <array>
#include <new>

#include <fmt/format.h>

namespace nsboot_lb::standin {

// The one way in which these calls fail for SHA-256 is that memory is out.
Sha256::Sha256() {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}

void Sha256::update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) throw std::bad_alloc();
}

std::string Sha256::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), &length) != 1) throw std::bad_alloc();
    std::string text;
    for (const unsigned char byte : std::span(digest).first(length)) text += fmt::format("{:02x}", byte);
    return text;
}

}  // namespace nsboot_lb::standin
