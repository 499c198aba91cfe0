#include "lifecycle.hpp"

#include <csignal>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include "handover.hpp"

namespace nsboot_lb::wiring {

namespace log = observe::log;

Lifecycle::Lifecycle(boost::asio::io_context& control, Signals& signals, server::Server& server, Service& service,
                     Admin& admin, CommandLine command)
    : control_(control),
      signals_(signals),
      server_(server),
      service_(service),
      admin_(admin),
      upgrade_(
          control, std::move(command), [this](pid_t successor) { leave_to(successor); }, [this] { end_upgrade(); }) {}

void Lifecycle::begin(std::optional<int> predecessor) {
    signals_.handle([this](int signal) { handle(signal); });
    if (!predecessor) return serve_alone();
    predecessor_.emplace(control_, *predecessor);
    predecessor_->replace([this] { serve_alone(); });
}

void Lifecycle::serve_alone() {
    log::info("ready");
    admin_.keep_sockets();
    service_.ready(server_.config());
}

void Lifecycle::handle(int signal) {
    switch (signal) {
        case SIGHUP: return reload();
        case SIGUSR1: return server_.reopen_logs();
        case SIGUSR2: return upgrade();
        default: return stop();
    }
}

void Lifecycle::reload() {
    // One that waits for another to end will read the file as it is then.
    if (reloads_ == 2) return;
    ++reloads_;
    boost::asio::co_spawn(control_, admin_.reload(), [this](std::exception_ptr failure, const admin::ReloadResult&) {
        --reloads_;
        if (failure) std::rethrow_exception(failure);  // to be logged by whoever runs the loop
    });
}

void Lifecycle::upgrade() {
    if (server_.draining()) return log::warn("not upgrading: this process is about to end");
    if (std::exchange(upgrading_, true)) return log::warn("not upgrading: an upgrade is going on");
    boost::asio::co_spawn(control_, begin_upgrade(), [this](std::exception_ptr failure) {
        if (!failure) return;
        end_upgrade();
        std::rethrow_exception(failure);  // to be logged by whoever runs the loop
    });
}

boost::asio::awaitable<void> Lifecycle::begin_upgrade() {
    no_reload_.emplace(co_await admin_.hold_reloads());
    if (server_.draining()) {
        log::warn("not upgrading: this process is about to end");
    } else {
        server_.share_sockets();
        upgrade_.begin({.sockets = admin_.sockets(), .servers = server_.memories()});
    }
    if (!upgrade_.going_on()) end_upgrade();
}

void Lifecycle::end_upgrade() {
    upgrading_ = false;
    no_reload_.reset();
}

void Lifecycle::leave_to(pid_t successor) {
    log::info("upgraded: the new process serves, this one finishes what it has pid={}", successor);
    service_.hand_over(successor);
    server_.leave([this] { one_left(); });
    no_reload_.reset();
    // Who asked for a reload meanwhile is told that there is none any more.
    boost::asio::co_spawn(control_, admin_.leave(), [this](std::exception_ptr failure) {
        upgrade_.release();
        one_left();
        if (failure) std::rethrow_exception(failure);
    });
}

/// With nothing in flight the server has left before the last is told.
void Lifecycle::one_left() {
    if (--to_leave_ == 0) control_.stop();
}

void Lifecycle::stop() {
    if (stopping_) {
        log::warn("stopping at once");
        control_.stop();
        return;
    }
    stopping_ = true;
    log::info("draining");
    upgrade_.cancel();
    service_.stopping();
    server_.drain([this] { control_.stop(); });
}

}  // namespace nsboot_lb::wiring
