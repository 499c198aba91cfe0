#include "files.hpp"

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <unistd.h>

#include "nsboot_lb/base/htpasswd.hpp"
#include "nsboot_lb/base/read_file.hpp"
#include "texts.hpp"

namespace nsboot_lb::config {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_secret_bytes = 1UZ << 20;

std::string reason(int error) {
    return std::generic_category().message(error);
}

std::string hint_for(int error, std::string_view right) {
    if (error == ENOENT) return "make it, or name another";
    if (error == ENOTDIR) return "name another";
    if (error == EACCES) return "give the daemon's user the right to " + std::string(right);
    return {};
}

/// Opening is the test: a mode's bits do not tell what access control lists and read-only mounts allow.
bool check_readable(const Node& at, const std::string& what, const std::string& path, Reader& reader) {
    const auto unreadable = base::why_unreadable(path);
    if (!unreadable) return true;
    const auto& [why, hint, number] = *unreadable;
    if (number == EISDIR)
        reader.error(at, "the " + what + " " + path + " is a directory", hint);
    else
        reader.error(at, "cannot read the " + what + " " + path + ": " + why,
                     hint.empty() ? hint_for(number, "read it") : hint);
    return false;
}

void check_passwords(const Node& at, const std::string& path, Reader& reader) {
    const auto users = base::Htpasswd::load(path);
    if (!users)
        reader.error(at, users.error());
    else if (users->size() == 0)
        reader.problems().warning(at.mark, "file: the password file " + path + " names no user, so nobody gets in",
                                  "add one with htpasswd -B");
}

/// Line ends behind it do not count.
void check_key(const Node& at, const std::string& path, Reader& reader) {
    const auto key = base::read_file(path, max_secret_bytes);
    if (!key || key->find_first_not_of("\r\n") == std::string::npos)
        reader.error(at, "the key file " + path + " is empty", "put a secret into it");
}

/// Only a warning: it is read again at each change, and may be filled in at any time.
void check_token(const Node& at, const std::string& path, Reader& reader) {
    const auto text = base::read_file(path, max_secret_bytes).value_or("");
    if (text.substr(0, text.find('\n')).find_first_not_of(" \t\r") == std::string::npos)
        reader.problems().warning(at.mark,
                                  "token_file: the first line of " + path + " is empty, so nobody can change anything",
                                  "put a token into it");
}

/// Whether files can be made in the directory of `path`.
bool check_directory(const Node& at, const std::string& path, Reader& reader) {
    const auto directory = fs::path(path).parent_path().string();
    std::error_code ignored;
    const bool is_other = fs::exists(directory, ignored) && !fs::is_directory(directory, ignored);
    if (!is_other && ::access(directory.c_str(), W_OK | X_OK) == 0) return true;
    const int error = is_other ? ENOTDIR : errno;
    reader.error(at, "cannot write in the directory " + directory + ": " + reason(error),
                 hint_for(error, "write there"));
    return false;
}

void check_writable(const Node& at, const std::string& path, Reader& reader) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
        reader.error(at, path + " is a directory", "name a file in it");
    } else if (!fs::exists(path, ignored)) {
        check_directory(at, path, reader);
    } else if (::access(path.c_str(), W_OK) != 0) {
        const int error = errno;
        reader.error(at, "cannot write to " + path + ": " + reason(error), hint_for(error, "write to it"));
    }
}

std::optional<base::UnitError> check_path_text(std::string_view text) {
    if (text.empty()) return base::UnitError{"the path is empty", "name a file"};
    return check_printable(text);
}

/// `check` complains of what is in it.
Codec<std::string> input_file(std::string what, void (*check)(const Node&, const std::string&, Reader&)) {
    auto codec = text_or_empty("a file", check_path_text);
    codec.read = [read = std::move(codec.read), what = std::move(what), check](const Node& node, std::string& path,
                                                                               Reader& reader) {
        std::string given;
        read(node, given, reader);
        if (given.empty()) return;
        path = reader.resolve(node, given);
        if (reader.may_touch_files() && check_readable(node, what, path, reader)) check(node, path, reader);
    };
    return codec;
}

}  // namespace

Codec<std::string> password_file() {
    return input_file("password file", check_passwords);
}

Codec<std::string> key_file() {
    return input_file("key file", check_key);
}

Codec<std::string> token_file() {
    return input_file("token file", check_token);
}

Codec<std::string> log_target() {
    static constexpr std::array<std::string_view, 2> streams{"stdout", "stderr"};
    auto codec = text("stdout, stderr or a file", check_path_text);
    codec.read = [read = std::move(codec.read)](const Node& node, std::string& target, Reader& reader) {
        std::string given;
        read(node, given, reader);
        if (given.empty()) return;
        if (given == streams[0] || given == streams[1]) {
            target = given;
            return;
        }
        if (const auto meant = nearest(given, streams); meant && !given.contains('/')) {
            reader.error(node, "unknown target '" + given + "'",
                         "did you mean '" + std::string(*meant) + "'? A file of that name is written ./" + given);
            return;
        }
        target = reader.resolve(node, given);
        if (reader.may_touch_files()) check_writable(node, target, reader);
    };
    return codec;
}

void check_socket_path(const Node& at, const std::string& path, Reader& reader) {
    if (!reader.may_touch_files()) return;
    std::error_code ignored;
    const auto status = fs::status(path, ignored);
    if (fs::exists(status) && !fs::is_socket(status))
        reader.error(at, path + " is there and is no socket", "remove it, or name another path");
    else
        check_directory(at, path, reader);
}

}  // namespace nsboot_lb::config
