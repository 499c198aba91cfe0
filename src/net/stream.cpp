#include "nsboot_lb/net/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "nsboot_lb/net/descriptors.hpp"
#include "system_calls.hpp"

namespace nsboot_lb::net {

namespace {

bool blocked(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

/// 0 where the kernel does not say.
std::uint64_t ask(int descriptor, unsigned long what) {
    int bytes = 0;
    return ::ioctl(descriptor, what, &bytes) == 0 && bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

}  // namespace

bool Stream::open(int descriptor, bool readable, bool writable) {
    close();
    peer_closed_ = false;
    broken_ = false;
    write_shut_ = false;
    reset_ = false;
    written_bytes_ = 0;
    unsent_limit_ = 0;
    if (!add(reactor_, descriptor)) {
        ::close(descriptor);
        return false;
    }
    opened_descriptors(1);
    if (readable) read_.set();
    if (writable) write_.set();
    return true;
}

void Stream::on_events(std::uint32_t events) {
    constexpr std::uint32_t gone = EPOLLERR | EPOLLHUP;
    // Both sides have sent their FIN: what lies unread can still be read. A unix peer that is gone shows just that.
    const bool all_said = (events & EPOLLHUP) != 0 && (events & EPOLLERR) == 0 && write_shut_;
    if ((events & gone) != 0 && !all_said) broken_ = true;
    if ((events & (EPOLLRDHUP | gone)) != 0) peer_closed_ = true;
    if ((events & (EPOLLIN | EPOLLRDHUP | gone)) != 0) read_.set();
    if ((events & (EPOLLOUT | gone)) != 0) write_.set();
    if (observer_ != nullptr) observer_->on_event(*this);
}

IoResult Stream::try_read(std::span<char> into) {
    if (reactor_.turn_over()) return {IoStatus::would_block, 0, 0};
    for (;;) {
        const auto got = receive(descriptor(), into.data(), into.size(), 0);
        reactor_.worked(got > 0 ? static_cast<std::size_t>(got) : 0);
        if (got > 0) {
            const auto bytes = static_cast<std::size_t>(got);
            // Less than there was room for: the socket is empty but for a FIN, and the next bytes make a new edge.
            if (bytes < into.size() && !peer_closed_) read_.clear();
            return {IoStatus::ok, bytes, 0};
        }
        if (got == 0) return ended();
        if (errno == EINTR) continue;
        if (!blocked(errno)) return {IoStatus::failed, 0, errno};
        read_.clear();
        return {IoStatus::would_block, 0, 0};
    }
}

/// Nothing more comes. Behind a reset that is no end: what was cut short must not look whole.
IoResult Stream::ended() const {
    if (reset_) return {IoStatus::failed, 0, ECONNRESET};
    return {IoStatus::end, 0, 0};
}

std::string_view Stream::peek(std::span<char> into) {
    reactor_.worked(0);
    const auto got = receive(descriptor(), into.data(), into.size(), MSG_PEEK | MSG_DONTWAIT);
    return {into.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

bool Stream::quiet() {
    char byte = 0;
    reactor_.worked(0);
    if (receive(descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || !blocked(errno)) return false;
    read_.clear();
    return true;
}

/// What a system call that writes came to. EINTR does not happen to non-blocking sockets (signal(7)), and would count
/// as the end of the try.
IoResult Stream::written(ssize_t bytes) {
    reactor_.worked(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    if (bytes >= 0) {
        written_bytes_ += static_cast<std::uint64_t>(bytes);
        return {IoStatus::ok, static_cast<std::size_t>(bytes), 0};
    }
    if (errno == EINTR) return {IoStatus::ok, 0, 0};
    reset_ = reset_ || errno == ECONNRESET;
    if (!blocked(errno)) return {IoStatus::failed, 0, errno};
    write_.clear();
    return {IoStatus::would_block, 0, 0};
}

IoResult Stream::try_write(std::string_view bytes) {
    return written(transmit(descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

IoResult Stream::try_write_last(std::string_view bytes) {
    held_back_ = true;
    return written(transmit(descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_MORE));
}

IoResult Stream::try_write(std::span<const iovec> pieces) {
    // send() is a little cheaper than sendmsg(), and most messages are one piece.
    if (pieces.size() == 1)
        return try_write(std::string_view{static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len});
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg() does not write to them
    message.msg_iovlen = pieces.size();
    return written(::sendmsg(descriptor(), &message, MSG_NOSIGNAL));
}

IoResult Stream::splice_to_pipe(int pipe, std::size_t size) {
    if (reactor_.turn_over()) return {IoStatus::would_block, 0, 0};
    for (;;) {
        const auto moved = ::splice(descriptor(), nullptr, pipe, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        reactor_.worked(moved > 0 ? static_cast<std::size_t>(moved) : 0);
        if (moved > 0) return {IoStatus::ok, static_cast<std::size_t>(moved), 0};
        if (moved == 0) return ended();
        if (errno == EINTR) continue;
        if (!blocked(errno)) return {IoStatus::failed, 0, errno};
        read_.clear();
        return {IoStatus::would_block, 0, 0};
    }
}

IoResult Stream::splice_from_pipe(int pipe, std::size_t size) {
    return written(::splice(pipe, nullptr, descriptor(), nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

std::uint64_t Stream::acknowledged_bytes() const {
    return written_bytes_ - ask(descriptor(), SIOCOUTQ);
}

void Stream::limit_unsent(std::size_t bytes) {
    if (unsent_limit_ != 0) return;
    const int limit = static_cast<int>(std::min<std::size_t>(bytes, INT32_MAX));
    // Of a unix socket that means nothing: its buffer is small and fixed.
    if (::setsockopt(descriptor(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &limit, sizeof limit) == 0)
        unsent_limit_ = static_cast<std::uint32_t>(limit);
}

void Stream::lift_unsent_limit() {
    constexpr int as_usual = 0;
    ::setsockopt(descriptor(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &as_usual, sizeof as_usual);
    unsent_limit_ = 0;
}

std::size_t Stream::unsent_room() const {
    if (unsent_limit_ == 0) return SIZE_MAX;
    const auto unsent = ask(descriptor(), SIOCOUTQNSD);
    return unsent_limit_ > unsent ? static_cast<std::size_t>(unsent_limit_ - unsent) : 0;
}

bool Stream::shutdown_write() {
    write_shut_ = true;
    return ::shutdown(descriptor(), SHUT_WR) == 0;
}

void Stream::close(bool reset) {
    observer_ = nullptr;
    read_.abandon();
    write_.abandon();
    if (!registered()) return;
    const int open = descriptor();
    remove();
    closed_descriptors(1);
    // close() alone would throw away what is held back if the peer had sent something that was not read.
    if (std::exchange(held_back_, false) && !reset) ::shutdown(open, SHUT_WR);
    if (reset) {
        const linger at_once{1, 0};
        ::setsockopt(open, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    ::close(open);
}

Task<Ready> wait_writable(Stream& stream, Scope& scope, DeadlineList& limit) {
    auto& deadline = stream.writable().deadline();
    for (auto before = stream.acknowledged_bytes();;) {
        deadline.arm(limit);
        const auto ready = co_await stream.writable().wait(scope);
        deadline.disarm();
        if (ready != Ready::timed_out) co_return ready;
        const auto now = stream.acknowledged_bytes();
        if (now == before) co_return ready;
        before = now;
    }
}

Task<WriteResult> write_all(Stream& stream, Scope& scope, std::string_view bytes, DeadlineList& limit) {
    auto result = stream.try_write(bytes);
    if (result.status == IoStatus::failed) co_return WriteResult{.ok = false};
    if (result.bytes == bytes.size()) co_return WriteResult{};

    const std::string rest{bytes.substr(result.bytes)};
    for (std::string_view left = rest; !left.empty();) {
        const auto ready = co_await wait_writable(stream, scope, limit);
        if (ready != Ready::ok)
            co_return WriteResult{
                .ok = false, .timed_out = ready == Ready::timed_out, .cancelled = ready == Ready::cancelled};
        result = stream.try_write(left);
        if (result.status == IoStatus::failed) co_return WriteResult{.ok = false};
        left.remove_prefix(result.bytes);
    }
    co_return WriteResult{};
}

}  // namespace nsboot_lb::net
