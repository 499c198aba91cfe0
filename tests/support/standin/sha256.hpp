#pragma once
/// SHA-256 of bytes that arrive in pieces. One thread at a time; owned by whoever reads the pieces.
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <openssl/evp.h>

namespace nsboot_lb::standin {

class Sha256 {
  public:
    Sha256();
    void update(std::span<const std::byte> bytes);
    /// The digest as lower case hexadecimal digits. Nothing may be added afterwards.
    std::string finish();

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

}  // namespace nsboot_lb::standin
