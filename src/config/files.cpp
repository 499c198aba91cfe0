#include "files.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>

#include "texts.hpp"

namespace nsboot_lb::config {

namespace {

namespace fs = std::filesystem;

std::string reason(int error) {
    return std::generic_category().message(error);
}

/// Opening is the test: a mode's bits do not tell what access control lists and read-only mounts allow.
void check_readable(const Node& at, const std::string& what, const std::string& path, Reader& reader) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
        reader.error(at, "the " + what + " " + path + " is a directory", "name a file in it");
        return;
    }
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        reader.error(at, "cannot read the " + what + " " + path + ": " + reason(errno));
    else
        ::close(file);
}

/// Whether files can be made in the directory of `path`.
bool check_directory(const Node& at, const std::string& path, Reader& reader) {
    const auto directory = fs::path(path).parent_path().string();
    if (::access(directory.c_str(), W_OK | X_OK) == 0) {
        std::error_code ignored;
        if (fs::is_directory(directory, ignored)) return true;
        errno = ENOTDIR;
    }
    const int error = errno;
    reader.error(at, "cannot write in the directory " + directory + ": " + reason(error),
                 error == ENOENT ? "make it, or name another" : "");
    return false;
}

void check_writable(const Node& at, const std::string& path, Reader& reader) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
        reader.error(at, path + " is a directory", "name a file in it");
    } else if (!fs::exists(path, ignored)) {
        check_directory(at, path, reader);
    } else if (::access(path.c_str(), W_OK) != 0) {
        reader.error(at, "cannot write to " + path + ": " + reason(errno));
    }
}

std::optional<base::UnitError> check_path_text(std::string_view text) {
    if (text.empty()) return base::UnitError{"the path is empty", "name a file"};
    return check_printable(text);
}

}  // namespace

Codec<std::string> input_file(std::string what) {
    auto codec = text_or_empty("a file", check_path_text);
    codec.read = [read = std::move(codec.read), what = std::move(what)](const Node& node, std::string& path,
                                                                        Reader& reader) {
        std::string given;
        read(node, given, reader);
        if (given.empty()) return;
        path = reader.resolve(node, given);
        if (reader.may_touch_files()) check_readable(node, what, path, reader);
    };
    return codec;
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
