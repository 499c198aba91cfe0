#include "upgrade.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::wiring {

namespace asio = boost::asio;
namespace log = observe::log;
using boost::system::error_code;

namespace {

/// From the start of the new process until it serves: it may have names to look up and files to read.
constexpr std::chrono::seconds patience{60};

/// A descriptor that is closed with it.
class Descriptor {
  public:
    explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
    Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Descriptor() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

std::string error_text(int error) {
    return std::generic_category().message(error);
}

/// A file without a name that holds the text, to be read from its beginning.
Descriptor document_of(const std::string& text) {
    Descriptor file{::memfd_create("nsboot-lb-handover", MFD_CLOEXEC)};
    for (std::size_t written = 0; file.get() >= 0 && written < text.size();) {
        const auto count = ::write(file.get(), text.data() + written, text.size() - written);
        if (count < 0 && errno != EINTR) return Descriptor{};
        if (count > 0) written += static_cast<std::size_t>(count);
    }
    return file;
}

/// This process' environment with the announcement in it, and without what systemd meant for this process alone.
std::vector<std::string> successor_environment() {
    std::vector<std::string> all;
    for (char** variable = environ; *variable != nullptr; ++variable)
        if (!std::string_view{*variable}.starts_with("WATCHDOG_PID=")) all.emplace_back(*variable);
    all.push_back(std::string{handover_variable} + "=" + std::to_string(::getpid()));
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

/// Gives the successor `descriptors` as first, first + 1 and so on, and nothing else beside the standard streams.
class SpawnActions {
  public:
    SpawnActions(int first, const std::vector<int>& descriptors) {
        ::posix_spawn_file_actions_init(&actions_);
        const int above = first + static_cast<int>(descriptors.size());
        for (std::size_t i = 0; i < descriptors.size(); ++i) {
            // Copied out of the way first, else one could take another's number before that one is copied.
            copies_.emplace_back(::fcntl(descriptors[i], F_DUPFD_CLOEXEC, above));
            ::posix_spawn_file_actions_adddup2(&actions_, copies_.back().get(), first + static_cast<int>(i));
        }
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, above);
    }
    ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
    bool complete() const {
        return std::ranges::all_of(copies_, [](const Descriptor& copy) { return copy.get() >= 0; });
    }
    const posix_spawn_file_actions_t* get() const { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_{};
    std::vector<Descriptor> copies_;
};

/// The process id, or errno.
std::expected<pid_t, int> spawn(const CommandLine& command, const std::vector<int>& descriptors) {
    auto arguments = command.arguments();
    auto environment = successor_environment();
    const SpawnActions actions{document_descriptor, descriptors};
    if (!actions.complete()) return std::unexpected{EMFILE};
    pid_t process = 0;
    const int error = ::posix_spawn(&process, command.program().c_str(), actions.get(), nullptr,
                                    pointers(arguments).data(), pointers(environment).data());
    if (error != 0) return std::unexpected{error};
    return process;
}

}  // namespace

CommandLine::CommandLine(int count, char** arguments) : arguments_(arguments, arguments + count) {
    namespace fs = std::filesystem;
    std::error_code error;
    const bool named_by_path = count > 0 && arguments_.front().contains('/');
    const auto path =
        named_by_path ? fs::absolute(arguments_.front(), error) : fs::read_symlink("/proc/self/exe", error);
    program_ = path.string();
}

Upgrade::Upgrade(asio::io_context& control, CommandLine command, std::function<void(pid_t)> serving,
                 std::function<void()> failed)
    : command_(std::move(command)),
      serving_(std::move(serving)),
      failed_(std::move(failed)),
      channel_(control),
      end_(control),
      patience_(control) {}

Upgrade::~Upgrade() = default;

void Upgrade::begin(const Handover& ours) {
    Handover theirs = ours;
    std::vector<int> descriptors{-1, -1};
    for (auto& socket : theirs.sockets) {
        for (int& descriptor : socket.descriptors) {
            const auto number = document_descriptor + static_cast<int>(descriptors.size());
            descriptors.push_back(std::exchange(descriptor, number));
        }
    }
    const auto document = document_of(to_json(theirs));
    std::array<int, 2> ends{-1, -1};
    if (document.get() < 0 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return log::error("upgrade failed, this process goes on serving error={}", error_text(errno));
    const Descriptor far_end{ends[1]};
    error_code error;
    channel_.assign(asio::local::stream_protocol{}, ends[0], error);
    if (error) {
        ::close(ends[0]);
        return log::error("upgrade failed, this process goes on serving error={}", error.message());
    }
    descriptors[0] = document.get();
    descriptors[1] = far_end.get();
    const auto started = spawn(command_, descriptors);
    if (!started) {
        log::error("upgrade failed, this process goes on serving program={} error={}", command_.program(),
                   error_text(started.error()));
        return channel_.close();
    }
    successor_ = *started;
    log::info("upgrading: the new process starts pid={} program={}", successor_, command_.program());
    await_word();
    await_end(static_cast<int>(::syscall(SYS_pidfd_open, successor_, 0)));
}

void Upgrade::await_word() {
    patience_.expires_after(patience);
    patience_.async_wait([this](const error_code& error) {
        if (!error) give_up("it took too long to serve");
    });
    asio::async_read(channel_, asio::buffer(word_), [this](const error_code& error, std::size_t) {
        if (error || successor_ == 0) return;  // await_end() knows more
        patience_.cancel();
        serves_ = true;
        serving_(successor_);
    });
}

void Upgrade::await_end(int process_descriptor) {
    error_code unwatched;
    if (process_descriptor >= 0) end_.assign(process_descriptor, unwatched);
    if (process_descriptor < 0 || unwatched) {
        if (unwatched) ::close(process_descriptor);
        give_up("it cannot be watched");
        return ended();
    }
    end_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
        if (!error) ended();
    });
}

/// It is a child of ours that nobody has waited for, so the number is certainly its own. A timer may come when there is
/// none any more; 0 would be this process' whole group.
void Upgrade::give_up(const char* why) {
    if (successor_ == 0) return;
    log::error("upgrade: ending the new process pid={} reason={}", successor_, why);
    ::kill(successor_, SIGKILL);
}

void Upgrade::ended() {
    int status = 0;
    while (::waitpid(successor_, &status, 0) < 0 && errno == EINTR) {
    }
    const auto end = WIFEXITED(status) ? "status " + std::to_string(WEXITSTATUS(status))
                                       : "signal " + std::to_string(WTERMSIG(status));
    if (serves_)
        log::warn("the process that took over ended pid={} end={}", successor_, end);
    else
        log::error("upgrade failed, this process goes on serving pid={} end={}", successor_, end);
    successor_ = 0;
    const bool failed = !std::exchange(serves_, false);
    patience_.cancel();
    error_code ignored;
    channel_.close(ignored);
    end_.close(ignored);
    if (failed) failed_();
}

void Upgrade::cancel() {
    if (going_on() && !serves_) give_up("this process is told to stop");
}

void Upgrade::release() {
    asio::async_write(channel_, asio::buffer(word_yours), [this](const error_code&, std::size_t) {
        error_code ignored;
        channel_.close(ignored);
    });
}

}  // namespace nsboot_lb::wiring
