#pragma once
/// Clients and servers that send one thing over and over, as fast as it is taken, and take whatever comes to them: the
/// worst that a peer can do to a loop. All are on one thread, so that they cost the machine no more than one core. Made
/// by the test's thread.
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <list>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "address.hpp"
#include "wire.hpp"

namespace nsboot_lb::test {

class Torrent {
  public:
    Torrent() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), stop_(::eventfd(0, EFD_CLOEXEC)) {
        if (epoll_ < 0 || stop_ < 0) throw Failure("epoll or eventfd");
        watch(stop_, EPOLLIN, nullptr);
    }
    Torrent(const Torrent&) = delete;
    Torrent& operator=(const Torrent&) = delete;
    ~Torrent() {
        const std::uint64_t one = 1;
        (void)!::write(stop_, &one, sizeof one);
        if (thread_.joinable()) thread_.join();
        for (const auto& end : ends_) ::close(end.descriptor);
        ::close(stop_);
        ::close(epoll_);
    }

    /// A server, before start(): to whoever asks anything it says `begin`, and then `unit` without end. Its address.
    std::string serve(std::string begin, std::string unit) {
        auto& end = ends_.emplace_back(listen_on("", 0, 1024), std::move(begin), std::move(unit));
        end.listens = true;
        watch(end.descriptor, EPOLLIN, &end);
        return "127.0.0.1:" + std::to_string(local_port(end.descriptor));
    }
    /// Clients that say `begin`, and then `unit` without end.
    void ask(std::uint16_t port, const std::string& begin, const std::string& unit, int clients = 1) {
        for (int i = 0; i < clients; ++i) {
            auto& end = ends_.emplace_back(connect_to("127.0.0.1", port, ""), begin, unit);
            ::fcntl(end.descriptor, F_SETFL, O_NONBLOCK);
            watch(end.descriptor, EPOLLIN | EPOLLOUT, &end);
        }
    }
    void start() {
        thread_ = std::jthread{[this] { run(); }};
    }

  private:
    struct End {
        End(int with, std::string first, std::string again)
            : descriptor(with), begin(std::move(first)), unit(std::move(again)) {}
        int descriptor;
        std::string begin;
        std::string unit;
        std::size_t sent = 0;
        bool listens = false;
        bool asked = true;
    };

    void watch(int descriptor, std::uint32_t events, End* end, int operation = EPOLL_CTL_ADD) const {
        epoll_event event{};
        event.events = events;
        event.data.ptr = end;
        if (::epoll_ctl(epoll_, operation, descriptor, &event) != 0) throw Failure("epoll_ctl");
    }
    void run() {
        std::array<epoll_event, 64> events{};
        while (true) {
            const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                const auto& event = events.at(static_cast<std::size_t>(i));
                if (event.data.ptr == nullptr) return;
                auto& end = *static_cast<End*>(event.data.ptr);
                if (end.listens) {
                    accept(end);
                } else if (!take(end) || !send(end)) {
                    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, end.descriptor, nullptr);
                    ::shutdown(end.descriptor, SHUT_RDWR);
                }
            }
        }
    }
    void accept(const End& listening) {
        const int descriptor = ::accept4(listening.descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) return;
        auto& end = ends_.emplace_back(descriptor, listening.begin, listening.unit);
        end.asked = false;
        watch(descriptor, EPOLLIN, &end);
    }
    bool take(End& end) const {
        // The kernel throws them away by itself (tcp(7)).
        const auto count = ::recv(end.descriptor, nullptr, 1UL << 20U, MSG_TRUNC | MSG_DONTWAIT);
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        if (count > 0 && !end.asked) {
            end.asked = true;
            if (!end.begin.empty() || !end.unit.empty()) watch(end.descriptor, EPOLLIN | EPOLLOUT, &end, EPOLL_CTL_MOD);
        }
        return count > 0;
    }
    bool send(End& end) const {
        if (!end.asked) return true;
        const std::string& bytes = end.begin.empty() ? end.unit : end.begin;
        if (bytes.empty()) {
            watch(end.descriptor, EPOLLIN, &end, EPOLL_CTL_MOD);
            return true;
        }
        const auto count =
            ::send(end.descriptor, bytes.data() + end.sent, bytes.size() - end.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        end.sent += static_cast<std::size_t>(count);
        if (end.sent == bytes.size()) {
            end.sent = 0;
            end.begin.clear();
        }
        return true;
    }

    int epoll_;
    int stop_;
    std::list<End> ends_;  ///< after start() of the thread alone
    std::jthread thread_;
};

/// The same bytes over and over, as many as make up about a quarter of a mebibyte.
inline std::string repeated(std::string_view bytes) {
    constexpr std::size_t enough_bytes = 256UL * 1024;
    std::string all;
    while (all.size() < enough_bytes) all += bytes;
    return all;
}

}  // namespace nsboot_lb::test
