#include "nsboot_lb/net/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace nsboot_lb::net {

namespace {

bool blocked(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

std::size_t total_of(std::span<const iovec> pieces) {
    std::size_t total = 0;
    for (const auto& piece : pieces) total += piece.iov_len;
    return total;
}

/// The bytes of `pieces` behind the first `skip`.
std::vector<char> rest_of(std::span<const iovec> pieces, std::size_t skip) {
    std::vector<char> rest;
    rest.reserve(total_of(pieces) - skip);
    for (const auto& piece : pieces) {
        const auto skipped = std::min(skip, piece.iov_len);
        const auto* begin = static_cast<const char*>(piece.iov_base);
        rest.insert(rest.end(), begin + skipped, begin + piece.iov_len);
        skip -= skipped;
    }
    return rest;
}

}  // namespace

bool Stream::open(int descriptor, bool readable, bool writable) {
    close();
    if (source_.add(reactor_, descriptor, readable, writable)) return true;
    ::close(descriptor);
    return false;
}

IoResult Stream::read_some(std::span<char> into) {
    for (;;) {
        const auto got = ::recv(source_.descriptor(), into.data(), into.size(), 0);
        if (got > 0) {
            const auto bytes = static_cast<std::size_t>(got);
            // Less than there was room for: the socket is empty, and the next bytes make a new edge.
            if (bytes < into.size()) source_.exhausted_reads();
            return {IoStatus::ok, bytes, 0};
        }
        if (got == 0) return {IoStatus::end, 0, 0};
        if (errno == EINTR) continue;
        if (!blocked(errno)) return {IoStatus::failed, 0, errno};
        source_.would_block_reads();
        return {IoStatus::would_block, 0, 0};
    }
}

std::string_view Stream::peek(std::span<char> into) {
    const auto got = ::recv(source_.descriptor(), into.data(), into.size(), MSG_PEEK | MSG_DONTWAIT);
    return {into.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

bool Stream::quiet() {
    char byte = 0;
    if (::recv(source_.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || !blocked(errno)) return false;
    source_.would_block_reads();
    return true;
}

IoResult Stream::write_some(std::string_view bytes) {
    return send_some(bytes, 0);
}

IoResult Stream::write_last(std::string_view bytes) {
    held_back_ = true;
    return send_some(bytes, MSG_MORE);
}

IoResult Stream::send_some(std::string_view bytes, int flags) {
    for (;;) {
        const auto sent = ::send(source_.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
        if (sent >= 0) return {IoStatus::ok, static_cast<std::size_t>(sent), 0};
        if (errno == EINTR) continue;
        if (!blocked(errno)) return {IoStatus::failed, 0, errno};
        source_.would_block_writes();
        return {IoStatus::would_block, 0, 0};
    }
}

IoResult Stream::write_some(std::span<const iovec> pieces) {
    // send() is a little cheaper than sendmsg(), and most messages are one piece.
    if (pieces.size() == 1) return write_some({static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len});
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg() does not write to them
    message.msg_iovlen = pieces.size();
    for (;;) {
        const auto sent = ::sendmsg(source_.descriptor(), &message, MSG_NOSIGNAL);
        if (sent >= 0) return {IoStatus::ok, static_cast<std::size_t>(sent), 0};
        if (errno == EINTR) continue;
        if (!blocked(errno)) return {IoStatus::failed, 0, errno};
        source_.would_block_writes();
        return {IoStatus::would_block, 0, 0};
    }
}

IoResult Stream::splice_to_pipe(int pipe, std::size_t size) {
    for (;;) {
        const auto moved =
            ::splice(source_.descriptor(), nullptr, pipe, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (moved > 0) return {IoStatus::ok, static_cast<std::size_t>(moved), 0};
        if (moved == 0) return {IoStatus::end, 0, 0};
        if (errno == EINTR) continue;
        if (!blocked(errno)) return {IoStatus::failed, 0, errno};
        source_.would_block_reads();
        return {IoStatus::would_block, 0, 0};
    }
}

IoResult Stream::splice_from_pipe(int pipe, std::size_t size, bool more_follows) {
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more_follows ? SPLICE_F_MORE : 0U);
    for (;;) {
        const auto moved = ::splice(pipe, nullptr, source_.descriptor(), nullptr, size, flags);
        if (moved >= 0) return {IoStatus::ok, static_cast<std::size_t>(moved), 0};
        if (errno == EINTR) continue;
        if (!blocked(errno)) return {IoStatus::failed, 0, errno};
        source_.would_block_writes();
        return {IoStatus::would_block, 0, 0};
    }
}

void Stream::cancel() {
    source_.end_read(Ready::cancelled);
    source_.end_write(Ready::cancelled);
}

bool Stream::shutdown_write() {
    return ::shutdown(source_.descriptor(), SHUT_WR) == 0;
}

void Stream::close(bool reset) {
    read_deadline_.disarm();
    write_deadline_.disarm();
    if (!source_.registered()) return;
    const int descriptor = source_.descriptor();
    source_.remove();
    // close() alone would throw away what is held back if the peer had sent something that was not read.
    if (std::exchange(held_back_, false) && !reset) ::shutdown(descriptor, SHUT_WR);
    if (reset) {
        const linger at_once{1, 0};
        ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    ::close(descriptor);
}

Task<WriteResult> write_all(Stream& stream, std::span<const iovec> pieces, DeadlineList& limit) {
    const auto first = stream.write_some(pieces);
    if (first.status == IoStatus::failed) co_return WriteResult{false, false, first.error};
    if (first.bytes == total_of(pieces)) co_return WriteResult{};

    const auto rest = rest_of(pieces, first.bytes);
    std::string_view left{rest.data(), rest.size()};
    for (;;) {
        const auto result = stream.write_some(left);
        if (result.status == IoStatus::failed) co_return WriteResult{false, false, result.error};
        left.remove_prefix(result.bytes);
        if (left.empty()) co_return WriteResult{};
        if (result.status == IoStatus::ok) continue;
        stream.write_deadline().arm(limit);
        const auto ready = co_await stream.writable();
        stream.write_deadline().disarm();
        if (ready != Ready::ok) co_return WriteResult{false, ready == Ready::timed_out, 0};
    }
}

}  // namespace nsboot_lb::net
