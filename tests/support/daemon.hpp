#pragma once
/// The real daemon as a child process, started from a configuration text whose addresses have port 0, and stopped with
/// the object. A daemon that crashes, does not stop, or that a sanitizer complains about fails the test, with its log.
/// Used by the test's own thread.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client.hpp"
#include "message.hpp"
#include "process.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {

/// What stands for what in a configuration text: {"$s1", "127.0.0.1:4711"}.
using Substitutions = std::vector<std::pair<std::string, std::string>>;
std::string substitute(std::string text, const Substitutions& substitutions);

/// The program under test; the environment's NSBOOT_LB_BINARY replaces the one of this build.
std::string daemon_binary();

using Labels = std::map<std::string, std::string>;

class Daemon {
  public:
    /// Returns when the daemon has said that it is ready. "$dir" in the text stands for a directory of its own, and
    /// `event_log` is the file there that the text sends the event log to; empty: stderr.
    explicit Daemon(const std::string& config, Substitutions substitutions = {},
                    std::vector<std::string> environment = {}, const std::string& event_log = "");
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon();

    /// The port of the listener of that name, or of the first; of its `index`th address if it has several.
    std::uint16_t port(std::string_view listener = "", std::size_t index = 0) const;
    Client connect(const std::string& source = "") const { return Client{port(), source}; }

    /// A whole request to the admin listener.
    Message ask_admin(std::string_view request) const;
    /// GET on the admin listener.
    Message admin_get(std::string_view target) const;
    /// POST on the admin listener, of a JSON body or of nothing.
    Message admin_post(std::string_view target, std::string_view json = "") const;
    /// The sum of a metric's samples that carry these labels.
    double metric(std::string_view name, const Labels& labels = {}) const;
    /// Scrapes until the metric has that value; throws Failure with the last value if it does not come to it.
    void await_metric(std::string_view name, const Labels& labels, double value) const;

    void signal(int number) const { process_->signal(number); }
    std::optional<int> wait_exit(std::chrono::milliseconds time) { return process_->wait_exit(time); }
    bool running() { return process_->running(); }
    pid_t pid() const { return process_->pid(); }

    void rewrite_config(const std::string& config);
    std::filesystem::path config_file() const { return config_file_; }
    std::filesystem::path directory() const { return directory_.path(); }

    /// The event log; with what a sanitizer or a failing start wrote to stderr.
    std::string log() const;
    std::size_t log_position() const { return process_->position(Output::error); }
    /// On stderr.
    std::string await_log(std::string_view text, std::size_t from = 0) const {
        return process_->await_line(Output::error, text, from);
    }
    std::string await_output(std::string_view text, std::size_t from = 0) const {
        return process_->await_line(Output::standard, text, from);
    }
    std::string output() const { return process_->output(Output::standard); }
    std::size_t output_position() const { return process_->position(Output::standard); }
    std::size_t resident_bytes() const;
    std::size_t descriptors() const;
    std::size_t threads() const;

  private:
    struct Bound {
        std::string listener;
        std::uint16_t port = 0;
    };
    void learn_ports();
    std::size_t process_status(std::string_view field) const;
    void stop();

    TemporaryDirectory directory_;
    Substitutions substitutions_;
    std::filesystem::path config_file_;
    std::filesystem::path event_log_;  ///< empty: stderr
    std::unique_ptr<Process> process_;
    std::vector<Bound> bound_;
    std::uint16_t admin_port_ = 0;
};

}  // namespace nsboot_lb::test
