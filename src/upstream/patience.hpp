#pragma once
/// How long a check waits for its server: `timeout`, of which only that counts during which our own loop turned. It is
/// counted in slices, each a timer of the loop: a timer that comes late says that the loop stood still (a long scrape,
/// a machine that was suspended), and what the server did meanwhile lies unread. Pure; time comes in as an argument.
#include <algorithm>
#include <chrono>

#include "nsboot_lb/upstream/health.hpp"

namespace nsboot_lb::upstream {

class Patience {
  public:
    enum class Verdict {
        wait,       ///< until the end of another slice
        over,       ///< the server had its time
        no_verdict  ///< the loop stands still again and again
    };

    explicit Patience(std::chrono::nanoseconds timeout)
        : slice_(std::max<std::chrono::nanoseconds>(timeout / slices, std::chrono::milliseconds{1})) {}

    /// When the slice that begins at `now` ends.
    TimePoint begin_slice(TimePoint now) { return ends_ = now + slice_; }
    /// Its timer has come.
    Verdict end_slice(TimePoint now) {
        // The last slice too must have been on time: what came while the loop stood still has to be read first.
        ++(is_late(now) ? late_ : on_time_);
        if (on_time_ == slices) return Verdict::over;
        return late_ == most_late ? Verdict::no_verdict : Verdict::wait;
    }
    /// Whether the loop stood still at any time, also if the timer that tells so is yet to come.
    bool stood_still(TimePoint now) const { return late_ != 0 || is_late(now); }

  private:
    bool is_late(TimePoint now) const { return now - ends_ > std::max<std::chrono::nanoseconds>(slice_, tolerance); }

    static constexpr int slices = 8;
    static constexpr int most_late = 32;
    /// A busy machine is not a loop that stands still.
    static constexpr std::chrono::milliseconds tolerance{10};

    const std::chrono::nanoseconds slice_;
    TimePoint ends_{};
    int on_time_ = 0;
    int late_ = 0;
};

}  // namespace nsboot_lb::upstream
