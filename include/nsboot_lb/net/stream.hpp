#pragma once
/// One connected socket, of a client or of a server: non-blocking reads and writes that are tried first, and waits for
/// when they would block. One concrete type, so that nothing on the data path is behind a virtual call. It belongs to
/// whoever made it and is used on one worker only. Never moves: the reactor knows its address.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <sys/uio.h>

#include "nsboot_lb/net/deadline.hpp"
#include "nsboot_lb/net/reactor.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::net {

enum class IoStatus : std::uint8_t {
    ok,           ///< at least one byte moved
    would_block,  ///< wait, then try again
    end,          ///< the peer sent its FIN; reads only
    failed,       ///< reset, broken pipe and the like: see error
};

struct IoResult {
    IoStatus status = IoStatus::ok;
    std::size_t bytes = 0;
    int error = 0;  ///< errno of failed
};

class Stream {
  public:
    explicit Stream(Reactor& reactor)
        : reactor_(reactor), read_deadline_(&read_expired, this), write_deadline_(&write_expired, this) {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { close(); }

    /// Takes over a non-blocking connected (or connecting) descriptor, also when it fails. `readable` says that bytes
    /// may be there already.
    bool open(int descriptor, bool readable, bool writable);
    bool is_open() const { return source_.registered(); }
    int descriptor() const { return source_.descriptor(); }
    Source& source() { return source_; }
    Reactor& reactor() { return reactor_; }

    /// Reads what is there, at most `into.size()` bytes.
    IoResult read_some(std::span<char> into);
    /// Writes what the kernel takes at once.
    IoResult write_some(std::string_view bytes);
    IoResult write_some(std::span<const iovec> pieces);
    /// The last bytes before close(): held back until then, so that the FIN rides with them in one segment. What the
    /// kernel does not take at once is still to be written.
    IoResult write_last(std::string_view bytes);

    /// The first bytes of what is there, which stay there. Nothing if there is nothing, or the connection has ended.
    std::string_view peek(std::span<char> into);
    /// Whether nothing is there to read, not even the peer's FIN. Asks the kernel (one system call).
    bool quiet();

    /// Moves up to `size` bytes from this socket into a pipe, without copying them.
    IoResult splice_to_pipe(int pipe, std::size_t size);
    /// Moves up to `size` bytes from a pipe into this socket.
    IoResult splice_from_pipe(int pipe, std::size_t size, bool more_follows);

    /// Until reading may be tried, or the read deadline expires, or cancel().
    Source::Wait readable() { return source_.wait_readable(); }
    Source::Wait writable() { return source_.wait_writable(); }

    /// What ends the waits. They stay armed until disarmed, over as many waits as that takes.
    Deadline& read_deadline() { return read_deadline_; }
    Deadline& write_deadline() { return write_deadline_; }

    /// Ends the waits of both directions with Ready::cancelled.
    void cancel();
    void cancel_read() { source_.end_read(Ready::cancelled); }

    /// No more bytes from us: the peer reads to the end. False if the connection is gone already.
    bool shutdown_write();
    /// Closes. With `reset` the peer gets a RST, so that it cannot take a message that was cut short for a whole one.
    void close(bool reset = false);

  private:
    static void read_expired(void* self) { static_cast<Stream*>(self)->source_.end_read(Ready::timed_out); }
    static void write_expired(void* self) { static_cast<Stream*>(self)->source_.end_write(Ready::timed_out); }

    IoResult send_some(std::string_view bytes, int flags);

    Reactor& reactor_;
    bool held_back_ = false;  ///< bytes of write_last() wait for the FIN
    Source source_;
    Deadline read_deadline_;
    Deadline write_deadline_;
};

/// Writes all of the pieces, waiting as often as it takes; each wait is bounded by `limit`. What the first attempt does
/// not take is copied, so the pieces need to live only until the call's first suspension. Usually nothing suspends.
/// ok, timed out, or failed.
struct WriteResult {
    bool ok = true;
    bool timed_out = false;
    int error = 0;
};
Task<WriteResult> write_all(Stream& stream, std::span<const iovec> pieces, DeadlineList& limit);

}  // namespace nsboot_lb::net
