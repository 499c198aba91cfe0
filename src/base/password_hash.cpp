#include "password_hash.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <crypt.h>
#include <memory>
#include <optional>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "apr1.hpp"

namespace nsboot_lb::base {

namespace {

// A hash that takes seconds is a way to stop the daemon, not a better lock. Each of these is about one second of work.
constexpr unsigned most_bcrypt_cost = 14;
constexpr unsigned most_sha_crypt_rounds = 1'000'000;

constexpr std::string_view sha1_prefix = "{SHA}";
constexpr std::string_view apr1_prefix = "$apr1$";

using Problem = std::optional<std::string>;

/// The alphabet of crypt(5), in which hashes and salts are written.
bool is_crypt_text(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '/';
    });
}

std::optional<unsigned> number(std::string_view digits) {
    unsigned value = 0;
    const auto* const last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, value);
    if (error != std::errc{} || end != last) return std::nullopt;
    return value;
}

/// "$2y$" cost of two digits "$" salt of 22 and hash of 31.
Problem problem_of_bcrypt(std::string_view text) {
    constexpr std::size_t size = 60;
    if (text.size() != size || text[6] != '$' || !is_crypt_text(text.substr(7))) return "a malformed bcrypt hash";
    const auto cost = number(text.substr(4, 2));
    if (!cost || *cost < 4) return "a malformed bcrypt hash";
    if (*cost > most_bcrypt_cost) return "a bcrypt cost above " + std::to_string(most_bcrypt_cost);
    return std::nullopt;
}

/// "SALT$HASH" with a salt of at most so many characters and a hash of exactly so many.
bool is_salt_and_hash(std::string_view text, std::size_t most_salt, std::size_t hash_size) {
    const auto dollar = text.find('$');
    return dollar != std::string_view::npos && dollar <= most_salt && is_crypt_text(text.substr(0, dollar)) &&
           text.size() - dollar - 1 == hash_size && is_crypt_text(text.substr(dollar + 1));
}

/// "$5$" or "$6$", perhaps "rounds=N$", salt "$" hash.
Problem problem_of_sha_crypt(std::string_view text) {
    constexpr std::string_view rounds_word = "rounds=";
    const std::size_t hash_size = text[1] == '5' ? 43 : 86;
    auto rest = text.substr(3);
    if (rest.starts_with(rounds_word)) {
        const auto dollar = std::min(rest.find('$'), rest.size() - 1);
        const auto digits = rest.substr(rounds_word.size(), dollar - rounds_word.size());
        const auto rounds = number(digits);
        // libcrypt takes no other spelling and no fewer rounds.
        if (!rounds || *rounds < 1000 || std::to_string(*rounds) != digits) return "a malformed SHA-crypt hash";
        if (*rounds > most_sha_crypt_rounds) {
            return "more than " + std::to_string(most_sha_crypt_rounds) + " rounds of SHA-crypt";
        }
        rest.remove_prefix(dollar + 1);
    }
    if (!is_salt_and_hash(rest, 16, hash_size)) return "a malformed SHA-crypt hash";
    return std::nullopt;
}

Problem problem_of_apr1(std::string_view text) {
    if (is_salt_and_hash(text.substr(apr1_prefix.size()), 8, 22)) return std::nullopt;
    return "a malformed $apr1$ hash";
}

/// Base64 of 20 octets.
Problem problem_of_sha1(std::string_view text) {
    const auto base64 = text.substr(sha1_prefix.size());
    std::string letters(base64.substr(0, 27));
    std::ranges::replace(letters, '+', '/');
    if (base64.size() == 28 && base64.back() == '=' && is_crypt_text(letters) && !letters.contains('.')) {
        return std::nullopt;
    }
    return "a malformed {SHA} hash";
}

Problem problem_of(std::string_view text) {
    for (const std::string_view prefix : {"$2y$", "$2a$", "$2b$"}) {
        if (text.starts_with(prefix)) return problem_of_bcrypt(text);
    }
    if (text.starts_with("$5$") || text.starts_with("$6$")) return problem_of_sha_crypt(text);
    if (text.starts_with(apr1_prefix)) return problem_of_apr1(text);
    if (text.starts_with(sha1_prefix)) return problem_of_sha1(text);
    return "a password that is plain text or hashed in an unknown way; make it with htpasswd -B";
}

std::string sha1_hash(std::string_view password) {
    constexpr std::size_t sha1_size = 20;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    std::array<unsigned char, 32> base64{};
    if (EVP_Digest(password.data(), password.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1) return {};
    EVP_EncodeBlock(base64.data(), digest.data(), sha1_size);
    return std::string(sha1_prefix) + reinterpret_cast<const char*>(base64.data());
}

std::string crypt_hash(std::string_view password, const std::string& setting) {
    const auto scratch = std::make_unique<crypt_data>();  // 32 KiB, too much for a stack
    const std::string terminated(password);
    const char* const hash = crypt_r(terminated.c_str(), setting.c_str(), scratch.get());
    return hash == nullptr ? "" : hash;
}

}  // namespace

std::expected<PasswordHash, std::string> PasswordHash::parse(std::string_view text) {
    if (auto problem = problem_of(text)) return std::unexpected(std::move(*problem));
    return PasswordHash(text);
}

bool PasswordHash::matches(std::string_view password) const {
    if (password.contains('\0')) return false;  // crypt() would look no further
    std::string hash;
    if (text_.starts_with(sha1_prefix)) {
        hash = sha1_hash(password);
    } else if (text_.starts_with(apr1_prefix)) {
        const auto salt = std::string_view(text_).substr(apr1_prefix.size());
        hash = apr1_hash(password, salt.substr(0, salt.find('$')));
    } else {
        hash = crypt_hash(password, text_);
    }
    return hash.size() == text_.size() && CRYPTO_memcmp(hash.data(), text_.data(), text_.size()) == 0;
}

}  // namespace nsboot_lb::base
