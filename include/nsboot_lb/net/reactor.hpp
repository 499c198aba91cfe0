#pragma once
/// What a worker's thread does, over and over: it takes what has become ready from its epoll set, and resumes the
/// coroutines that waited for that, one after the other. A descriptor is registered once, edge-triggered for both
/// directions, so waiting costs no system call, where an Asio wait costs one each time. The worker's Asio loop watches
/// the set; once there is an event, the thread waits in the set itself, and Asio has its turn after post()
/// (docs/decisions/readiness.md has the figures). One worker's thread only, except for post().
///
/// A round: all events of a batch are recorded before any coroutine runs; then deadlines; then coroutines, in the order
/// in which they became ready, those that have used up a turn before behind the others. After round_time the set is
/// asked again, and who has not had a turn keeps the place. A turn is bounded too: what it does is counted, and
/// Stream and Readiness make it end (docs/decisions/turns.md).
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <sys/epoll.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/intrusive/list.hpp>

#include "nsboot_lb/net/deadline.hpp"
#include "nsboot_lb/net/wait.hpp"

namespace nsboot_lb::net {

/// A descriptor in the set. The descriptor is closed by its owner after remove().
class Source {
  public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() { remove(); }

    /// Registers a non-blocking descriptor. False if the kernel refuses (errno says why).
    bool add(Reactor& reactor, int descriptor);
    /// No more events.
    void remove();
    int descriptor() const { return descriptor_; }
    bool registered() const { return reactor_ != nullptr; }

  protected:
    /// EPOLLIN … have happened. Only notes it: nothing is resumed from here. May destroy the source.
    virtual void on_events(std::uint32_t events) = 0;

  private:
    friend class Reactor;
    Reactor* reactor_ = nullptr;
    int descriptor_ = -1;
};

class Reactor {
  public:
    /// What a coroutine may do before it is the others' turn: whichever comes first.
    static constexpr std::size_t most_turn_bytes = 256 * 1024;
    static constexpr unsigned most_turn_calls = 32;
    /// How long coroutines run before sockets are looked at again.
    static constexpr std::chrono::microseconds round_time{2000};

    /// Throws std::system_error if the kernel gives no epoll set.
    Reactor(boost::asio::io_context& loop, Deadlines& deadlines);
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    Deadlines& deadlines() { return deadlines_; }
    /// Starts watching; the loop then runs until stop().
    void start();
    void stop();
    /// Has the loop run `work` soon. From any thread. What is posted to the loop past this, and a timer in it, may wait
    /// for ever.
    template <class Work>
    void post(Work&& work) {
        boost::asio::post(epoll_.get_executor(), [this, work = std::forward<Work>(work)]() mutable {
            begin_turn();
            deadlines_.set_now(Clock::now());
            work();
        });
        give_asio_its_turn();
    }

    /// Counts what the coroutine that runs now did: one system call, or as much work, and bytes moved.
    void worked(std::size_t bytes) {
        ++turn_calls_;
        turn_bytes_ += bytes;
    }
    /// Whether that is enough: nothing new is begun, and the next wait lets others go on.
    bool turn_over() const { return turn_bytes_ >= most_turn_bytes || turn_calls_ >= most_turn_calls; }

    /// For Wait: its coroutine is to be resumed.
    void enqueue(Wait& wait, bool behind);

  private:
    using Descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;
    using Queue = boost::intrusive::list<Wait, boost::intrusive::member_hook<Wait, Wait::Hook, &Wait::in_queue_>,
                                         boost::intrusive::constant_time_size<false>>;

    friend class Source;
    void watch_set();
    void run_rounds();
    std::size_t take_events();
    void record(std::size_t count);
    void sweep_if_due(std::size_t count);
    void resume_some();
    void resume_until(TimePoint until, Queue& now, Queue& later);
    void begin_turn() {
        turn_bytes_ = 0;
        turn_calls_ = 0;
    }
    void watch(int descriptor, void* as);
    void give_asio_its_turn();
    void forget(Source& source);

    static constexpr std::size_t batch_size = 256;
    Descriptor epoll_;
    Descriptor wake_;  ///< an eventfd in the set, written to when somebody posts while the thread waits in it
    Deadlines& deadlines_;
    std::array<epoll_event, batch_size> events_{};
    std::size_t next_event_ = 0;  ///< of the batch that is being recorded
    std::size_t event_count_ = 0;
    Queue prompt_;
    Queue behind_;
    std::size_t turn_bytes_ = 0;
    unsigned turn_calls_ = 0;
    unsigned full_batches_ = 0;  ///< since deadlines were due
    bool sweep_due_ = false;
    bool in_rounds_ = false;
    bool woken_ = false;  ///< by enqueue(), from outside of the rounds
    bool polling_ = false;
    std::atomic<bool> waiting_{false};
    std::atomic<bool> asio_wanted_{false};
};

}  // namespace nsboot_lb::net
