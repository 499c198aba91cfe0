#pragma once
/// Bodies in motion, whatever the protocol: a BodySource is asked for what there is, a BodySink for what it takes, and
/// who carries from the one to the other waits in between. Nothing here waits by itself, so nothing costs a coroutine,
/// and not asking is the back-pressure. Each belongs to one message of one exchange, on one worker.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <utility>

#include "nsboot_lb/http/head.hpp"
#include "nsboot_lb/net/stream.hpp"

namespace nsboot_lb::http {

/// Bytes that a connection received and nobody has used yet. Usually empty, and then without memory.
class Input {
  public:
    std::string_view view() const { return std::string_view{bytes_}.substr(begin_); }
    bool empty() const { return begin_ == bytes_.size(); }
    void append(std::string_view bytes) { bytes_ += bytes; }
    void consume(std::size_t size) {
        begin_ += size;
        if (empty()) clear();
    }
    /// Forgets the bytes, and the memory too.
    void clear() {
        std::string{}.swap(bytes_);  // to assign would keep the memory
        begin_ = 0;
    }

  private:
    std::string bytes_;
    std::size_t begin_ = 0;
};

class BodySource {
  public:
    enum class Status : std::uint8_t {
        ok,           ///< pieces, the end, or both
        would_block,  ///< wait until it is readable
        truncated,    ///< the sender closed in mid-body
        reset,        ///< the connection broke
        malformed,    ///< broken framing
    };
    struct Batch {
        Status status = Status::ok;
        std::span<const iovec> pieces{};
        std::uint64_t bytes = 0;  ///< of all pieces
        bool ended = false;       ///< nothing comes behind them
    };

    virtual ~BodySource() = default;
    /// What there is now, about `most` bytes. The pieces are good until consume(), which has to follow before anything
    /// else is done with the source, and before the coroutine waits.
    virtual Batch try_read(std::size_t most) = 0;
    /// That much of the batch was taken; the rest comes again with the next try_read().
    virtual void consume(std::uint64_t bytes) = 0;
    virtual net::Readiness& readable() = 0;
    /// All of the body was consumed.
    virtual bool ended() const = 0;
    /// Anything of it was asked for.
    virtual bool started() const = 0;
    /// The trailer section behind an ended body; views that live as long as the source.
    virtual const Fields& trailers() const = 0;

    /// The socket, if what comes from it next is the body as it is and nobody has seen any of it; else null. Then it
    /// may go past this object, `unseen_bytes()` at most (UINT64_MAX: to the socket's end), and skip() notes it.
    virtual net::Stream* unseen() = 0;
    virtual std::uint64_t unseen_bytes() const = 0;
    virtual void skip(std::uint64_t bytes) = 0;
    /// The socket ended while it was read past this object: whether that is where the body ends.
    virtual bool ends_here() = 0;
};

class BodySink {
  public:
    struct Taken {
        net::IoStatus status = net::IoStatus::ok;  ///< ok: some or all; would_block: wait until it is writable
        std::uint64_t bytes = 0;                   ///< of the body
    };

    virtual ~BodySink() = default;
    /// Takes what it can, at least one byte if ok and there is one. `trailers`: whole lines to send behind an ended
    /// body, if the protocol has a place for them.
    virtual Taken try_write(const BodySource::Batch& batch, std::string_view trailers) = 0;
    /// Whether anything that was taken could not be written yet.
    virtual bool holds() const = 0;
    /// Writes what it can of what was taken, a head too that waits for the body's beginning. Before the coroutine waits
    /// for the source.
    virtual net::IoStatus try_flush() = 0;
    virtual net::Readiness& writable() = 0;
    /// The connection below: how far the peer has taken what was written, and whether it is there at all.
    virtual net::Stream& connection() = 0;
    /// Whether body bytes may be written onto connection() as they are, past this object.
    virtual bool takes_unseen() const = 0;
};

/// What begins a final response, as fields: the protocol writes them.
struct ResponseStart {
    const ResponseHead& head;
    std::span<const std::pair<std::string, std::string>> additions{};  ///< fields besides those of the head
    std::string_view via{};   ///< pseudonym of this proxy; empty: no Via of ours
    std::string_view date{};  ///< empty: no Date of ours
    bool has_body = true;     ///< bytes follow, whatever the head says
    bool close = false;       ///< the connection is of no use afterwards
};

class ResponseSink : public BodySink {
  public:
    /// An interim response (1xx). True if it is written, or held and still to be flushed.
    virtual bool interim(const ResponseHead& head, std::string_view via) = 0;
    /// The final response's head. It is written together with what try_write() is given next, before the coroutine
    /// waits.
    virtual void start(const ResponseStart& start) = 0;
    /// A 101: gives the connection, which is the tunnel's from then on, and what had been read from it already. The
    /// head is written or held.
    struct Upgraded {
        net::Stream& stream;
        Input& input;
    };
    virtual Upgraded upgrade(const ResponseHead& head, std::string_view via) = 0;
    /// Head bytes written so far, with those of interim responses.
    virtual std::uint64_t head_bytes() const = 0;
    /// Whether start() was called: nothing can be taken back.
    virtual bool started() const = 0;
};

}  // namespace nsboot_lb::http
