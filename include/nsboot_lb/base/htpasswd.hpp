#pragma once
/// The users of an htpasswd file, read once with the configuration and part of a Snapshot. Any thread may ask; what is
/// shared between them is, for each user, a keyed digest of the password that was last found right. No password is
/// kept. What is remembered of a user survives a reload for as long as the user's hash stays the same.
#include <cstddef>
#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace nsboot_lb::base {

/// A line is USER:HASH; empty lines and lines that begin with # are skipped, as is what follows a second colon. Hashes
/// are bcrypt ($2y$, $2a$, $2b$), SHA-crypt ($5$, $6$), Apache's MD5 ($apr1$) and {SHA}; plain text is refused.
class Htpasswd {
  public:
    static constexpr std::size_t max_file_bytes = 1024 * 1024;
    /// A longer password is wrong without a look.
    static constexpr std::size_t max_password_bytes = 512;

    /// An error reads "FILE:LINE: what is wrong" and never shows a password. Reads from disk: not for an event loop.
    /// Shares with `before`, an earlier reading, what is remembered of users who have the same hash there.
    static std::expected<Htpasswd, std::string> load(const std::filesystem::path& file,
                                                     const Htpasswd* before = nullptr);
    /// The same for text in memory; `name` stands for the file.
    static std::expected<Htpasswd, std::string> parse(std::string_view text, std::string_view name,
                                                      const Htpasswd* before = nullptr);

    ~Htpasswd();
    Htpasswd(Htpasswd&&) noexcept;
    Htpasswd& operator=(Htpasswd&&) noexcept;

    /// Whether verify() has found this pair right before. Takes microseconds: an event loop asks this first.
    bool remembers(std::string_view user, std::string_view password) const;

    /// Whether this is the user's password. Unless remembered it costs what the hash was made to cost, which for bcrypt
    /// is milliseconds to a second: not for an event loop. An unknown user costs the same work as a known one.
    bool verify(std::string_view user, std::string_view password) const;

    std::size_t size() const;

  private:
    struct Users;
    explicit Htpasswd(std::unique_ptr<Users> users);
    std::unique_ptr<Users> users_;
};

}  // namespace nsboot_lb::base
