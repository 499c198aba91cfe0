#include "signals.hpp"

#include <array>
#include <csignal>
#include <utility>

namespace nsboot_lb::wiring {

namespace {

constexpr std::array handled{SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};

}  // namespace

Signals::Signals(boost::asio::io_context& control) : signals_(control) {
    for (const int number : handled) signals_.add(number);
}

Signals::~Signals() {
    sigset_t all;
    sigemptyset(&all);
    for (const int number : handled) sigaddset(&all, number);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

void Signals::handle(std::function<void(int)> handler) {
    handler_ = std::move(handler);
    wait();
}

void Signals::wait() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
        if (error) return;
        wait();  // first: no trouble with one signal makes the daemon deaf to the next
        handler_(signal);
    });
}

}  // namespace nsboot_lb::wiring
