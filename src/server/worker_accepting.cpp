/// WorkerThread where connections begin and end: its listening sockets, their backlogs, its sessions.
#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "nsboot_lb/net/socket_address.hpp"
#include "nsboot_lb/net/socket_options.hpp"
#include "nsboot_lb/observe/log.hpp"
#include "worker_listener.hpp"
#include "worker_thread.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

using namespace std::chrono_literals;

/// Accepted connections that wait for room, on one worker.
constexpr std::size_t most_newcomers = 128;
/// How long to leave connections in the backlog when there are no descriptors for them.
constexpr std::chrono::milliseconds exhausted_pause{100};
/// What is left of a handshake takes no longer, on a network that boots machines.
constexpr std::chrono::milliseconds handshake_time{20};
constexpr int most_failed_accepts = 20;  ///< of a backlog that is the last

}  // namespace

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

}  // namespace nsboot_lb::server
