#pragma once
/// One end of a byte stream for tests: sends and receives exact bytes with a deadline on every wait, and tells a clean
/// close from a reset. Belongs to one thread at a time; only interrupt() and has_input() may be called by another. A
/// wait that outlasts `patience` throws Failure, which GoogleTest reports with its text.
#include <chrono>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

#include "message.hpp"

namespace nsboot_lb::test {

/// How long a test waits for anything before it gives up. Nothing that works comes near it.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NSBOOT_LB_TEST_SANITIZED 1
#endif
#endif
#ifdef NSBOOT_LB_TEST_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
inline constexpr std::chrono::milliseconds patience{sanitized ? 30'000 : 10'000};

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class End { open, closed, reset };
std::string_view to_string(End end);
inline void PrintTo(End end, std::ostream* out) {
    *out << to_string(end);
}

class Wire {
  public:
    explicit Wire(int descriptor) : descriptor_(descriptor) {}
    Wire(Wire&& other) noexcept;
    Wire& operator=(Wire&&) = delete;
    ~Wire();

    /// False if the other side is gone.
    bool send(std::string_view bytes);
    /// The same of one byte, as urgent data (RFC 6093).
    bool send_urgent(char byte);
    /// Sends until the other side has taken nothing for `quiet`, and says how much it took before.
    std::size_t send_until_stuck(std::string_view bytes, std::chrono::milliseconds quiet);
    /// Sends one piece after the other with `pause` between them, and stops as soon as the other side says something.
    void dribble(std::string_view bytes, std::size_t piece, std::chrono::milliseconds pause);

    /// The next message, whole. An interim (1xx) response counts as a message. `complete` is false if the other side
    /// ended before the framing did.
    Message receive_message(Kind kind);
    /// Only the head; the body stays to be received.
    Message receive_head(Kind kind);
    /// Everything up to and including `mark`; throws Failure if the stream ends before it.
    std::string receive_until(std::string_view mark);
    std::string receive_exactly(std::size_t count);
    /// Takes that much from the kernel's buffer and no more, so that a slow reader is slow to its sender too. Less
    /// where less is there, nothing at the end.
    std::size_t sip(std::size_t count);
    /// Whether a byte or the end arrives within `time`.
    bool readable_within(std::chrono::milliseconds time);
    /// Waits without a deadline for a byte (true) or the end (false), and takes nothing yet.
    bool await_readable();
    /// Whether there is something that was not taken yet, be it the end. May be called by any thread.
    bool has_input();

    /// Reads on until the other side ends. Bytes that come before are kept in pending().
    End await_end();
    End end() const { return end_; }
    /// Received and not yet taken.
    const std::string& pending() const { return pending_; }

    void half_close();
    void close();
    /// Closes so that the other side sees a reset.
    void reset();
    /// Makes every wait end now as if the other side had closed. May be called by any thread.
    void interrupt();
    bool is_open() const { return descriptor_ >= 0; }

  private:
    bool fill();
    bool wait(short events, std::chrono::milliseconds time) const;
    bool receive_line(std::string& line, std::string& raw);
    bool take(std::size_t count, std::string& to);
    void receive_body(Message& message);
    void receive_chunked(Message& message);
    void receive_to_end(Message& message);
    [[noreturn]] void give_up(std::string_view awaited) const;

    int descriptor_;
    std::mutex descriptor_mutex_;  ///< guards against other threads meeting close()
    std::string pending_;
    End end_ = End::open;
};

}  // namespace nsboot_lb::test
