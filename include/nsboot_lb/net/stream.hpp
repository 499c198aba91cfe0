#pragma once
/// One connected socket, of a client or of a server: non-blocking reads and writes that are tried first, and two
/// Readinesses for when they would block. What is known of the socket's state is kept in here and is nobody else's
/// business: a stream that is encrypted would be another inside. One concrete type, so that nothing on the data path is
/// behind a virtual call. It belongs to whoever made it and is used on one worker only. Never moves: the reactor knows
/// its address.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <sys/uio.h>

#include "nsboot_lb/net/deadline.hpp"
#include "nsboot_lb/net/reactor.hpp"
#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/net/wait.hpp"

namespace nsboot_lb::net {

enum class IoStatus : std::uint8_t {
    ok,           ///< at least one byte moved
    would_block,  ///< wait, then try again: nothing is there, or it is the others' turn
    end,          ///< the peer sent its FIN; reads only
    failed,       ///< reset, broken pipe and the like: see error
};

struct IoResult {
    IoStatus status = IoStatus::ok;
    std::size_t bytes = 0;
    int error = 0;  ///< errno of failed
};

class Stream final : private Source {
  public:
    /// Told of what happens to the connection while its owner does something else: an idle server closes, a client
    /// leaves while its answer is being made. Called while events are recorded: it cancels, wakes, or destroys the
    /// stream.
    class Observer {
      public:
        virtual void on_event(Stream& stream) = 0;

      protected:
        ~Observer() = default;
    };

    explicit Stream(Reactor& reactor) : reactor_(reactor), read_(reactor), write_(reactor) {}
    ~Stream() override { close(); }

    /// Takes over a non-blocking connected (or connecting) descriptor, also when it fails. `readable` says that bytes
    /// may be there already.
    bool open(int descriptor, bool readable, bool writable);
    bool is_open() const { return registered(); }
    using Source::descriptor;
    Reactor& reactor() { return reactor_; }

    /// Reads what is there, at most `into.size()` bytes.
    IoResult try_read(std::span<char> into);
    /// Writes what the kernel takes at once. What is begun is finished: a write is tried also at the end of a turn.
    IoResult try_write(std::string_view bytes);
    IoResult try_write(std::span<const iovec> pieces);
    /// The last bytes before close(): held back until then, so that the FIN rides with them in one segment. What the
    /// kernel does not take at once is still to be written.
    IoResult try_write_last(std::string_view bytes);

    /// The first bytes of what is there, which stay there. Nothing if there is nothing, or the connection has ended.
    std::string_view peek(std::span<char> into);
    /// Whether nothing is there to read, not even the peer's FIN. Asks the kernel (one system call).
    bool quiet();

    /// Moves up to `size` bytes from this socket into a pipe, without copying them.
    IoResult splice_to_pipe(int pipe, std::size_t size);
    /// Moves up to `size` bytes from a pipe into this socket.
    IoResult splice_from_pipe(int pipe, std::size_t size);

    Readiness& readable() { return read_; }
    Readiness& writable() { return write_; }
    /// Something was there to read, as far as was heard, and has not been read to its end.
    bool has_input() const { return read_.ready(); }
    /// The peer has sent its FIN, perhaps behind bytes still to be read.
    bool peer_closed() const { return peer_closed_; }
    /// The connection is gone in both directions or has an error.
    bool broken() const { return broken_; }
    void observe(Observer* observer) { observer_ = observer; }

    /// Bytes written that the peer has acknowledged, for comparing: it grows while the peer takes something, whatever
    /// lies in the kernel. Of a unix socket what lies there counts with its overhead, so the number may begin below
    /// zero. One system call (SIOCOUTQ).
    std::uint64_t acknowledged_bytes() const;
    /// Bounds what lies unsent in the kernel, from now on, so that a slow reader does not hold megabytes of it
    /// (TCP_NOTSENT_LOWAT); how much that leaves room for now says unsent_room().
    void limit_unsent(std::size_t bytes);
    void lift_unsent_limit();
    bool unsent_is_limited() const { return unsent_limit_ != 0; }
    std::size_t unsent_room() const;

    /// No more bytes from us: the peer reads to the end. False if the connection is gone already.
    bool shutdown_write();
    /// Closes; waits end as cancelled. With `reset` the peer gets a RST, so that it cannot take a message that was cut
    /// short for a whole one.
    void close(bool reset = false);

  private:
    void on_events(std::uint32_t events) override;
    IoResult written(ssize_t bytes);
    IoResult ended() const;

    Reactor& reactor_;
    Observer* observer_ = nullptr;
    Readiness read_;
    Readiness write_;
    std::uint64_t written_bytes_ = 0;
    std::uint32_t unsent_limit_ = 0;  ///< 0 = none
    bool peer_closed_ = false;
    bool broken_ = false;
    bool write_shut_ = false;
    bool reset_ = false;      ///< a write was told; the kernel does not tell it to reads a second time
    bool held_back_ = false;  ///< bytes of try_write_last() wait for the FIN
};

/// Writes all of the bytes, waiting as often as it takes. Progress is what the peer acknowledges: it fails as timed out
/// when that was nothing for the duration of `limit`. The bytes need to live only until the call's first suspension.
struct WriteResult {
    bool ok = true;
    bool timed_out = false;
    bool cancelled = false;
};
Task<WriteResult> write_all(Stream& stream, Scope& scope, std::string_view bytes, DeadlineList& limit);

/// Waits until the stream is writable, as long as the peer acknowledges something within each `limit`.
Task<Ready> wait_writable(Stream& stream, Scope& scope, DeadlineList& limit);

}  // namespace nsboot_lb::net
