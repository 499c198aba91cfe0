#include "process.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.hpp"

namespace nsboot_lb::test {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

std::array<int, 2> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Failure("pipe2");
    return ends;
}

/// Waits until the process has ended, without reaping it.
bool await_end_of(pid_t pid, std::chrono::milliseconds time) {
    const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (descriptor < 0) throw Failure("pidfd_open");
    pollfd polled{descriptor, POLLIN, 0};
    int ready = 0;
    while ((ready = ::poll(&polled, 1, static_cast<int>(time.count()))) < 0 && errno == EINTR) {
    }
    ::close(descriptor);
    return ready > 0;
}

}  // namespace

Process::Process(std::vector<std::string> arguments, std::vector<std::string> environment) {
    const auto standard = make_pipe();
    const auto error = make_pipe();
    for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
    const auto argument_pointers = pointers(arguments);
    const auto environment_pointers = pointers(environment);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw Failure("fork");
    if (pid_ == 0) {
        // Between fork and exec only calls that are safe in a signal handler.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(127);
        ::dup2(standard[1], STDOUT_FILENO);
        ::dup2(error[1], STDERR_FILENO);
        ::execve(argument_pointers[0], argument_pointers.data(), environment_pointers.data());
        ::_exit(127);
    }
    ::close(standard[1]);
    ::close(error[1]);
    standard_reader_ = std::jthread{[this, from = standard[0]] { capture(from, standard_); }};
    error_reader_ = std::jthread{[this, from = error[0]] { capture(from, error_); }};
}

Process::~Process() {
    if (running()) {
        signal(SIGKILL);
        wait_exit(patience);
    }
}

void Process::capture(int descriptor, Captured& captured) {
    std::array<char, 16 * 1024> block{};
    while (true) {
        const auto count = ::read(descriptor, block.data(), block.size());
        if (count < 0 && errno == EINTR) continue;
        const std::lock_guard lock{mutex_};
        changed_.notify_all();
        if (count <= 0) {
            captured.ended = true;
            break;
        }
        captured.text.append(block.data(), static_cast<std::size_t>(count));
    }
    ::close(descriptor);
}

void Process::signal(int number) const {
    if (!status_) ::kill(pid_, number);
}

bool Process::running() {
    return !wait_exit(std::chrono::milliseconds{0});
}

std::optional<int> Process::wait_exit(std::chrono::milliseconds time) {
    if (status_) return status_;
    if (!await_end_of(pid_, time)) return std::nullopt;
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, patience, [&] { return standard_.ended && error_.ended; });
    return status_;
}

std::string Process::output(Output which) const {
    const std::lock_guard lock{mutex_};
    return captured(which).text;
}

std::string Process::await_line(Output which, std::string_view text, std::size_t from) const {
    const Captured& seen = captured(which);
    std::string line;
    const auto there = [&] {
        const auto at = seen.text.find(text, from);
        const auto end = at == seen.text.npos ? at : seen.text.find('\n', at);
        if (end == seen.text.npos) return seen.ended;
        const auto begin = at == 0 ? 0 : seen.text.rfind('\n', at - 1) + 1;
        line = seen.text.substr(begin, end - begin);
        return true;
    };
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, patience, there);
    if (line.empty()) {
        throw Failure("no line with \"" + std::string{text} + "\" came; the output was:\n" + seen.text.substr(from));
    }
    return line;
}

Completed run(std::vector<std::string> arguments, std::vector<std::string> environment) {
    const std::string program = arguments.front();
    Process process{std::move(arguments), std::move(environment)};
    const auto status = process.wait_exit(patience);
    if (!status) throw Failure(program + " does not end; it wrote:\n" + process.output(Output::error));
    return {*status, process.output(Output::standard), process.output(Output::error)};
}

}  // namespace nsboot_lb::test
