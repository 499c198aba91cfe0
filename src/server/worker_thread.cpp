#include "worker_thread.hpp"

#include <algorithm>
#include <utility>

#include "nsboot_lb/observe/log.hpp"
#include "worker_listener.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// How long the loop makes a view at a time.
constexpr std::chrono::milliseconds most_making{1};

}  // namespace

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
        } catch (...) {
            log::error("work on a worker failed");
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
