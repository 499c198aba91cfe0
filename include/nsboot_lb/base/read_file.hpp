#pragma once
/// Files that are read because a configuration names them. Such a name may lead anywhere: whatever is no regular file
/// (nor /dev/null), and might keep its reader waiting or never end, is refused. Any thread.
#include <cstddef>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>

namespace nsboot_lb::base {

struct FileError {
    std::string why;   ///< "Permission denied", "it is a FIFO"
    std::string hint;  ///< what to do where the kind of the file says so; else empty
    int number = 0;    ///< errno; 0 for a file of a kind that is not read
};

/// The file from its beginning: all of it, or its first `most_bytes` bytes.
std::expected<std::string, FileError> read_file(const std::filesystem::path& file, std::size_t most_bytes);

/// Why read_file() could not open it; nothing if it can.
std::optional<FileError> why_unreadable(const std::filesystem::path& file);

}  // namespace nsboot_lb::base
