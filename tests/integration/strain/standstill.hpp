#pragma once
/// A daemon that stands still while the world goes on: everything that happens meanwhile is one batch of events to it.
/// GoogleTest's thread alone uses it.
#include <chrono>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon.hpp"

namespace nsboot_lb::test {

class Standstill {
  public:
    /// Returns when no thread of the daemon runs any more.
    explicit Standstill(const Daemon& daemon) : daemon_(daemon) {
        daemon_.signal(SIGSTOP);
        siginfo_t stopped{};
        if (::waitid(P_PID, static_cast<id_t>(daemon_.pid()), &stopped, WSTOPPED) != 0)
            throw Failure("the daemon does not stand still");
    }
    Standstill(const Standstill&) = delete;
    Standstill& operator=(const Standstill&) = delete;
    ~Standstill() { end(); }

    void end() {
        if (!ended_) daemon_.signal(SIGCONT);
        ended_ = true;
    }
    /// Stands still for longer than a time limit of the daemon's.
    static void last(std::chrono::milliseconds time) { ::poll(nullptr, 0, static_cast<int>(time.count())); }

  private:
    const Daemon& daemon_;
    bool ended_ = false;
};

/// Everything that has been sent to this end so far, also what had to wait in the sender's socket for room.
inline void take_what_is_there(Wire& wire) {
    wire.receive_exactly(wire.pending().size());
    while (wire.readable_within(std::chrono::milliseconds{50}) && wire.sip(1UL << 20U) != 0) {
    }
}

}  // namespace nsboot_lb::test
