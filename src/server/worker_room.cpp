/// WorkerThread where there is not room for everybody: who may have to go, who waits, how many one client may have.
#include <utility>

#include "worker_thread.hpp"

namespace nsboot_lb::server {

namespace {

/// How long an accepted connection waits for room.
constexpr std::chrono::milliseconds newcomer_patience{1000};

}  // namespace

void WorkerThread::note_idle(Session& session) {
    if (session.evicted) return;  // it goes already
    session.idle_since = worker_.now();
    idle_.push_back(session);
    if (&idle_.front() == &session) show_oldest();
    if (limits_.wants_room()) make_room();
}

void WorkerThread::note_busy(Session& session) {
    if (!session.in_idle.is_linked()) return;
    const bool oldest = &idle_.front() == &session;
    session.in_idle.unlink();
    if (oldest) show_oldest();
}

void WorkerThread::show_oldest() {
    limits_.show_oldest(worker_.index, idle_.empty() ? std::nullopt : std::optional{idle_.front().idle_since});
}

bool WorkerThread::make_room() {
    const auto whose = limits_.find_oldest();
    if (!whose) return false;
    limits_.evict(*whose);
    return true;
}

void WorkerThread::evict_oldest() {
    if (idle_.empty()) return limits_.evicted_nobody();
    auto& session = idle_.front();
    note_busy(session);
    session.evicted = true;
    session.end(net::Cause::evicted);
    worker_.counters.rejected[observe::Reason::too_many_connections].add();
}

/// It holds the counters that it will count in: a reload may remove the listener meanwhile, and them with it.
net::Task<void> WorkerThread::run_newcomer(Session& session, ListenerCountersPtr /*counters*/) {
    const bool room = co_await wait_for_room(session);
    if (room) co_await session.run();
}

/// Until there is room for one connection more, which is then counted. False if that takes too long.
net::Task<bool> WorkerThread::wait_for_room(Session& session) {
    Newcomer newcomer{worker_.reactor};
    newcomers_.push_back(newcomer);
    ++newcomer_count_;
    limits_.begin_waiting(worker_.index);
    admit_newcomers();  // who has left meanwhile may not have seen that somebody waits
    newcomer.room.deadline().arm(worker_.deadlines.list(newcomer_patience));
    const auto ready = co_await newcomer.room.wait(session.scope());
    if (newcomer.room.ready()) {
        count_in(session);  // also if it was cancelled, or is late: the limits have counted it
    } else {
        --newcomer_count_;
        limits_.end_waiting(worker_.index);
        worker_.counters.rejected[observe::Reason::too_many_connections].add();
    }
    co_return ready == net::Ready::ok;
}

void WorkerThread::admit_newcomers() {
    while (!newcomers_.empty() && limits_.try_admit(worker_.index)) {
        newcomers_.front().room.set();
        newcomers_.pop_front();
        --newcomer_count_;
    }
    // What was made free may have gone to somebody else meanwhile, such as a connection to a server.
    if (!newcomers_.empty() && limits_.wants_room()) make_room();
}

bool WorkerThread::admit_client(Session& session) {
    session.knows_client = true;
    if (!counts_clients_) return true;
    session.counted_client = limits_.begin_client(session.address());
    if (!session.counted_client) worker_.counters.rejected[observe::Reason::too_many_connections].add();
    return session.counted_client;
}

/// Where a configuration brings the limit, those that are here count.
void WorkerThread::recount_clients() {
    if (std::exchange(counts_clients_, limits_.counts_clients()) == counts_clients_) return;
    for (auto& session : sessions_) {
        if (!session.knows_client || session.counted_client == counts_clients_) continue;
        if (counts_clients_)
            session.counted_client = limits_.begin_client(session.address());
        else
            limits_.end_client(session.address());
        session.counted_client = session.counted_client && counts_clients_;
    }
}

}  // namespace nsboot_lb::server
