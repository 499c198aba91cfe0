#include "log_target.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <climits>

namespace nsboot_lb::observe {

namespace {

/// O_NONBLOCK: opening a FIFO without a reader must fail, not wait.
std::expected<int, std::string> open_file(const std::string& name) {
    const int descriptor =
        ::open(name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
    if (descriptor >= 0) return descriptor;
    return std::unexpected("cannot open " + name + ": " + std::generic_category().message(errno));
}

/// A descriptor of our own for the pipe or device behind `standard`, which does not wait: O_NONBLOCK on the one we were
/// given would be everybody's who has it. Nothing where it cannot be opened again.
std::optional<int> open_again(int standard) {
    const std::string link = "/proc/self/fd/" + std::to_string(standard);
    const int descriptor = ::open(link.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) return std::nullopt;
    return descriptor;
}

bool same_file(int one, int other) {
    struct stat first{};
    struct stat second{};
    if (::fstat(one, &first) != 0 || ::fstat(other, &second) != 0) return false;
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/// A pipe that polls writable has room for PIPE_BUF bytes (pipe(7)), unless somebody else fills it in between: where
/// the descriptor is not of our own, that is as far as one can get.
std::expected<std::size_t, int> write_if_ready(int descriptor, std::string_view text) {
    pollfd wanted{descriptor, POLLOUT, 0};
    if (::poll(&wanted, 1, 0) <= 0) return 0;
    if ((wanted.revents & (POLLERR | POLLNVAL)) != 0) return std::unexpected(EPIPE);
    const ssize_t written = ::write(descriptor, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (written < 0) return std::unexpected(errno);
    return static_cast<std::size_t>(written);
}

}  // namespace

LogTarget::LogTarget(std::string name, int descriptor, bool owned)
    : name_(std::move(name)), descriptor_(descriptor), owned_(owned) {
    struct stat status{};
    if (::fstat(descriptor, &status) != 0) return;
    kind_ = S_ISREG(status.st_mode) ? Kind::file : S_ISSOCK(status.st_mode) ? Kind::socket : Kind::pipe;
}

LogTarget::LogTarget(LogTarget&& other) noexcept
    : name_(std::move(other.name_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      owned_(std::exchange(other.owned_, false)),
      kind_(other.kind_) {}

LogTarget& LogTarget::operator=(LogTarget&& other) noexcept {
    if (this == &other) return *this;
    close();
    name_ = std::move(other.name_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    owned_ = std::exchange(other.owned_, false);
    kind_ = other.kind_;
    return *this;
}

LogTarget::~LogTarget() {
    close();
}

void LogTarget::close() noexcept {
    if (owned_) ::close(descriptor_);
}

LogTarget LogTarget::standard(std::string name, int descriptor) {
    LogTarget given(std::move(name), descriptor, false);
    if (given.kind_ != Kind::pipe) return given;
    const auto own = open_again(descriptor);
    return own ? LogTarget(given.name_, *own, true) : std::move(given);
}

LogTarget LogTarget::standard_error() {
    return standard("stderr", STDERR_FILENO);
}

std::expected<LogTarget, std::string> LogTarget::open(const std::string& name) {
    if (name == "stderr") return standard_error();
    if (name == "stdout") return standard("stdout", STDOUT_FILENO);
    const auto descriptor = open_file(name);
    if (!descriptor) return std::unexpected(descriptor.error());
    return LogTarget(name, *descriptor, true);
}

std::expected<bool, std::string> LogTarget::reopen() {
    if (name_ == "stdout" || name_ == "stderr") return false;
    const auto descriptor = open_file(name_);
    if (!descriptor) return std::unexpected(descriptor.error());
    const bool another = !same_file(descriptor_, *descriptor);
    *this = LogTarget(name_, *descriptor, true);
    return another;
}

std::expected<std::size_t, int> LogTarget::write_some(std::string_view text) {
    std::expected<std::size_t, int> written = 0;
    do {
        if (kind_ == Kind::pipe) {
            written = write_if_ready(descriptor_, text);
        } else {
            const ssize_t result = kind_ == Kind::socket
                                       ? ::send(descriptor_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                       : ::write(descriptor_, text.data(), text.size());
            if (result >= 0) return static_cast<std::size_t>(result);
            written = std::unexpected(errno);
        }
    } while (!written && written.error() == EINTR);
    if (!written && (written.error() == EAGAIN || written.error() == EWOULDBLOCK)) return 0;
    return written;
}

}  // namespace nsboot_lb::observe
