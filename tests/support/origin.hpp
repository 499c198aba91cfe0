#pragma once
/// A scripted server that speaks raw bytes on loopback: it records the exact bytes of every request and on which
/// connection it came, and runs a script for each exchange. Owned by the test, whose thread calls it; scripts run on
/// the thread of their connection and should capture by value, since they may outlive the test's locals.
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "message.hpp"
#include "wire.hpp"

namespace nsboot_lb::test {

class Origin;

/// The origin's end of one connection, as scripts see it.
class OriginConnection : public Wire {
  public:
    OriginConnection(Origin& origin, int descriptor, int index);

    /// The next request, whole; it is recorded as it is received.
    Message receive();
    /// Only its head; the body stays to be received with receive_exactly() and the like.
    Message receive_head();
    int index() const { return index_; }

  private:
    friend class Origin;
    Origin& origin_;
    int index_;
};

/// What to do when the first byte of a request has arrived. When it returns, the connection waits for the next request,
/// unless the script closed it.
using Script = std::function<void(OriginConnection&)>;

class Origin {
  public:
    Origin() : Origin(std::string{}) {}
    /// Listens on that unix socket, or on a port the kernel chooses if the path is empty.
    explicit Origin(const std::string& unix_path);
    Origin(const Origin&) = delete;
    Origin& operator=(const Origin&) = delete;
    ~Origin();

    /// "127.0.0.1:PORT" or "unix:/path".
    std::string address() const { return address_; }

    /// From the next exchange on, on connections old and new.
    void script(Script script);
    /// Receives a request and sends these bytes.
    void answer(std::string bytes);
    /// Returns once all that has been sent to this origin so far has been taken, and no script runs.
    void settle();
    /// Answers "200 ok" again, forgets what was recorded and cuts off exchanges that are still going on. Connections
    /// that are idle stay, as they would at a real server.
    void start_over();

    /// Of every exchange so far, complete or not, in the order in which they began.
    std::vector<Message> requests() const;
    /// The request of that index, once it has been received whole; throws Failure if that does not happen.
    Message await_request(std::size_t index = 0) const;
    /// Connections accepted since the start, or since start_over().
    int connections() const;
    /// What went wrong in scripts: waits that were given up.
    std::vector<std::string> failures() const;

    static std::string ok_answer();

  private:
    friend class OriginConnection;
    struct Line {
        std::unique_ptr<OriginConnection> connection;
        bool in_exchange = false;
        bool ended = false;
        std::jthread thread;
    };

    void accept_all();
    void add_line(int descriptor);
    void serve(Line& line);
    void record(int connection, const Message& message);
    bool is_idle(Line& line) const;
    bool has_settled() const;

    int listener_;
    std::string unix_path_;
    std::string address_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    Script script_;
    std::vector<Message> requests_;
    std::vector<std::unique_ptr<Line>> lines_;
    std::vector<std::string> failures_;
    int first_counted_connection_ = 0;
    bool stopping_ = false;
    std::jthread acceptor_;
};

}  // namespace nsboot_lb::test
