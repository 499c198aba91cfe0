#include "nsboot_lb/net/deadline.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/timerfd.h>
#include <system_error>
#include <unistd.h>

namespace nsboot_lb::net {

namespace {
/// Deadlines within one step fire together: a thousand idle sessions are one wake-up, not a thousand.
constexpr std::chrono::milliseconds step{10};
}  // namespace

void Deadline::arm(DeadlineList& list) {
    disarm();
    list_ = &list;
    at_ = list.all_.now() + list.duration_;
    previous_ = list.back_;
    (list.back_ != nullptr ? list.back_->next_ : list.front_) = this;
    list.back_ = this;
    if (previous_ == nullptr) list.all_.wake_by(at_);
}

void Deadline::disarm() {
    passed_ = false;
    if (list_ != nullptr) list_->unlink(*this);
}

void DeadlineList::unlink(Deadline& deadline) {
    (deadline.previous_ != nullptr ? deadline.previous_->next_ : front_) = deadline.next_;
    (deadline.next_ != nullptr ? deadline.next_->previous_ : back_) = deadline.previous_;
    deadline.list_ = nullptr;
    deadline.previous_ = nullptr;
    deadline.next_ = nullptr;
}

Deadlines::Deadlines() : timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
    if (timer_ < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
}

Deadlines::~Deadlines() {
    ::close(timer_);
}

DeadlineList& Deadlines::list(std::chrono::milliseconds duration) {
    duration = std::max(duration, std::chrono::milliseconds{1});
    auto& list = lists_[duration];
    if (!list) list = std::make_unique<DeadlineList>(*this, duration);
    return *list;
}

// A front that is disarmed leaves the timer as it is: it wakes once for nothing and finds the next front, which costs
// less than moving the timer with every request.
void Deadlines::wake_by(TimePoint at) {
    if (at + step >= wake_at_) return;
    wake_at_ = at + step;
    const auto since_boot = std::max(wake_at_.time_since_epoch(), Clock::duration{1});  // zero would be none
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
    itimerspec when{};
    when.it_value.tv_sec = seconds.count();
    when.it_value.tv_nsec = std::chrono::nanoseconds{since_boot - seconds}.count();
    timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Deadlines::sweep() {
    now_ = Clock::now();
    if (now_ < wake_at_) return;
    wake_at_ = TimePoint::max();
    auto earliest = TimePoint::max();
    for (auto& [duration, list] : lists_) {
        // What expires may arm and disarm others, so the front is read anew each time. A deadline that is armed again
        // meanwhile lands behind now_, so the loop ends.
        while (list->front_ != nullptr && list->front_->at_ <= now_) {
            auto* front = list->front_;
            list->unlink(*front);
            front->passed_ = true;
            front->expired_(front->owner_);
        }
        if (list->front_ != nullptr) earliest = std::min(earliest, list->front_->at_);
    }
    if (earliest != TimePoint::max()) wake_by(earliest);
    if (wake_at_ != TimePoint::max()) return;
    // As setting it does, this takes back that it is readable.
    const itimerspec none{};
    timerfd_settime(timer_, 0, &none, nullptr);
}

}  // namespace nsboot_lb::net
