#include "nsboot_lb/base/read_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace nsboot_lb::base {

namespace {

FileError failure(int number) {
    return {.why = std::generic_category().message(number), .hint = {}, .number = number};
}

const char* kind_of(mode_t mode) {
    if (S_ISFIFO(mode)) return "FIFO";
    if (S_ISSOCK(mode)) return "socket";
    return "device";
}

/// /dev/null, which people give for an empty file.
bool is_null_device(const struct stat& file) {
    return S_ISCHR(file.st_mode) && file.st_rdev == makedev(1, 3);
}

std::optional<FileError> wrong_kind(const struct stat& file) {
    if (S_ISREG(file.st_mode) || is_null_device(file)) return std::nullopt;
    if (S_ISDIR(file.st_mode)) {
        auto error = failure(EISDIR);
        error.hint = "name a file in it";
        return error;
    }
    return FileError{.why = std::string{"it is a "} + kind_of(file.st_mode), .hint = "name a regular file"};
}

class OpenFile {
  public:
    explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
    OpenFile(OpenFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    OpenFile& operator=(OpenFile&&) = delete;
    ~OpenFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

std::expected<OpenFile, FileError> open_regular(const std::filesystem::path& name) {
    struct stat file{};
    // Before it is opened, which means something to a device and to who waits at a FIFO.
    if (::stat(name.c_str(), &file) != 0) return std::unexpected{failure(errno)};
    if (auto wrong = wrong_kind(file)) return std::unexpected{std::move(*wrong)};
    // And behind, since it may be another by now.
    OpenFile opened{::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (opened.get() < 0 || ::fstat(opened.get(), &file) != 0) return std::unexpected{failure(errno)};
    if (auto wrong = wrong_kind(file)) return std::unexpected{std::move(*wrong)};
    return opened;
}

}  // namespace

std::expected<std::string, FileError> read_file(const std::filesystem::path& file, std::size_t most_bytes) {
    const auto opened = open_regular(file);
    if (!opened) return std::unexpected{opened.error()};
    static constexpr std::size_t step_bytes = 64UZ << 10;
    std::string text;
    while (text.size() < most_bytes) {
        const auto before = text.size();
        text.resize(before + std::min(step_bytes, most_bytes - before));
        const auto count = ::read(opened->get(), text.data() + before, text.size() - before);
        const int error = errno;
        text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count == 0) break;
        if (count < 0 && error != EINTR) return std::unexpected{failure(error)};
    }
    return text;
}

std::optional<FileError> why_unreadable(const std::filesystem::path& file) {
    auto opened = open_regular(file);
    if (opened) return std::nullopt;
    return std::move(opened.error());
}

}  // namespace nsboot_lb::base
