#include "wire.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace nsboot_lb::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t block_size_bytes = 256 * 1024;

bool has_body(const Message& message, Kind kind) {
    if (kind == Kind::response_to_head) return false;
    if (kind == Kind::request) return true;
    const int status = message.status();
    return status >= 200 && status != 204 && status != 304;
}

}  // namespace

std::string_view to_string(End end) {
    switch (end) {
        case End::open: return "open";
        case End::closed: return "closed";
        case End::reset: return "reset";
    }
    return "?";
}

Wire::Wire(Wire&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), pending_(std::move(other.pending_)), end_(other.end_) {}

Wire::~Wire() {
    close();
}

void Wire::give_up(std::string_view awaited) const {
    throw Failure("gave up waiting for " + std::string{awaited} + "; received and not taken: \"" + escaped(pending_) +
                  "\", connection " + std::string{to_string(end_)});
}

bool Wire::wait(short events, std::chrono::milliseconds time) const {
    const auto deadline = Clock::now() + time;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd polled{descriptor_, events, 0};
        const int ready = ::poll(&polled, 1, static_cast<int>(std::max(left.count(), decltype(left)::rep{0})));
        if (ready > 0) return true;
        if (ready == 0) return false;
        if (errno != EINTR) throw Failure(std::string{"poll: "} + std::strerror(errno));
    }
}

bool Wire::send_urgent(char byte) {
    return ::send(descriptor_, &byte, 1, MSG_OOB | MSG_NOSIGNAL) == 1;
}

bool Wire::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            if (!wait(POLLOUT, patience)) give_up("the other side to take bytes");
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

std::size_t Wire::send_until_stuck(std::string_view bytes, std::chrono::milliseconds quiet) {
    std::size_t taken = 0;
    while (taken < bytes.size()) {
        const auto sent = ::send(descriptor_, bytes.data() + taken, bytes.size() - taken, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            taken += static_cast<std::size_t>(sent);
        } else if (errno != EINTR && (errno != EAGAIN || !wait(POLLOUT, quiet))) {
            break;
        }
    }
    return taken;
}

void Wire::dribble(std::string_view bytes, std::size_t piece, std::chrono::milliseconds pause) {
    while (!bytes.empty()) {
        if (!send(bytes.substr(0, piece)) || readable_within(pause)) return;
        bytes.remove_prefix(std::min(piece, bytes.size()));
    }
}

/// Receives once, waiting as long as `patience`. False at the end of the stream.
bool Wire::fill() {
    if (end_ != End::open || descriptor_ < 0) return false;
    static thread_local std::array<char, block_size_bytes> block;
    while (true) {
        const auto count = ::recv(descriptor_, block.data(), block.size(), MSG_DONTWAIT);
        if (count > 0) {
            pending_.append(block.data(), static_cast<std::size_t>(count));
            return true;
        }
        if (count == 0) {
            end_ = End::closed;
            return false;
        }
        if (errno == EAGAIN) {
            if (!wait(POLLIN, patience)) give_up("bytes or an end");
        } else if (errno != EINTR) {
            end_ = End::reset;
            return false;
        }
    }
}

std::size_t Wire::sip(std::size_t count) {
    std::string taken(count, '\0');
    const auto got = ::recv(descriptor_, taken.data(), taken.size(), MSG_DONTWAIT);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) end_ = End::closed;
    if (got < 0 && errno != EAGAIN && errno != EINTR) end_ = End::reset;
    return 0;
}

bool Wire::readable_within(std::chrono::milliseconds time) {
    return !pending_.empty() || end_ != End::open || wait(POLLIN, time);
}

bool Wire::await_readable() {
    if (!pending_.empty() || end_ != End::open) return !pending_.empty();
    pollfd polled{descriptor_, POLLIN, 0};
    while (::poll(&polled, 1, -1) < 0 && errno == EINTR) {
    }
    char octet = 0;
    return ::recv(descriptor_, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool Wire::has_input() {
    const std::lock_guard lock{descriptor_mutex_};
    pollfd polled{descriptor_, POLLIN, 0};
    return descriptor_ >= 0 && ::poll(&polled, 1, 0) > 0;
}

/// Moves `count` bytes, or all there are before the end, from the stream to `to`.
bool Wire::take(std::size_t count, std::string& to) {
    while (true) {
        const auto taken = std::min(count, pending_.size());
        to.append(pending_, 0, taken);
        pending_.erase(0, taken);
        count -= taken;
        if (count == 0) return true;
        if (!fill()) return false;
    }
}

bool Wire::receive_line(std::string& line, std::string& raw) {
    std::size_t end = 0;
    while ((end = pending_.find("\r\n")) == pending_.npos) {
        if (!fill()) return false;
    }
    line = pending_.substr(0, end);
    raw.append(pending_, 0, end + 2);
    pending_.erase(0, end + 2);
    return true;
}

Message Wire::receive_head(Kind kind) {
    Message message;
    std::size_t end = 0;
    while ((end = pending_.find("\r\n\r\n")) == pending_.npos) {
        if (fill()) continue;
        message.raw = std::exchange(pending_, {});
        return message;
    }
    message.raw = pending_.substr(0, end + 4);
    pending_.erase(0, end + 4);
    parse_head(message, message.raw);
    if (has_body(message, kind)) {
        if (message.has("Transfer-Encoding")) {
            message.framing = Framing::chunked;
        } else if (message.has("Content-Length")) {
            message.framing = Framing::length;
        } else if (kind == Kind::response) {
            message.framing = Framing::close;
        }
    }
    return message;
}

Message Wire::receive_message(Kind kind) {
    Message message = receive_head(kind);
    if (!message.start_line.empty()) receive_body(message);
    return message;
}

void Wire::receive_body(Message& message) {
    switch (message.framing) {
        case Framing::none: message.complete = true; break;
        case Framing::chunked: receive_chunked(message); break;
        case Framing::close: receive_to_end(message); break;
        case Framing::length: {
            const std::string digits = message.field("Content-Length");
            std::size_t length = 0;
            std::from_chars(digits.data(), digits.data() + digits.size(), length);
            message.complete = take(length, message.body);
            message.raw += message.body;
            break;
        }
    }
}

void Wire::receive_to_end(Message& message) {
    while (fill()) {
    }
    message.raw += pending_;
    message.body = std::exchange(pending_, {});
    message.complete = end_ == End::closed;
}

void Wire::receive_chunked(Message& message) {
    std::string line;
    while (receive_line(line, message.raw)) {
        message.chunk_lines.push_back(line);
        std::size_t size = 0;
        const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
        if (error != std::errc{}) return;
        if (size == 0) break;
        std::string data;
        std::string ending;
        const bool whole = take(size, data) && take(2, ending);
        message.body += data;
        message.raw += data + ending;
        if (!whole || ending != "\r\n") return;
    }
    while (receive_line(line, message.raw)) {
        if (line.empty()) {
            message.complete = true;
            return;
        }
        Message section;
        parse_head(section, "\r\n" + line + "\r\n\r\n");
        message.trailers.insert(message.trailers.end(), section.fields.begin(), section.fields.end());
    }
}

std::string Wire::receive_until(std::string_view mark) {
    std::size_t at = 0;
    while ((at = pending_.find(mark)) == pending_.npos) {
        if (!fill()) give_up("\"" + escaped(mark) + "\"");
    }
    std::string bytes = pending_.substr(0, at + mark.size());
    pending_.erase(0, bytes.size());
    return bytes;
}

std::string Wire::receive_exactly(std::size_t count) {
    std::string bytes;
    if (!take(count, bytes)) {
        pending_ = bytes;
        give_up(std::to_string(count) + " bytes");
    }
    return bytes;
}

End Wire::await_end() {
    while (fill()) {
    }
    return end_;
}

void Wire::half_close() {
    ::shutdown(descriptor_, SHUT_WR);
}

void Wire::close() {
    const std::lock_guard lock{descriptor_mutex_};
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

void Wire::reset() {
    const linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

void Wire::interrupt() {
    const std::lock_guard lock{descriptor_mutex_};
    if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_RDWR);
}

}  // namespace nsboot_lb::test
