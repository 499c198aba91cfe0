/// systemd's watchdog (sd_watchdog_enabled(3)): fed as long as every loop turns, and no longer.
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <poll.h>
#include <string>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "daemon.hpp"

namespace nsboot_lb::test {
namespace {

/// Where systemd would listen.
class Manager {
  public:
    Manager() : descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw Failure("cannot bind the manager's socket");
    }
    ~Manager() { ::close(descriptor_); }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    std::string path() const { return (directory_.path() / "notify").string(); }
    /// Whether the watchdog is fed within that time.
    bool is_fed(std::chrono::milliseconds time) const {
        const auto deadline = std::chrono::steady_clock::now() + time;
        while (true) {
            while (true) {
                const auto notice = next();
                if (notice.empty()) break;
                if (notice.starts_with("WATCHDOG=1")) return true;
            }
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            pollfd ready{descriptor_, POLLIN, 0};
            if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) return false;
        }
    }
    void forget() const {
        while (!next().empty()) continue;
    }

  private:
    std::string next() const {
        std::string text(4096, '\0');
        const auto size = ::recv(descriptor_, text.data(), text.size(), 0);
        text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return text;
    }

    TemporaryDirectory directory_;
    int descriptor_;
};

/// Holds every thread of a child but its first, as a debugger does.
class Held {
  public:
    explicit Held(pid_t process) {
        for (const auto& entry : std::filesystem::directory_iterator{"/proc/" + std::to_string(process) + "/task"}) {
            const auto thread = static_cast<pid_t>(std::stol(entry.path().filename().string()));
            if (thread == process) continue;
            if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0) {
                error_ = errno;
                return;
            }
            threads_.push_back(thread);
            ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);
            ::waitpid(thread, nullptr, __WALL);
        }
    }
    ~Held() {
        for (const pid_t thread : threads_) ::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    int error() const { return error_; }

  private:
    std::vector<pid_t> threads_;
    int error_ = 0;
};

TEST(Watchdog, IsNotFedWhileAWorkerStandsStill) {
    using namespace std::chrono_literals;
    const Manager manager;
    const Daemon daemon{R"(
workers: 2
listeners: [{address: "127.0.0.1:0"}]
pools: {p: {servers: ["127.0.0.1:81"]}}
routes: [{pool: p}]
)",
                        {},
                        {"NOTIFY_SOCKET=" + manager.path(), "WATCHDOG_USEC=100000"}};
    ASSERT_TRUE(manager.is_fed(patience));
    {
        const Held held{daemon.pid()};
        if (held.error() == EPERM) GTEST_SKIP() << "no thread can be held here";
        ASSERT_EQ(held.error(), 0);
        // What all had answered before may be on its way yet.
        manager.is_fed(100ms);
        manager.forget();
        EXPECT_FALSE(manager.is_fed(500ms));
    }
    EXPECT_TRUE(manager.is_fed(patience));
}

}  // namespace
}  // namespace nsboot_lb::test
