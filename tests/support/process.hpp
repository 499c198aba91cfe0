#pragma once
/// A child process whose output is captured line by line while it runs. Owned by the test; its methods may be called by
/// any thread of it. The destructor kills the child if it still runs; the kernel does if the test itself dies.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace nsboot_lb::test {

enum class Output { standard, error };

class Process {
  public:
    /// `arguments[0]` is the program's path. `environment` ("NAME=value") is added to the test's own.
    explicit Process(std::vector<std::string> arguments, std::vector<std::string> environment = {});
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    void signal(int number) const;
    /// The exit status once it has ended (128 + signal if one killed it); nothing if it still runs after `time`.
    std::optional<int> wait_exit(std::chrono::milliseconds time);
    bool running();
    pid_t pid() const { return pid_; }

    std::string output(Output which) const;
    /// Where the output stands now, to look only at what comes after.
    std::size_t position(Output which) const { return output(which).size(); }
    /// The first whole line from `from` on that contains `text`; throws Failure if none comes in time or the process
    /// ends without one.
    std::string await_line(Output which, std::string_view text, std::size_t from = 0) const;

  private:
    struct Captured {
        std::string text;
        bool ended = false;
    };
    void capture(int descriptor, Captured& captured);
    const Captured& captured(Output which) const { return which == Output::standard ? standard_ : error_; }

    pid_t pid_ = -1;
    std::optional<int> status_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    Captured standard_;
    Captured error_;
    std::jthread standard_reader_;
    std::jthread error_reader_;
};

struct Completed {
    int status = -1;
    std::string output;
    std::string error;
};

/// Runs a program to its end; throws Failure if that takes longer than `patience`.
Completed run(std::vector<std::string> arguments, std::vector<std::string> environment = {});

}  // namespace nsboot_lb::test
