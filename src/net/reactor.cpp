#include "nsboot_lb/net/reactor.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/eventfd.h>
#include <system_error>
#include <utility>

#include "system_calls.hpp"

namespace nsboot_lb::net {

namespace {

/// A batch that is full may have left events behind, of sockets whose deadlines are about to pass. So many are looked
/// at first.
constexpr unsigned most_full_batches = 64;
/// Coroutines between two looks at the clock.
constexpr unsigned resumes_per_look = 8;

int make_epoll() {
    const int descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    return descriptor;
}

int make_event() {
    const int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    return descriptor;
}

}  // namespace

bool Source::add(Reactor& reactor, int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = this;
    if (epoll_ctl(reactor.epoll_.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
    reactor_ = &reactor;
    descriptor_ = descriptor;
    return true;
}

void Source::remove() {
    if (reactor_ == nullptr) return;
    // Closing would not do: as long as anybody looks at /proc/PID/fd, be it a scrape of our own metrics, the kernel may
    // hold on to what was closed, and the set would go on reporting it to a source that is no more.
    epoll_ctl(reactor_->epoll_.native_handle(), EPOLL_CTL_DEL, descriptor_, nullptr);
    reactor_->forget(*this);
    reactor_ = nullptr;
    descriptor_ = -1;
}

Reactor::Reactor(boost::asio::io_context& loop, Deadlines& deadlines)
    : epoll_(loop.get_executor(), make_epoll()), wake_(loop.get_executor(), make_event()), deadlines_(deadlines) {
    watch(wake_.native_handle(), &wake_);
    watch(deadlines_.descriptor(), &deadlines_);
}

/// It need not be read: with EPOLLET each write, or each time that a timer runs out, is an event.
void Reactor::watch(int descriptor, void* as) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = as;
    if (epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void Reactor::start() {
    polling_ = true;
    watch_set();
}

void Reactor::stop() {
    polling_ = false;
    boost::system::error_code ignored;
    epoll_.cancel(ignored);
}

void Reactor::watch_set() {
    epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
        if (error || !polling_) return;
        try {
            run_rounds();
        } catch (...) {
            // Whoever runs the loop hears of it, and goes on.
            in_rounds_ = false;
            watch_set();
            throw;
        }
        if (polling_) watch_set();
    });
}

/// Until Asio is wanted. What is in the queues then has the set readable again, so that the rounds go on.
void Reactor::run_rounds() {
    in_rounds_ = true;
    woken_ = false;
    while (polling_) {
        const auto count = take_events();
        deadlines_.set_now(Clock::now());
        record(count);
        sweep_if_due(count);
        resume_some();
        if (!asio_wanted_.load(std::memory_order_relaxed)) continue;
        asio_wanted_.store(false, std::memory_order_relaxed);
        break;
    }
    in_rounds_ = false;
    if (polling_ && (!prompt_.empty() || !behind_.empty() || sweep_due_)) {
        woken_ = true;
        eventfd_write(wake_.native_handle(), 1);
    }
}

/// The next batch; waits for it if there is nothing else to do.
std::size_t Reactor::take_events() {
    const bool may_wait = prompt_.empty() && behind_.empty() && !sweep_due_;
    int timeout = 0;
    if (may_wait) {
        // Whoever posts looks at waiting_ after asio_wanted_ is set, so that one of the two threads sees the other.
        waiting_.store(true, std::memory_order_seq_cst);
        if (!asio_wanted_.load(std::memory_order_seq_cst)) timeout = -1;
    }
    const int count = wait_for_events(epoll_.native_handle(), events_.data(), batch_size, timeout);
    if (may_wait) waiting_.store(false, std::memory_order_relaxed);
    return static_cast<std::size_t>(std::max(count, 0));
}

void Reactor::record(std::size_t count) {
    event_count_ = count;
    for (next_event_ = 0; next_event_ < event_count_;) {
        const auto& event = events_[next_event_++];
        if (event.data.ptr == &deadlines_)
            sweep_due_ = true;
        else if (event.data.ptr != nullptr && event.data.ptr != &wake_)
            static_cast<Source*>(event.data.ptr)->on_events(event.events);
    }
    event_count_ = 0;
}

/// Sockets come first: what arrived while this process stood still has arrived in time.
void Reactor::sweep_if_due(std::size_t count) {
    if (!sweep_due_) return;
    if (count == batch_size && ++full_batches_ < most_full_batches) return;
    full_batches_ = 0;
    sweep_due_ = false;
    deadlines_.sweep();
}

/// Those that are in the queues now: what becomes ready meanwhile has its turn after the sockets. One of each at least.
void Reactor::resume_some() {
    const auto until = deadlines_.now() + round_time;
    Queue prompt;
    Queue behind;
    prompt.splice(prompt.end(), prompt_);
    behind.splice(behind.end(), behind_);
    if (!prompt.empty()) resume_until(until, prompt, prompt_);
    if (!behind.empty()) resume_until(until, behind, behind_);
}

/// Who has had no turn by then keeps the place.
void Reactor::resume_until(TimePoint until, Queue& now, Queue& later) {
    for (unsigned resumed = 1; !now.empty(); ++resumed) {
        begin_turn();
        auto& first = now.front();
        now.pop_front();
        first.coroutine_.resume();
        const bool looks = resumed % resumes_per_look == 0 || turn_over();
        if (!looks || now.empty() || Clock::now() < until) continue;
        later.splice(later.begin(), now);
        return;
    }
}

void Reactor::enqueue(Wait& wait, bool behind) {
    (behind ? behind_ : prompt_).push_back(wait);
    if (in_rounds_ || woken_) return;
    woken_ = true;
    eventfd_write(wake_.native_handle(), 1);
}

void Reactor::give_asio_its_turn() {
    asio_wanted_.store(true, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst)) eventfd_write(wake_.native_handle(), 1);
}

void Reactor::forget(Source& source) {
    for (auto i = next_event_; i < event_count_; ++i) {
        if (events_[i].data.ptr == &source) events_[i].data.ptr = nullptr;
    }
}

}  // namespace nsboot_lb::net
