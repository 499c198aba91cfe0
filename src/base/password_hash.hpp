#pragma once
/// One hashed password as it stands in an htpasswd file. Immutable; any thread may compare, which takes as long as the
/// scheme is meant to take. Private to this floor.
#include <expected>
#include <string>
#include <string_view>

namespace nsboot_lb::base {

class PasswordHash {
  public:
    /// bcrypt ($2y$, $2a$, $2b$), SHA-crypt ($5$, $6$), Apache's MD5 ($apr1$) and {SHA}. An error says what is wrong
    /// without the text itself, which may be a password.
    static std::expected<PasswordHash, std::string> parse(std::string_view text);

    /// Compares in a time that does not depend on where the hashes differ. A password with a NUL matches nothing.
    bool matches(std::string_view password) const;
    bool operator==(const PasswordHash&) const = default;

  private:
    explicit PasswordHash(std::string_view text) : text_(text) {}
    std::string text_;
};

}  // namespace nsboot_lb::base
