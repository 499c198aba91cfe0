#pragma once
/// Readiness of the data path's descriptors. A worker's Reactor is an epoll set: a descriptor is registered once,
/// edge-triggered for both directions, and what is known of it is kept in its Source. So waiting costs no system call,
/// where an Asio wait costs one each time. The worker's Asio loop watches the set; once there is an event, the thread
/// waits in the set itself, and Asio has its turn after post() (docs/decisions/readiness.md has the figures). One
/// worker's thread only, except for post().
#include <array>
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <sys/epoll.h>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "nsboot_lb/net/deadline.hpp"

namespace nsboot_lb::net {

class Reactor;

/// How a wait ended.
enum class Ready : std::uint8_t {
    ok,         ///< try the operation now
    timed_out,  ///< the deadline passed first
    cancelled,  ///< somebody on this worker ended the wait
};

/// A registered descriptor: what is known of its readiness, who waits for it, who watches it. At most one coroutine
/// waits for each direction. The descriptor is closed by its owner after remove().
class Source {
  public:
    /// Told of events that no coroutine waits for: an idle connection that the server closes, a client that resets
    /// while its answer is being made.
    class Observer {
      public:
        virtual void on_event(Source& source) = 0;

      protected:
        ~Observer() = default;
    };

    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    ~Source() { remove(); }

    /// Registers a non-blocking descriptor. False if the kernel refuses (errno says why). `ready` says what may be
    /// tried without waiting first.
    bool add(Reactor& reactor, int descriptor, bool readable, bool writable);
    /// No more events.
    void remove();

    int descriptor() const { return descriptor_; }
    bool registered() const { return reactor_ != nullptr; }
    Reactor& reactor() const { return *reactor_; }

    bool may_read() const { return readable_; }
    bool may_write() const { return writable_; }
    /// The peer has sent its FIN, perhaps behind bytes still to be read.
    bool peer_closed() const { return peer_closed_; }
    /// The connection is gone in both directions or has an error.
    bool broken() const { return broken_; }
    /// It was we who gave it up.
    bool broken_off() const { return broken_off_; }

    /// After an operation said EAGAIN, or took less than there was room for.
    void exhausted_reads() { readable_ = peer_closed_; }
    void would_block_reads() { readable_ = false; }
    void would_block_writes() { writable_ = false; }

    struct Wait {
        Source& source;
        std::coroutine_handle<> Source::* waiter;
        Ready Source::* result;
        bool ready;
        bool await_ready() const noexcept { return ready; }
        void await_suspend(std::coroutine_handle<> coroutine) const noexcept {
            source.*waiter = coroutine;
            source.*result = Ready::ok;
        }
        Ready await_resume() const noexcept {
            if (!ready) return source.*result;
            return source.broken_off_ ? Ready::cancelled : Ready::ok;
        }
    };
    /// Until reading may be tried. Does not suspend if it already may.
    Wait wait_readable() { return {*this, &Source::reader_, &Source::read_result_, readable_ || broken_off_}; }
    /// Until writing may be tried. Does not suspend if it already may.
    Wait wait_writable() { return {*this, &Source::writer_, &Source::write_result_, writable_ || broken_off_}; }

    /// Ends a wait, if there is one; its coroutine resumes from the reactor, not from within this call.
    void end_read(Ready result) { end(reader_, read_result_, result); }
    void end_write(Ready result) { end(writer_, write_result_, result); }

    /// Treats the connection as gone: ends both waits, and all that begin later, and tells the observer, as if the peer
    /// had reset it.
    void break_off();

    void observe(Observer* observer) { observer_ = observer; }

  private:
    friend class Reactor;
    void end(std::coroutine_handle<>& waiter, Ready& slot, Ready result);
    void dispatch(std::uint32_t events);

    Reactor* reactor_ = nullptr;
    Observer* observer_ = nullptr;
    std::coroutine_handle<> reader_;
    std::coroutine_handle<> writer_;
    int descriptor_ = -1;
    Ready read_result_ = Ready::ok;
    Ready write_result_ = Ready::ok;
    bool readable_ = false;
    bool writable_ = false;
    bool peer_closed_ = false;
    bool broken_ = false;
    bool broken_off_ = false;
};

class Reactor {
  public:
    /// Throws std::system_error if the kernel gives no epoll set.
    Reactor(boost::asio::io_context& loop, Deadlines& deadlines);
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    Deadlines& deadlines() { return deadlines_; }
    /// Starts watching; the loop then runs until stop().
    void start();
    void stop();
    /// Resumes a coroutine soon, from the loop, not from within this call.
    void resume_later(std::coroutine_handle<> coroutine);
    /// Has the loop run `work` soon. From any thread. What is posted to the loop past this, and a timer in it, may wait
    /// for ever.
    template <class Work>
    void post(Work&& work) {
        boost::asio::post(epoll_.get_executor(), std::forward<Work>(work));
        give_asio_its_turn();
    }

  private:
    using Epoll = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;

    friend class Source;
    void wait();
    void poll();
    int take_events(bool may_wait);
    void dispatch_events(int count);
    void watch(int descriptor, void* as);
    void give_asio_its_turn();
    void run_resumes();
    void forget(Source& source);

    static constexpr std::size_t batch_size = 256;
    Epoll epoll_;
    Epoll wake_;  ///< an eventfd in the set, written to when somebody posts while the thread waits in it
    Deadlines& deadlines_;
    std::array<epoll_event, batch_size> events_{};
    std::size_t next_event_ = 0;  ///< of the batch that is being dispatched
    std::size_t event_count_ = 0;
    std::vector<std::coroutine_handle<>> resumes_;
    std::vector<std::coroutine_handle<>> resuming_;
    bool resume_posted_ = false;
    bool polling_ = false;
    std::atomic<bool> waiting_{false};
    std::atomic<bool> asio_wanted_{false};
};

}  // namespace nsboot_lb::net
