#include "drain.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

#include "nsboot_lb/forward/end_tunnel.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// Clients that keep a connection alive get this long to send one more request and be told to close.
constexpr std::chrono::milliseconds idle_grace{1000};
/// After it no tunnel is left that is able to end by itself.
constexpr std::chrono::milliseconds last_grace = 2 * forward::tunnel_grace;

}  // namespace

void Drain::finish(std::chrono::milliseconds limit, std::function<void()> done) {
    accept_no_more(listeners_.kept_by_others() ? Backlog::taken : Backlog::served, std::move(done));
    const auto grace = std::min(idle_grace, limit);
    after(grace, [this, left = limit - grace] {
        close_idle();
        after(left, [this] { end_all(); });
    });
}

void Drain::leave(std::chrono::milliseconds limit, std::function<void()> done) {
    listeners_.keep_files();
    accept_no_more(Backlog::left, std::move(done));
    after(limit, [this] {
        close_idle();
        end_tunnels();
        log::info("waiting for what is in flight connections={}", limits_.count());
    });
}

void Drain::accept_no_more(Backlog backlog, std::function<void()> done) {
    done_ = std::move(done);
    if (std::exchange(begun_, true)) return;
    listening_ = workers_.size();
    busy_ = workers_.size();
    for (auto& worker : workers_) {
        worker->listen({}, backlog, [this, &worker] {
            boost::asio::post(control_, [this] { one_listens_no_more(); });
            worker->drain([this] { boost::asio::post(control_, [this] { one_drained(); }); });
        });
    }
}

/// Runs `next` then, unless everything has ended before or the plan has changed.
template <class Next>
void Drain::after(std::chrono::milliseconds time, Next next) {
    timer_.expires_after(time);
    timer_.async_wait([next = std::move(next)](const boost::system::error_code& error) {
        if (!error) next();
    });
}

void Drain::close_idle() {
    for (auto& worker : workers_) worker->close_idle();
}

/// Tells the clients of tunnels that the daemon goes away; tunnels, those that begin later too, are over within
/// forward::tunnel_grace. Nothing else is touched.
void Drain::end_tunnels() {
    for (auto& worker : workers_) worker->end_tunnels();
}

void Drain::end_all() {
    log::warn("drain timeout: ending what is still in flight connections={}", limits_.count());
    end_tunnels();
    give_up_();
    for (auto& worker : workers_) worker->abort_exchanges();
    after(last_grace, [this] {
        for (auto& worker : workers_) worker->abort_all();
    });
}

/// New connections are refused once no worker would accept them.
void Drain::one_listens_no_more() {
    if (--listening_ == 0) listeners_.close();
}

void Drain::one_drained() {
    if (--busy_ != 0) return;
    timer_.cancel();
    if (auto done = std::exchange(done_, {})) done();
}

}  // namespace nsboot_lb::server
