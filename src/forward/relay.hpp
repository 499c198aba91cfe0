#pragma once
/// Moves one body from a source to a sink, as fast as the slower side allows and with no more of it in memory than one
/// read: not reading is the back-pressure. Large plain bodies go through a pipe in the kernel instead. Lives in the
/// coroutine that moves the body.
#include <cstdint>
#include <optional>
#include <string>

#include "client_speed.hpp"
#include "nsboot_lb/forward/bandwidth.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/http/body.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::forward {

enum class RelayEnd : std::uint8_t {
    complete,          ///< all of the body went over, with its end
    source_truncated,  ///< the source closed in mid-body
    source_reset,
    source_malformed,  ///< broken chunked coding
    source_timed_out,
    sink_failed,
    sink_timed_out,
    too_slow,   ///< the client is below timeouts.min_rate
    too_large,  ///< more than `most_bytes`
    cancelled,
};

struct RelayPlan {
    http::BodySource* source = nullptr;
    http::BodySink* sink = nullptr;
    net::Scope* scope = nullptr;
    net::DeadlineList* source_limit = nullptr;  ///< of one wait for the source
    net::DeadlineList* sink_limit = nullptr;    ///< without a byte that the sink's peer acknowledged
    bool client_is_source = false;
    /// While it is true and nothing has come, the source waits to be told to begin, and has all the time it wants.
    const bool* source_waits = nullptr;
    std::uint64_t least_rate = 0;           ///< bytes per second that the client has to take or give; 0 = any
    std::uint64_t most_bytes = UINT64_MAX;  ///< of the body
    std::size_t most_unsent = 0;            ///< of a slow client, in the kernel; 0 = any
    bool forward_trailers = false;
    Bandwidth::Share* bandwidth = nullptr;  ///< null: no limit
    MovedBytes* moved = nullptr;            ///< counts body bytes; never null
};

class Relay {
  public:
    Relay(Worker& worker, const RelayPlan& plan) : worker_(worker), plan_(plan), speed_(plan_) {}
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    /// Moves what can be moved without waiting. Nothing: it has to wait, and run() goes on.
    std::optional<RelayEnd> pump();
    net::Task<RelayEnd> run();

  private:
    enum class Need : std::uint8_t { source, sink, bandwidth };

    std::optional<RelayEnd> wait_for(Need need) {
        need_ = need;
        return std::nullopt;
    }
    std::size_t allowance(std::size_t wanted) const;
    void give_back(std::size_t bytes) const;
    bool source_waits() const { return plan_.source_waits != nullptr && *plan_.source_waits && *plan_.moved == 0; }
    bool can_splice() const;
    std::optional<RelayEnd> splice();
    std::optional<RelayEnd> flush_then_wait_for_source();
    bool write_left_over();
    void empty_pipe();
    void limit_unsent();
    void begin_proof();
    void judge_sink();
    std::size_t room() const;
    net::Task<net::Ready> wait_for_sink();

    Worker& worker_;
    const RelayPlan plan_;
    ClientSpeed speed_;
    std::optional<net::BorrowedPipe> pipe_;
    http::Input left_over_;  ///< taken out of a pipe that others need
    Need need_ = Need::source;
    bool ended_ = false;    ///< all was given to the sink
    bool stalled_ = false;  ///< the sink was waited for so long that it gets little at a time
    bool proven_ = false;   ///< the sink is fast
    net::TimePoint proof_began_{};
    std::uint64_t proof_from_ = 0;  ///< bytes moved by then
    bool copies_ = false;           ///< there is no pipe just now
};

}  // namespace nsboot_lb::forward
