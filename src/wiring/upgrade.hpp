#pragma once
/// Hot upgrade, the side of the process that is replaced: starts its program anew (which may be a newer one by now)
/// with its own listening sockets, and learns whether the new process came to serve. Until it does nothing has changed,
/// and if it does not nothing will have. Control thread.
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "handover.hpp"

namespace nsboot_lb::wiring {

/// How this process was started, so that it can be started again. Made by main before the working directory or the
/// program's file can have changed.
class CommandLine {
  public:
    CommandLine(int count, char** arguments);
    const std::string& program() const { return program_; }
    const std::vector<std::string>& arguments() const { return arguments_; }

  private:
    std::string program_;  ///< its path, links not followed: what it leads to may be another version next time
    std::vector<std::string> arguments_;
};

class Upgrade {
  public:
    /// `serving` is called with the new process' id when that serves, `failed` when it ended before.
    Upgrade(boost::asio::io_context& control, CommandLine command, std::function<void(pid_t)> serving,
            std::function<void()> failed);
    ~Upgrade();
    Upgrade(const Upgrade&) = delete;
    Upgrade& operator=(const Upgrade&) = delete;

    /// Starts the successor. What fails is logged, now or later; this process then goes on as if nothing had been.
    void begin(const Handover& handover);
    bool going_on() const { return successor_ != 0; }
    /// Ends a successor that does not serve yet, if there is one.
    void cancel();
    /// Tells the successor that this process has let go.
    void release();

  private:
    void await_word();
    void await_end(int process_descriptor);
    void give_up(const char* why);
    void ended();

    const CommandLine command_;
    const std::function<void(pid_t)> serving_;
    const std::function<void()> failed_;
    boost::asio::local::stream_protocol::socket channel_;
    boost::asio::posix::stream_descriptor end_;  ///< readable when the new process has ended
    boost::asio::steady_timer patience_;
    std::array<char, word_serving.size()> word_{};
    pid_t successor_ = 0;
    bool serves_ = false;
};

}  // namespace nsboot_lb::wiring
