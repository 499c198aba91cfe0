#pragma once
/// A worker's loop for tests, without a worker: runs coroutines over real sockets until they are done, or for so long
/// that something must be wrong. For the test's thread only.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <future>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "nsboot_lb/net/reactor.hpp"
#include "nsboot_lb/net/stream.hpp"
#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/net/wait.hpp"

namespace nsboot_lb::net::testing {

using namespace std::chrono_literals;

/// Much longer than anything here takes, so that only a wait without an end reaches it.
inline constexpr auto patience = 20s;

/// Ends the process if it is not destroyed in time: a loop that waits cannot give up by itself, and the coroutines that
/// wait could not be destroyed.
class Watchdog {
  public:
    Watchdog()
        : thread_([over = over_.get_future()] {
              if (over.wait_for(patience) == std::future_status::ready) return;
              std::fputs("the coroutine did not end\n", stderr);
              std::abort();
          }) {}
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog() {
        over_.set_value();
        thread_.join();
    }

  private:
    std::promise<void> over_;
    std::thread thread_;
};

/// Runs `task` to its end on a loop that turns with `reactor`.
inline void run(boost::asio::io_context& io, Reactor& reactor, Task<void> task) {
    const Watchdog watchdog;
    bool done = false;
    std::exception_ptr failure;
    io.restart();
    reactor.start();
    spawn(std::move(task), [&](const std::exception_ptr& thrown) {
        failure = thrown;
        done = true;
        reactor.stop();
        io.stop();
    });
    if (!done) io.run();
    io.restart();
    io.poll();  // what stop() cancelled
    if (failure) std::rethrow_exception(failure);
}

struct Loop {
    boost::asio::io_context io{1};
    Deadlines deadlines;
    Reactor reactor{io, deadlines};

    void run(Task<void> task) { testing::run(io, reactor, std::move(task)); }

    /// Lets whoever is ready have a turn, also if an event says so that is there already.
    void turn() {
        run([](Reactor& reactor) -> Task<void> {
            Scope scope;
            for (int rounds = 0; rounds < 3; ++rounds) {
                Yield others{reactor, scope};
                const auto ready = co_await others;
                EXPECT_EQ(ready, Ready::ok);
            }
        }(reactor));
    }
};

/// A coroutine that waits once, and how that ended. Destroying it destroys the coroutine, wherever it is.
class Waiter {
  public:
    Waiter(Readiness& of, Scope& scope) { coroutine_.emplace(wait(of, scope, ended_)); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    std::optional<Ready> ended() const { return ended_; }
    void destroy() { coroutine_.reset(); }

  private:
    static Task<bool> wait(Readiness& of, Scope& scope, std::optional<Ready>& ended) {
        const auto ready = co_await of.wait(scope);
        ended = ready;
        co_return true;
    }
    std::optional<Ready> ended_;
    std::optional<detail::Beside<bool>> coroutine_;
};

/// Two ends of a connection, non-blocking.
inline std::array<int, 2> connected_pair() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    return ends;
}

/// The same over TCP, for what only TCP has.
inline std::array<int, 2> connected_tcp_pair() {
    const auto require = [](bool good, const char* what) {
        if (!good) throw std::system_error(errno, std::generic_category(), what);
    };
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(listener >= 0, "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    require(bind(listener, any, size) == 0 && listen(listener, 1) == 0, "listen");
    require(getsockname(listener, any, &size) == 0, "getsockname");
    const int connecting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(connecting >= 0 && connect(connecting, any, size) == 0, "connect");
    const int accepted = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    require(accepted >= 0, "accept4");
    close(listener);
    require(fcntl(connecting, F_SETFL, O_NONBLOCK) == 0, "fcntl");  // blocking until here: connect() is over
    return {connecting, accepted};
}

/// All that is there now.
inline std::string received_on(int descriptor) {
    std::string all;
    std::array<char, 65536> bytes{};
    for (;;) {
        const auto got = ::recv(descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (got <= 0) return all;
        all.append(bytes.data(), static_cast<std::size_t>(got));
    }
}

/// The end of a connection that is in the hands of the test.
class Peer {
  public:
    explicit Peer(int descriptor) : descriptor_(descriptor) {}
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer() { close(); }

    int descriptor() const { return descriptor_; }
    void send(std::string_view bytes) const {
        EXPECT_EQ(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    std::string received() const { return received_on(descriptor_); }
    /// Hands the descriptor over. A duplicate would stay in an epoll set that it is thought to have left.
    int release() { return std::exchange(descriptor_, -1); }
    void shutdown() const { ::shutdown(descriptor_, SHUT_WR); }
    void close() {
        if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    }

  private:
    int descriptor_;
};

}  // namespace nsboot_lb::net::testing
