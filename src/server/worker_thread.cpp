#include "worker_thread.hpp"

#include <algorithm>
#include <cerrno>
#include <future>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include "nsboot_lb/net/pause.hpp"
#include "nsboot_lb/net/socket_address.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// Accepts in one turn before others get theirs.
constexpr int most_accepts_per_turn = 128;
/// How long to leave connections in the backlog when there are no descriptors for them.
constexpr std::chrono::milliseconds exhausted_pause{100};

}  // namespace

struct WorkerThread::Listener {
    explicit Listener(ListenerSetup with) : setup(std::move(with)) {}
    ListenerSetup setup;
    net::Source source;
    bool leaving = false;
};

WorkerThread::WorkerThread(unsigned index, unsigned count, observe::Statistics& statistics, std::string pseudonym,
                           ConnectionLimits& limits, boost::asio::thread_pool& background)
    : work_(boost::asio::make_work_guard(loop_)),
      limits_(limits),
      worker_(index, count, loop_, statistics, std::move(pseudonym)) {
    worker_.background = &background;
}

WorkerThread::~WorkerThread() {
    if (!thread_.joinable()) return;
    listen({}, {});
    post([this] {
        leaving_ = true;
        for (auto& session : sessions_) session.abort();
        check_drained();
    });
    thread_.join();
}

void WorkerThread::start() {
    thread_ = std::thread{[this] {
        worker_.reactor.start();
        loop_.run();
        // What belongs to the worker goes on its own thread: frames and buffers return to this thread's pools.
        worker_.keepalive.clear();
        worker_.access_log.reset();
        worker_.view.reset();
    }};
}

void WorkerThread::use(std::shared_ptr<const forward::Snapshot> snapshot,
                       std::shared_ptr<observe::AccessLog> access_log, std::shared_ptr<void> done) {
    post([this, snapshot = std::move(snapshot), access_log = std::move(access_log), done = std::move(done)] {
        // Held until the idle connections that count in what it holds are closed.
        const auto before =
            std::exchange(worker_.view, forward::WorkerViewPtr{new forward::WorkerView{worker_, snapshot}});
        std::vector<std::uint64_t> endpoints;
        for (const auto& pool : snapshot->pools) {
            for (const auto& endpoint : pool->endpoints()) endpoints.push_back(endpoint.id());
        }
        std::ranges::sort(endpoints);
        worker_.keepalive.retain(endpoints);
        if (access_log == worker_.access_log_target) return;
        worker_.access_log = access_log ? std::make_unique<observe::AccessLogBuffer>(access_log) : nullptr;
        worker_.access_log_target = access_log;
    });
}

void WorkerThread::flush_access_log(std::shared_ptr<void> done) {
    post([this, done = std::move(done)] {
        if (worker_.access_log) worker_.access_log->flush();
    });
}

void WorkerThread::listen(std::vector<ListenerSetup> setups, std::function<void()> done) {
    post([this, setups = std::move(setups), done = std::move(done)]() mutable {
        if (done) listened_.push_back(std::move(done));
        for (auto& listener : listeners_) {
            const auto wanted = std::ranges::find_if(setups, [&](const ListenerSetup& setup) {
                return setup.descriptor == listener.setup.descriptor && !listener.leaving;
            });
            if (wanted == setups.end()) {
                listener.leaving = true;
                listener.source.end_read(net::Ready::cancelled);
            } else {
                listener.setup = std::move(*wanted);
                setups.erase(wanted);
            }
        }
        for (auto& setup : setups) {
            auto& listener = listeners_.emplace_back(std::move(setup));
            if (!listener.source.add(worker_.reactor, listener.setup.descriptor, true, false)) {
                log::error("cannot watch a listening socket address={}", listener.setup.address);
                listeners_.pop_back();
                continue;
            }
            net::spawn(accept(listener), [this, &listener](const std::exception_ptr& failure) {
                if (failure) log::error("a listener failed address={}", listener.setup.address);
                end_listener(listener);
            });
        }
        check_listened();
    });
}

void WorkerThread::end_listener(Listener& ended) {
    ended.source.remove();
    listeners_.remove_if([&](const Listener& listener) { return &listener == &ended; });
    check_listened();
    check_drained();
}

void WorkerThread::check_listened() {
    if (std::ranges::any_of(listeners_, &Listener::leaving)) return;
    for (auto& done : std::exchange(listened_, {})) done();
}

net::Task<void> WorkerThread::accept(Listener& listener) {
    while (!listener.leaving) {
        const auto ready = co_await listener.source.wait_readable();
        // A listener that leaves takes what is in its backlog along: those clients have been told they are connected.
        (void)ready;
        int error = 0;
        for (int i = 0; i < most_accepts_per_turn && error == 0; ++i) {
            net::SocketAddress peer;
            peer.size = sizeof peer.storage;
            const int descriptor = ::accept4(listener.setup.descriptor, reinterpret_cast<sockaddr*>(&peer.storage),
                                             &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (descriptor >= 0)
                begin_session(listener, descriptor, peer.address());
            else if (errno != ECONNABORTED && errno != EINTR)
                error = errno;
        }
        if (error == EAGAIN || error == EWOULDBLOCK) {
            listener.source.would_block_reads();
        } else if (error != 0 && !listener.leaving) {
            log::warn("cannot accept address={} error={}", listener.setup.address,
                      std::generic_category().message(error));
            net::Pause pause{worker_.reactor, worker_.deadlines.list(exhausted_pause)};
            co_await pause;
        }
    }
}

void WorkerThread::begin_session(const Listener& listener, int descriptor, const base::IpAddress& peer) {
    if (!limits_.begin(peer)) {
        worker_.counters.rejected[observe::Reason::too_many_connections].add();
        ::close(descriptor);
        return;
    }
    // Rather the client that has been silent longest than the one that has just come.
    if (limits_.exceeded() && !waiting_.empty()) {
        waiting_.front().end_if_waiting();
        waiting_.pop_front();
        worker_.counters.rejected[observe::Reason::too_many_connections].add();
    }
    const auto& setup = listener.setup;
    auto& counters = setup.counters->at(worker_.index);
    Accepted accepted{descriptor, peer, &counters, setup.proxy_protocol};
    if (accepted.proxy_protocol && !setup.proxy_protocol_from.empty())
        accepted.proxy_protocol = base::any_contains(setup.proxy_protocol_from, peer);

    auto* session = new Session{*this, accepted};
    sessions_.push_back(*session);
    counters.connections.add();
    counters.connections_total.add();
    if (!session->opened()) return end_session(*session);
    net::spawn(session->run(), [this, session](const std::exception_ptr& failure) {
        if (failure) {
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception& error) {
                log::error("a session failed error={}", error.what());
            } catch (...) {
                log::error("a session failed");
            }
        }
        end_session(*session);
    });
}

void WorkerThread::end_session(Session& session) {
    limits_.end(session.peer());
    session.counters().connections.sub();
    sessions_.erase(sessions_.iterator_to(session));
    delete &session;
    check_drained();
}

void WorkerThread::note_waiting(Session& session) {
    waiting_.push_back(session);
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
        for (auto& session : sessions_) session.end_if_waiting();
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
            if (!session.is_tunnel()) session.abort();
        }
    });
}

void WorkerThread::abort_all() {
    post([this] {
        for (auto& session : sessions_) session.abort();
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
