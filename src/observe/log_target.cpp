#include "log_target.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
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

/// stdout belongs to others too, so it cannot be made non-blocking; but a pipe that polls writable has room for
/// PIPE_BUF bytes (pipe(7)).
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

LogTarget LogTarget::standard_error() {
    return LogTarget("stderr", STDERR_FILENO, false);
}

std::expected<LogTarget, std::string> LogTarget::open(const std::string& name) {
    if (name == "stderr") return standard_error();
    if (name == "stdout") return LogTarget("stdout", STDOUT_FILENO, false);
    const auto descriptor = open_file(name);
    if (!descriptor) return std::unexpected(descriptor.error());
    return LogTarget(name, *descriptor, true);
}

std::expected<void, std::string> LogTarget::reopen() {
    if (!owned_) return {};
    const auto descriptor = open_file(name_);
    if (!descriptor) return std::unexpected(descriptor.error());
    *this = LogTarget(name_, *descriptor, true);
    return {};
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
