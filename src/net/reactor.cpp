#include "nsboot_lb/net/reactor.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <sys/eventfd.h>
#include <system_error>
#include <utility>

namespace nsboot_lb::net {

namespace {

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

bool Source::add(Reactor& reactor, int descriptor, bool readable, bool writable) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = this;
    if (epoll_ctl(reactor.epoll_.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
    reactor_ = &reactor;
    descriptor_ = descriptor;
    readable_ = readable;
    writable_ = writable;
    peer_closed_ = false;
    broken_ = false;
    broken_off_ = false;
    return true;
}

void Source::remove() {
    if (reactor_ == nullptr) return;
    assert(!reader_ && !writer_);
    // Closing would not do: as long as anybody looks at /proc/PID/fd, be it a scrape of our own metrics, the kernel may
    // hold on to what was closed, and the set would go on reporting it to a source that is no more.
    epoll_ctl(reactor_->epoll_.native_handle(), EPOLL_CTL_DEL, descriptor_, nullptr);
    reactor_->forget(*this);
    reactor_ = nullptr;
    observer_ = nullptr;
    descriptor_ = -1;
}

void Source::end(std::coroutine_handle<>& waiter, Ready& slot, Ready result) {
    if (!waiter) return;
    slot = result;
    reactor_->resume_later(std::exchange(waiter, {}));
}

void Source::break_off() {
    broken_ = true;
    broken_off_ = true;
    end_read(Ready::cancelled);
    end_write(Ready::cancelled);
    if (observer_ != nullptr) observer_->on_event(*this);
}

void Source::dispatch(std::uint32_t events) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) broken_ = true;
    if ((events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) peer_closed_ = true;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) readable_ = true;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) writable_ = true;
    // A coroutine may destroy this source, so nothing of it is touched after the last resume.
    auto reader = readable_ ? std::exchange(reader_, {}) : std::coroutine_handle<>{};
    auto writer = writable_ ? std::exchange(writer_, {}) : std::coroutine_handle<>{};
    auto* reactor = reactor_;
    if (reader && writer) {
        reactor->resume_later(writer);
        writer = {};
    }
    if (reader) return reader.resume();
    if (writer) return writer.resume();
    if (observer_ != nullptr) observer_->on_event(*this);
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
    wait();
}

void Reactor::stop() {
    polling_ = false;
    boost::system::error_code ignored;
    epoll_.cancel(ignored);
}

void Reactor::wait() {
    epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
        if (error || !polling_) return;
        poll();
        if (polling_) wait();
    });
}

void Reactor::poll() {
    while (polling_) {
        const int count = take_events(resumes_.empty());
        deadlines_.set_now(Clock::now());
        dispatch_events(std::max(count, 0));
        if (!asio_wanted_.load(std::memory_order_relaxed)) continue;
        asio_wanted_.store(false, std::memory_order_relaxed);
        return;
    }
}

/// The next batch; waits for it, if it may.
int Reactor::take_events(bool may_wait) {
    int timeout = 0;
    if (may_wait) {
        // Whoever posts looks at waiting_ after asio_wanted_ is set, so that one of the two threads sees the other.
        waiting_.store(true, std::memory_order_seq_cst);
        if (!asio_wanted_.load(std::memory_order_seq_cst)) timeout = -1;
    }
    const int count = epoll_wait(epoll_.native_handle(), events_.data(), batch_size, timeout);
    if (may_wait) waiting_.store(false, std::memory_order_relaxed);
    return count;
}

void Reactor::dispatch_events(int count) {
    event_count_ = static_cast<std::size_t>(count);
    for (next_event_ = 0; next_event_ < event_count_;) {
        const auto& event = events_[next_event_++];
        if (event.data.ptr == &deadlines_)
            deadlines_.sweep();
        else if (event.data.ptr != nullptr && event.data.ptr != &wake_)
            static_cast<Source*>(event.data.ptr)->dispatch(event.events);
    }
    event_count_ = 0;
    run_resumes();
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

void Reactor::resume_later(std::coroutine_handle<> coroutine) {
    resumes_.push_back(coroutine);
    if (resume_posted_) return;
    resume_posted_ = true;
    boost::asio::post(epoll_.get_executor(), [this] {
        resume_posted_ = false;
        deadlines_.set_now(Clock::now());
        run_resumes();
    });
}

void Reactor::run_resumes() {
    if (!resuming_.empty()) return;
    // What is added meanwhile has its turn after the sockets: a coroutine that yields must not get the loop right back.
    resuming_.swap(resumes_);
    for (const auto coroutine : resuming_) coroutine.resume();
    resuming_.clear();
}

}  // namespace nsboot_lb::net
