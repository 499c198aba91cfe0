#pragma once
/// Deadlines without a timer each: one list per duration, in the order of arming, so that the list's front is always
/// its earliest, and one timer per worker that wakes for the earliest front. Arming and disarming are a few pointer
/// writes. Everything here belongs to one worker.
#include <chrono>
#include <map>
#include <memory>

namespace nsboot_lb::net {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class DeadlineList;

/// Something that must happen before a moment. Owned by whoever waits; disarms itself when destroyed. That it has
/// passed is kept until it is armed or disarmed.
class Deadline {
  public:
    using Expired = void (*)(void* owner);
    Deadline(Expired expired, void* owner) : expired_(expired), owner_(owner) {}
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;
    ~Deadline() { disarm(); }

    /// From now on, for the list's duration; an armed deadline starts anew.
    void arm(DeadlineList& list);
    void disarm();
    bool armed() const { return list_ != nullptr; }
    bool expired() const { return passed_; }

  private:
    friend class DeadlineList;
    friend class Deadlines;
    const Expired expired_;
    void* const owner_;
    DeadlineList* list_ = nullptr;
    Deadline* previous_ = nullptr;
    Deadline* next_ = nullptr;
    TimePoint at_{};
    bool passed_ = false;
};

class Deadlines;

/// All the deadlines of one duration, earliest first.
class DeadlineList {
  public:
    DeadlineList(Deadlines& all, std::chrono::milliseconds duration) : all_(all), duration_(duration) {}
    std::chrono::milliseconds duration() const { return duration_; }

  private:
    friend class Deadline;
    friend class Deadlines;
    void unlink(Deadline& deadline);
    Deadlines& all_;
    const std::chrono::milliseconds duration_;
    Deadline* front_ = nullptr;
    Deadline* back_ = nullptr;
};

/// A worker's deadlines, its timer, and its idea of what time it is. Somebody, the Reactor, waits for the timer.
class Deadlines {
  public:
    /// Throws std::system_error if the kernel gives no timer.
    Deadlines();
    Deadlines(const Deadlines&) = delete;
    Deadlines& operator=(const Deadlines&) = delete;
    ~Deadlines();

    /// The list for a duration; made when first asked for, stays for good. At least 1 ms.
    DeadlineList& list(std::chrono::milliseconds duration);
    /// When the worker last woke up. Good enough for every time limit, and free.
    TimePoint now() const { return now_; }
    void set_now(TimePoint now) { now_ = now; }
    /// A timerfd(2): readable when a sweep is due, until one was made.
    int descriptor() const { return timer_; }
    /// Ends the waits whose time has come.
    void sweep();

  private:
    friend class Deadline;
    void wake_by(TimePoint at);
    TimePoint now_ = Clock::now();
    TimePoint wake_at_ = TimePoint::max();
    std::map<std::chrono::milliseconds, std::unique_ptr<DeadlineList>> lists_;
    const int timer_;
};

}  // namespace nsboot_lb::net
