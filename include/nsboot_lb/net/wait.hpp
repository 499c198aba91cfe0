#pragma once
/// How coroutines of the data path wait, and how a wait ends. Three things take part, all of one worker:
///
/// - A Scope is an operation that may be ended from outside: a session, an exchange, a try, an upload. Scopes nest. A
///   cancel is kept: it ends every wait in the scope and in those within it, also waits that begin later.
/// - A Readiness is what is waited for: a direction of a stream, a place in a queue, an answer of another thread. It
///   remembers that it is ready, and that its deadline has passed, until it is told otherwise. One coroutine at a time.
/// - A Wait lives in the awaiter, so in the frame of the coroutine that waits: destroying the coroutine takes it out of
///   every list. Nobody resumes a coroutine but the Reactor, from its queue (docs/decisions/waits.md).
#include <coroutine>
#include <cstdint>

#include <boost/intrusive/list.hpp>

#include "nsboot_lb/net/deadline.hpp"

namespace nsboot_lb::net {

class Reactor;
class Scope;

/// How a wait ended.
enum class Ready : std::uint8_t {
    ok,         ///< try the operation now; that it succeeds is not promised
    timed_out,  ///< the deadline has passed
    cancelled,  ///< the scope was cancelled, or what was waited for is gone
};

/// Why a scope was cancelled.
enum class Cause : std::uint8_t {
    none,
    client_gone,    ///< it reset the connection, or closed it and takes nothing more
    no_use,         ///< whatever it would bring is not needed any more
    evicted,        ///< it makes room for others
    shutting_down,  ///< the daemon goes away
    failed,         ///< an exception ended what runs beside it
};

/// A coroutine that waits.
class Wait {
  public:
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

    /// Has the coroutine resumed soon, from the reactor's queue. What came first holds: nothing happens if it is in the
    /// queue already.
    void wake(Ready result);

  protected:
    Wait(Reactor& reactor, Scope& scope) : reactor_(reactor), scope_(scope) {}
    ~Wait() = default;

    void suspend(std::coroutine_handle<> coroutine);
    /// What the coroutine is told. A cancel counts even if it came when the wait was over and its turn had not come.
    Ready result() const;

    Reactor& reactor_;
    Scope& scope_;
    Ready result_ = Ready::ok;

  private:
    friend class Reactor;
    friend class Scope;
    using Hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
    bool queued() const { return in_queue_.is_linked(); }

    Hook in_scope_;  ///< while it waits
    Hook in_queue_;  ///< when the wait is over, until its turn
    std::coroutine_handle<> coroutine_;
};

/// An operation that may be ended from outside. It outlives the scopes and the waits within it.
class Scope {
  public:
    Scope() = default;
    /// Within `outer`: cancelled with it, for the same cause.
    explicit Scope(Scope& outer) : cause_(outer.cause_) { outer.inner_.push_back(*this); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// For good. The first cause counts.
    void cancel(Cause cause);
    bool cancelled() const { return cause_ != Cause::none; }
    Cause cause() const { return cause_; }

    /// It has used up a turn: from then on it has its turns behind those that have not, so that many who move much let
    /// the small ones pass.
    bool moves_much() const { return moves_much_; }
    void note_used_up_turn() { moves_much_ = true; }

  private:
    friend class Wait;
    using Hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

    Hook in_outer_;
    boost::intrusive::list<Wait, boost::intrusive::member_hook<Wait, Wait::Hook, &Wait::in_scope_>,
                           boost::intrusive::constant_time_size<false>>
        waits_;
    boost::intrusive::list<Scope, boost::intrusive::member_hook<Scope, Hook, &Scope::in_outer_>,
                           boost::intrusive::constant_time_size<false>>
        inner_;
    Cause cause_ = Cause::none;
    bool moves_much_ = false;
};

/// Something that one coroutine at a time may wait for.
class Readiness {
  public:
    explicit Readiness(Reactor& reactor) : reactor_(reactor), deadline_(&expired, this) {}
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;
    ~Readiness() { abandon(); }

    /// From now on, until clear(): a wait ends, and others do not begin.
    void set() {
        ready_ = true;
        nudge();
    }
    void clear() { ready_ = false; }
    bool ready() const { return ready_; }
    /// Ends a wait as if it were ready, so that its coroutine looks around; forgotten if nobody waits.
    void nudge() {
        if (waiter_ != nullptr) waiter_->wake(Ready::ok);
    }
    /// What is waited for is gone: ends a wait as cancelled.
    void abandon();

    /// Ends waits until it is armed or disarmed anew.
    Deadline& deadline() { return deadline_; }

    class [[nodiscard]] Awaiter final : public Wait {
      public:
        Awaiter(Readiness& of, Scope& scope) : Wait(of.reactor_, scope), of_(&of) {}
        ~Awaiter() { detach(); }
        bool await_ready();
        /// Throws std::logic_error if somebody waits already: that is the end of one session, and no more.
        void await_suspend(std::coroutine_handle<> coroutine);
        Ready await_resume() {
            detach();
            return result();
        }

      private:
        friend class Readiness;
        void detach() {
            if (of_ != nullptr && of_->waiter_ == this) of_->waiter_ = nullptr;
        }
        Readiness* of_;  ///< null when it is gone
    };
    /// Until it is ready, its deadline has passed, or the scope is cancelled. Also gives others their turn where the
    /// coroutine has used up its own.
    Awaiter wait(Scope& scope) { return Awaiter{*this, scope}; }

  private:
    static void expired(void* self);
    Reactor& reactor_;
    Awaiter* waiter_ = nullptr;
    Deadline deadline_;
    bool ready_ = false;
};

/// co_await Yield{reactor, scope}: goes on after everybody else who is ready has had a turn. For work that never has to
/// wait for anything.
class [[nodiscard]] Yield final : public Wait {
  public:
    Yield(Reactor& reactor, Scope& scope) : Wait(reactor, scope) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
        scope_.note_used_up_turn();
        suspend(coroutine);
        wake(Ready::ok);
    }
    Ready await_resume() const { return result(); }
};

/// co_await Pause{reactor, scope, list}: goes on after the list's duration, or when the scope is cancelled.
class [[nodiscard]] Pause final : public Wait {
  public:
    Pause(Reactor& reactor, Scope& scope, DeadlineList& length)
        : Wait(reactor, scope), length_(length), deadline_(&over, this) {}
    bool await_ready() const noexcept { return scope_.cancelled(); }
    void await_suspend(std::coroutine_handle<> coroutine) {
        suspend(coroutine);
        deadline_.arm(length_);
    }
    Ready await_resume() const { return result(); }

  private:
    static void over(void* self) { static_cast<Pause*>(self)->wake(Ready::ok); }
    DeadlineList& length_;
    Deadline deadline_;
};

}  // namespace nsboot_lb::net
