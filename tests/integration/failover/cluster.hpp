#pragma once
/// Stand-in NSBoot servers as processes of their own, to be killed, frozen and started again while clients go on
/// asking, and a daemon before three of them. Used by the test's own thread.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon.hpp"
#include "process.hpp"

namespace nsboot_lb::test {

/// One server. It keeps its address when it is started again: that is a loopback address of its own, so that no
/// outgoing connection takes the port while it is down. It logs what arrives, and is counted by that.
class StandIn {
  public:
    /// At a port that the kernel chooses, unless one is given.
    explicit StandIn(std::string name, std::string host, std::vector<std::string> options = {},
                     const std::string& port = "0");

    const std::string& name() const { return name_; }
    /// "127.0.0.11:PORT"
    const std::string& address() const { return address_; }
    std::string port() const { return address_.substr(address_.rfind(':') + 1); }

    /// Starts it where it was.
    void start();
    /// SIGKILL; returns when it is gone.
    void kill();
    void signal(int number) const { processes_.back()->signal(number); }

    /// Returns as soon as another request has arrived for a target that begins so.
    void await_request(std::string_view begin) const;
    /// How many such requests have arrived since the test began.
    std::size_t arrived(std::string_view begin) const;
    /// The most requests that it ever had at once.
    int most_at_once() const;

  private:
    std::string name_;
    std::string address_;
    std::vector<std::string> options_;
    std::vector<std::unique_ptr<Process>> processes_;  ///< the last one runs, the others are what it was before
};

/// nsboot-1 to nsboot-3, each with the given options.
std::vector<std::unique_ptr<StandIn>> three_servers(const std::vector<std::string>& options = {});
/// {"$1", address of the first}, {"$2" …
Substitutions addresses_of(const std::vector<std::unique_ptr<StandIn>>& servers);

}  // namespace nsboot_lb::test
