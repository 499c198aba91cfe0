#include "nsboot_lb/base/htpasswd.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "nsboot_lb/base/read_file.hpp"
#include "password_hash.hpp"

namespace nsboot_lb::base {

namespace {

using Digest = std::array<unsigned char, 32>;

bool equal(const Digest& a, const Digest& b) {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// The last password that was right. There is one right password, so one is enough, and what is remembered is bounded
/// by the file.
class Memory {
  public:
    bool remembers(const Digest& digest) const {
        const std::scoped_lock lock(mutex_);
        return last_right_ && equal(*last_right_, digest);
    }
    void remember(const Digest& digest) {
        const std::scoped_lock lock(mutex_);
        last_right_ = digest;
    }

  private:
    mutable std::mutex mutex_;
    std::optional<Digest> last_right_;
};

struct User {
    PasswordHash hash;
    std::shared_ptr<Memory> memory = std::make_shared<Memory>();  ///< the same in each reading that has this hash
};

}  // namespace

struct Htpasswd::Users {
    std::map<std::string, User, std::less<>> by_name;
    std::vector<User*> in_order;  ///< of by_name, for stand_in()
    Digest key{};                 ///< of digest(), the first reading's

    /// Of a pair; the user's name holds no ":" that could shift the border.
    std::optional<Digest> digest(std::string_view user, std::string_view password) const {
        std::string pair(user);
        pair.append(":").append(password);
        Digest out{};
        const auto* const result =
            HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                 reinterpret_cast<const unsigned char*>(pair.data()), pair.size(), out.data(), nullptr);
        if (result == nullptr) return std::nullopt;
        return out;
    }

    User* find(std::string_view user) {
        const auto found = by_name.find(user);
        return found == by_name.end() ? nullptr : &found->second;
    }

    /// The user whose hash an unknown user is checked with, so that the time tells nothing: always the same for one
    /// name, and with each scheme as often as the file has it.
    const User* stand_in(const Digest& of_name) const {
        if (in_order.empty()) return nullptr;
        std::uint64_t number = 0;
        std::memcpy(&number, of_name.data(), sizeof number);
        return in_order[number % in_order.size()];
    }
};

namespace {

std::string message(std::string_view name, std::size_t line, std::string_view what) {
    return std::string(name) + ":" + std::to_string(line) + ": " + std::string(what);
}

std::string quoted(std::string_view user) {
    return "\"" + std::string(user) + "\"";
}

bool is_control(char octet) {
    return static_cast<unsigned char>(octet) < 0x20 || octet == 0x7f;
}

/// Adds the user of a line; says what is wrong with it.
std::optional<std::string> add_line(std::string_view line, std::map<std::string, User, std::less<>>& users) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return "not of the form USER:HASH";
    const auto user = line.substr(0, colon);
    if (std::ranges::any_of(user, is_control)) return "a control character in a user's name";
    const auto rest = line.substr(colon + 1);
    auto hash = PasswordHash::parse(rest.substr(0, rest.find(':')));
    if (!hash) return "user " + quoted(user) + " has " + hash.error();
    if (!users.try_emplace(std::string(user), User{std::move(*hash)}).second)
        return "user " + quoted(user) + " is there twice";
    return std::nullopt;
}

}  // namespace

std::expected<Htpasswd, std::string> Htpasswd::parse(std::string_view text, std::string_view name,
                                                     const Htpasswd* before) {
    auto users = std::make_unique<Users>();
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        if (const auto problem = add_line(line, users->by_name))
            return std::unexpected(message(name, number, *problem));
    }
    for (auto& [user, entry] : users->by_name) users->in_order.push_back(&entry);
    if (before != nullptr) {
        users->key = before->users_->key;
        for (auto& [user, entry] : users->by_name) {
            const auto* const known = before->users_->find(user);
            if (known != nullptr && known->hash == entry.hash) entry.memory = known->memory;
        }
    } else if (RAND_bytes(users->key.data(), static_cast<int>(users->key.size())) != 1) {
        return std::unexpected(std::string(name) + ": no random numbers to be had");
    }
    return Htpasswd(std::move(users));
}

std::expected<Htpasswd, std::string> Htpasswd::load(const std::filesystem::path& file, const Htpasswd* before) {
    const auto text = read_file(file, max_file_bytes + 1);
    if (!text) return std::unexpected(file.string() + ": " + text.error().why);
    if (text->size() > max_file_bytes) return std::unexpected(file.string() + ": larger than 1 MiB");
    return parse(*text, file.string(), before);
}

Htpasswd::Htpasswd(std::unique_ptr<Users> users) : users_(std::move(users)) {}
Htpasswd::~Htpasswd() = default;
Htpasswd::Htpasswd(Htpasswd&&) noexcept = default;
Htpasswd& Htpasswd::operator=(Htpasswd&&) noexcept = default;

std::size_t Htpasswd::size() const {
    return users_->in_order.size();
}

bool Htpasswd::remembers(std::string_view user, std::string_view password) const {
    if (password.size() > max_password_bytes) return false;
    const auto digest = users_->digest(user, password);
    const User* const known = users_->find(user);
    return digest && known != nullptr && known->memory->remembers(*digest);
}

bool Htpasswd::verify(std::string_view user, std::string_view password) const {
    if (password.size() > max_password_bytes) return false;
    const auto digest = users_->digest(user, password);
    const auto of_name = users_->digest(user, {});
    if (!digest || !of_name) return false;
    User* const known = users_->find(user);
    if (known != nullptr && known->memory->remembers(*digest)) return true;
    const User* const checked = known != nullptr ? known : users_->stand_in(*of_name);
    const bool right = checked != nullptr && checked->hash.matches(password);
    if (!right || known == nullptr) return false;
    known->memory->remember(*digest);
    return true;
}

}  // namespace nsboot_lb::base
