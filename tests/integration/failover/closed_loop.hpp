#pragma once
/// Clients that ask the daemon for one thing after the other, each as soon as it has the last answer, and look at every
/// byte of it. Half of them keep their connection, half make a new one for each request. They run on threads of their
/// own; the test's thread starts them, watches and stops them.
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace nsboot_lb::test {

/// What the stand-ins answer: the body of each thing that is asked for, as each server would say it.
class ExpectedAnswers {
  public:
    explicit ExpectedAnswers(const std::vector<std::string>& servers);
    std::size_t size() const { return targets_.size(); }
    const std::string& target(std::size_t index) const { return targets_[index]; }
    /// Null if there is no such server.
    const std::string* body(std::size_t index, const std::string& server) const;

  private:
    std::vector<std::string> targets_;
    std::vector<std::map<std::string, std::string>> bodies_;  ///< by target and server
};

class ClosedLoop {
  public:
    struct Tally {
        std::size_t answered = 0;                      ///< with a whole 200 of the right bytes
        std::map<std::string, std::size_t> by_server;  ///< of these
        std::vector<std::size_t> by_client;            ///< of these
        std::size_t failed = 0;                        ///< everything else
        std::vector<std::string> failures;             ///< what the first few were
        std::chrono::milliseconds slowest{0};          ///< the longest that a client waited
        std::chrono::milliseconds took{0};
    };

    /// Goes on until stop(), or until as many requests as `most` were begun.
    ClosedLoop(std::uint16_t port, std::size_t clients, const ExpectedAnswers& expected,
               std::optional<std::size_t> most = {});
    ClosedLoop(const ClosedLoop&) = delete;
    ClosedLoop& operator=(const ClosedLoop&) = delete;
    ~ClosedLoop();

    /// Returns when there are that many answers, good and bad; throws Failure if none comes for `patience`.
    void await_answers(std::size_t count) const;
    /// So many from now on.
    void await_more(std::size_t count) const;
    /// Ends the loop and says how it went.
    Tally stop();
    /// The same, when all requests that it may make have been made.
    Tally finish();

  private:
    void run(const std::stop_token& stopped, std::size_t client);
    bool may_begin();
    void take(std::size_t client, const std::string& server, const std::string& failure,
              std::chrono::steady_clock::duration took);
    std::size_t done() const { return tally_.answered + tally_.failed; }
    std::size_t count() const;

    const std::uint16_t port_;
    const ExpectedAnswers& expected_;
    const std::optional<std::size_t> most_;
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::size_t begun_ = 0;  ///< guarded by mutex_, as is the tally
    Tally tally_;
    std::vector<std::jthread> threads_;
};

}  // namespace nsboot_lb::test
