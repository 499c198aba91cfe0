#pragma once
/// Many clients and servers on one thread: keep-alive clients that ask without a pause, WebSocket clients that have
/// their messages echoed, and the servers that answer them. Every answer must be the one to its question, and no
/// connection may end. Made and asked by the test's thread; what happens between start() and finish() is on its own.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nsboot_lb::test {

/// Where a client connects to.
struct Door {
    std::uint16_t port = 0;
    std::string unix_path;  ///< not empty: this instead
};

class Traffic {
  public:
    /// With that many servers.
    explicit Traffic(std::size_t servers);
    Traffic(const Traffic&) = delete;
    Traffic& operator=(const Traffic&) = delete;
    ~Traffic();

    /// "127.0.0.1:PORT" of each server.
    const std::vector<std::string>& servers() const;

    /// Clients that each keep a connection and ask for /traffic/N.
    void add_clients(const Door& door, std::size_t count);
    /// Clients that each have a WebSocket at /ws and send a message of `message_size` bytes every few milliseconds.
    void add_websockets(const Door& door, std::size_t count, std::size_t message_size = 64);

    void start();
    /// Lets every exchange and every echo that has begun end, and says what has gone wrong since the start: answers
    /// that were not 200 or to another question, connections that were closed, and who got no answer at all.
    std::vector<std::string> finish();

    std::uint64_t exchanges() const;
    std::uint64_t messages() const;
    /// Of the exchanges since the last call, sorted.
    std::vector<std::chrono::microseconds> take_durations();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsboot_lb::test
