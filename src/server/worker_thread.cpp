#include "worker_thread.hpp"

#include <algorithm>
#include <cerrno>
#include <future>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "nsboot_lb/net/socket_address.hpp"
#include "nsboot_lb/net/socket_options.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// Accepted connections that wait for room, on one worker, and for how long.
using namespace std::chrono_literals;

constexpr std::size_t most_newcomers = 128;
constexpr std::chrono::milliseconds newcomer_patience{1000};
/// How long to leave connections in the backlog when there are no descriptors for them.
constexpr std::chrono::milliseconds exhausted_pause{100};
/// What is left of a handshake takes no longer, on a network that boots machines.
constexpr std::chrono::milliseconds handshake_time{20};
constexpr int most_failed_accepts = 20;  ///< of a backlog that is the last
/// How long the loop makes a view at a time.
constexpr std::chrono::milliseconds most_making{1};

}  // namespace

struct WorkerThread::Listener final : net::Source {
    Listener(net::Reactor& reactor, ListenerSetup with) : setup(std::move(with)), incoming(reactor) {}
    ~Listener() override { remove(); }
    void on_events(std::uint32_t /*events*/) override { incoming.set(); }

    ListenerSetup setup;
    net::Readiness incoming;
    net::Scope scope;  ///< cancelled when nothing is to be accepted here any more
    Backlog backlog = Backlog::served;
};

WorkerThread::WorkerThread(unsigned index, unsigned count, observe::Statistics& statistics, std::string pseudonym,
                           ConnectionLimits& limits, boost::asio::thread_pool& background)
    : work_(boost::asio::make_work_guard(loop_)),
      limits_(limits),
      worker_(index, count, loop_, statistics, std::move(pseudonym)) {
    worker_.background = &background;
    worker_.make_room = [this] { return make_room(); };
    limits_.join(index, {.admit = [this] { post([this] { admit_newcomers(); }); },
                         .evict = [this] { post([this] { evict_oldest(); }); }});
}

WorkerThread::~WorkerThread() {
    end();
    join();
}

void WorkerThread::end() {
    if (!thread_.joinable() || std::exchange(ended_, true)) return;
    listen({}, Backlog::left, {});
    post([this] {
        leaving_ = true;
        for (auto& session : sessions_) session.end(net::Cause::shutting_down);
        check_drained();
    });
}

void WorkerThread::join() {
    if (thread_.joinable()) thread_.join();
}

void WorkerThread::start() {
    thread_ = std::thread{[this] {
        worker_.reactor.start();
        run_loop();
        // What belongs to the worker goes on its own thread: frames and buffers return to this thread's pools.
        worker_.keepalive.clear();
        worker_.access_log.reset();
        worker_.view.reset();
    }};
}

/// What a session throws ends that session. Whatever else is thrown on the loop ends nothing.
void WorkerThread::run_loop() {
    for (;;) {
        try {
            loop_.run();
            return;
        } catch (const std::exception& error) {
            log::error("work on a worker failed error={}", error.what());
        } catch (...) {
            log::error("work on a worker failed");
        }
    }
}

void WorkerThread::give(Order order) {
    post([this, order = std::move(order)]() mutable {
        orders_.push_back(std::move(order));
        if (orders_.size() == 1) carry_out();
    });
}

/// One after the other, as they were given. One that throws is over, as if it were done.
void WorkerThread::carry_out() {
    while (!orders_.empty()) {
        bool done = true;
        try {
            done = orders_.front()();
        } catch (const std::exception& error) {
            log::error("work on a worker failed error={}", error.what());
        }
        if (!done) return post([this] { carry_out(); });
        orders_.pop_front();
    }
}

void WorkerThread::use(std::shared_ptr<const forward::Snapshot> snapshot,
                       std::shared_ptr<observe::AccessLog> access_log, std::shared_ptr<void> done) {
    give([this, making = std::unique_ptr<forward::ViewInMaking>{}, snapshot = std::move(snapshot),
          access_log = std::move(access_log), done = std::move(done)]() mutable {
        // Its turn has come: what it takes the place of is there now.
        if (!making) making = std::make_unique<forward::ViewInMaking>(worker_, std::move(snapshot));
        const bool nobody_waits = worker_.view == nullptr;
        const auto view = making->advance(nobody_waits ? net::TimePoint::max() : net::Clock::now() + most_making);
        if (view) take(view, access_log);
        return view != nullptr;
    });
}

void WorkerThread::take(const forward::WorkerViewPtr& view, const std::shared_ptr<observe::AccessLog>& access_log) {
    // Held until the idle connections that count in what it holds are closed.
    const auto before = std::exchange(worker_.view, view);
    worker_.keepalive.retain(view->snapshot->endpoint_ids);
    recount_clients();
    if (access_log == worker_.access_log_target) return;
    worker_.access_log = access_log ? std::make_unique<observe::AccessLogBuffer>(access_log) : nullptr;
    worker_.access_log_target = access_log;
}

void WorkerThread::flush_access_log(std::shared_ptr<void> done) {
    post([this, done = std::move(done)] {
        if (worker_.access_log) worker_.access_log->flush();
    });
}

void WorkerThread::listen(std::vector<ListenerSetup> setups, Backlog backlog, std::function<void()> done) {
    give([this, setups = std::move(setups), backlog, done = std::move(done)]() mutable {
        if (done) listened_.push_back(std::move(done));
        accept_on(std::move(setups), backlog);
        check_listened();
        return true;
    });
}

void WorkerThread::accept_on(std::vector<ListenerSetup> setups, Backlog backlog) {
    for (auto& listener : listeners_) {
        const auto wanted = std::ranges::find_if(setups, [&](const ListenerSetup& setup) {
            return setup.descriptor == listener.setup.descriptor && !listener.scope.cancelled();
        });
        if (wanted == setups.end()) {
            listener.backlog = backlog;
            listener.scope.cancel(net::Cause::shutting_down);
        } else {
            listener.setup = std::move(*wanted);
            setups.erase(wanted);
        }
    }
    for (auto& setup : setups) {
        auto& listener = listeners_.emplace_back(worker_.reactor, std::move(setup));
        listener.incoming.set();
        if (listener.add(worker_.reactor, listener.setup.descriptor)) {
            begin_accepting(listener);
            continue;
        }
        log::error("cannot watch a listening socket address={}", listener.setup.address);
        listeners_.pop_back();
    }
}

/// Until it is told to end: after a failure it begins anew.
void WorkerThread::begin_accepting(Listener& listener) {
    net::spawn(accept(listener), [this, &listener](const std::exception_ptr& failure) {
        if (!failure || listener.scope.cancelled()) return end_listener(listener);
        log::error("accepting failed, and goes on address={}", listener.setup.address);
        listener.incoming.set();
        post([this, &listener] { begin_accepting(listener); });
    });
}

void WorkerThread::end_listener(Listener& ended) {
    ended.remove();
    listeners_.remove_if([&](const Listener& listener) { return &listener == &ended; });
    check_listened();
    check_drained();
}

void WorkerThread::check_listened() {
    if (std::ranges::any_of(listeners_, [](const Listener& listener) { return listener.scope.cancelled(); })) return;
    for (auto& done : std::exchange(listened_, {})) done();
}

/// Accepts one connection. False if there is none (errno is then 0), or it cannot be had (errno says why).
bool WorkerThread::accept_one(const Listener& listener) {
    net::SocketAddress peer;
    peer.size = sizeof peer.storage;
    const int descriptor = ::accept4(listener.setup.descriptor, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    worker_.reactor.worked(0);
    if (descriptor >= 0) {
        try {
            begin_session(listener, descriptor, peer.address());
            return true;
        } catch (const std::exception& failure) {
            log::error("a session cannot begin error={}", failure.what());
            errno = ENOMEM;
            return false;
        }
    }
    if (errno == ECONNABORTED || errno == EINTR) return true;
    // EINVAL is a unix socket that lets nobody new in, and has nobody left.
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINVAL) errno = 0;
    return false;
}

net::Task<void> WorkerThread::accept(Listener& listener) {
    for (;;) {
        const auto ready = co_await listener.incoming.wait(listener.scope);
        if (ready == net::Ready::cancelled) break;
        int error = 0;
        while (error == 0 && !worker_.reactor.turn_over()) {
            if (accept_one(listener)) continue;
            error = errno;
            if (error != 0) break;
            listener.incoming.clear();
            break;
        }
        if (error == 0) continue;
        log::warn("cannot accept address={} error={}", listener.setup.address, std::generic_category().message(error));
        if (worker_.keepalive.close_one() || make_room()) log::debug("made room for a connection");
        net::Pause pause{worker_.reactor, listener.scope, worker_.deadlines.list(exhausted_pause)};
        (void)co_await pause;
    }
    if (listener.backlog != Backlog::left) co_await accept_backlog(listener);
}

/// Who stands in the backlog of a socket that is about to be closed has been told that it is connected, and so has who
/// is in the middle of the handshake: all of them are accepted.
net::Task<void> WorkerThread::accept_backlog(Listener& listener) {
    const bool closes = listener.backlog == Backlog::served;
    if (closes) net::let_nobody_new_in(listener.setup.descriptor);
    net::Scope scope;  // the listener's own is over
    const auto looks_end = worker_.now() + (closes ? handshake_time : 0ms);
    for (int failures = 0; failures < most_failed_accepts && !leaving_;) {
        if (accept_one(listener)) {
            if (!worker_.reactor.turn_over()) continue;
            net::Yield others{worker_.reactor, scope};
            (void)co_await others;
            continue;
        }
        if (errno != 0)
            ++failures;
        else if (worker_.now() >= looks_end)
            co_return;
        net::Pause pause{worker_.reactor, scope, worker_.deadlines.list(errno != 0 ? exhausted_pause : handshake_time)};
        (void)co_await pause;
    }
}

void WorkerThread::begin_session(const Listener& listener, int descriptor, const base::IpAddress& peer) {
    if (leaving_) {
        ::close(descriptor);
        return;
    }
    const auto& setup = listener.setup;
    auto& counters = setup.counters->at(worker_.index);
    Accepted accepted{descriptor, peer, &counters, setup.proxy_protocol};
    if (accepted.proxy_protocol && !setup.proxy_protocol_from.empty())
        accepted.proxy_protocol = base::any_contains(setup.proxy_protocol_from, peer);
    accepted.admitted = limits_.try_begin();
    // Rather the client that has been silent longest goes than the one that has just come: see run_newcomer().
    if (!accepted.admitted && newcomer_count_ >= most_newcomers) {
        worker_.counters.rejected[observe::Reason::too_many_connections].add();
        ::close(descriptor);
        return;
    }

    auto& session = make_session(accepted);
    if (!session.opened()) return end_session(session);
    try {
        net::spawn(accepted.admitted ? session.run() : run_newcomer(session, setup.counters),
                   [this, &session](const std::exception_ptr& failure) { session_ended(session, failure); });
    } catch (...) {
        end_session(session);  // it has not begun
        throw;
    }
}

Session& WorkerThread::make_session(const Accepted& accepted) {
    try {
        auto& session = *new Session{*this, accepted};
        sessions_.push_back(session);
        if (accepted.admitted) count_in(session);
        return session;
    } catch (...) {
        ::close(accepted.descriptor);
        if (accepted.admitted) limits_.end(false);
        throw;
    }
}

void WorkerThread::session_ended(Session& session, const std::exception_ptr& failure) {
    if (failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            log::error("a session failed error={}", error.what());
        } catch (...) {
            log::error("a session failed");
        }
    }
    end_session(session);
}

void WorkerThread::count_in(Session& session) {
    session.admitted = true;
    session.counters().connections.add();
    session.counters().connections_total.add();
}

void WorkerThread::end_session(Session& session) {
    if (session.counted_client) limits_.end_client(session.address());
    if (session.admitted) session.counters().connections.sub();
    sessions_.erase(sessions_.iterator_to(session));
    const bool admitted = session.admitted;
    const bool evicted = session.evicted;
    delete &session;  // closes its connection
    if (admitted) limits_.end(evicted);
    check_drained();
}

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

void WorkerThread::drain(std::function<void()> drained) {
    post([this, drained = std::move(drained)]() mutable {
        worker_.draining = true;
        drained_ = std::move(drained);
        check_drained();
    });
}

void WorkerThread::close_idle() {
    post([this] {
        closes_idle_ = true;
        while (!idle_.empty()) {
            auto& session = idle_.front();
            note_busy(session);
            session.end(net::Cause::shutting_down);
        }
    });
}

void WorkerThread::end_tunnels() {
    post([this] {
        worker_.tunnels_end = true;
        for (auto& session : sessions_) session.end_tunnel();
    });
}

void WorkerThread::abort_exchanges() {
    post([this] {
        for (auto& session : sessions_) {
            if (!session.is_tunnel()) session.end(net::Cause::shutting_down);
        }
    });
}

void WorkerThread::abort_all() {
    post([this] {
        for (auto& session : sessions_) session.end(net::Cause::shutting_down);
    });
}

void WorkerThread::check_drained() {
    if (!sessions_.empty()) return;
    if (auto drained = std::exchange(drained_, {})) drained();
    // A listener's coroutine ends by itself soon after it was told to; the loop has to be there for that.
    if (!leaving_ || !listeners_.empty()) return;
    worker_.reactor.stop();
    work_.reset();
    loop_.stop();
}

}  // namespace nsboot_lb::server
