#pragma once
/// Addresses for tests, on loopback with ports the kernel chose, and what can be found there besides an origin: nobody
/// (a connection is refused) or somebody who never takes a connection. Used by the test's own thread.
#include <cstdint>
#include <string>
#include <vector>

namespace nsboot_lb::test {

/// A stream socket listening on 127.0.0.1 (port 0: the kernel chooses) or on `unix_path` if that is not empty.
int listen_on(const std::string& unix_path, std::uint16_t port, int backlog);
std::uint16_t local_port(int descriptor);
/// Connects to a loopback port from `source` (in 127.0.0.0/8); throws Failure when refused.
int connect_to(const std::string& host, std::uint16_t port, const std::string& source);
int connect_to_unix(const std::string& path);
/// A receive buffer so small that a sender soon feels that nobody reads; must be set before connecting.
int connect_with_small_buffer(std::uint16_t port);

/// A port that is taken and where nobody listens: connections are refused for as long as this lives.
class RefusingAddress {
  public:
    RefusingAddress();
    RefusingAddress(const RefusingAddress&) = delete;
    RefusingAddress& operator=(const RefusingAddress&) = delete;
    ~RefusingAddress();
    std::string text() const;

  private:
    int descriptor_;
};

/// A port whose queue of connections is full: a connection attempt gets no answer for as long as this lives.
class UnansweringAddress {
  public:
    UnansweringAddress();
    UnansweringAddress(const UnansweringAddress&) = delete;
    UnansweringAddress& operator=(const UnansweringAddress&) = delete;
    ~UnansweringAddress();
    std::string text() const;

  private:
    int listener_;
    std::vector<int> queued_;
};

}  // namespace nsboot_lb::test
