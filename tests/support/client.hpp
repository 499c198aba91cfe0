#pragma once
/// A client that speaks raw bytes to one address on loopback, from a chosen source address. Belongs to one thread;
/// waits have deadlines (see wire.hpp).
#include <cstdint>
#include <string>
#include <string_view>

#include "message.hpp"
#include "wire.hpp"

namespace nsboot_lb::test {

class Client : public Wire {
  public:
    /// From `source`, an address in 127.0.0.0/8, if it is not empty.
    explicit Client(std::uint16_t port, const std::string& source = "");
    explicit Client(const std::string& unix_path);
    /// To another address than 127.0.0.1.
    static Client at(const std::string& host, std::uint16_t port, const std::string& source = "");
    /// With a receive buffer so small that a sender soon feels that this client does not read.
    static Client with_small_buffer(std::uint16_t port);

    /// The next response, whole; an interim (1xx) response counts as one.
    Message response() { return receive_message(Kind::response); }
    Message response_to_head() { return receive_message(Kind::response_to_head); }
    Message response_head() { return receive_head(Kind::response); }
    /// Sends a request and receives the response.
    Message exchange(std::string_view request);

  private:
    struct Connected {
        int descriptor;
    };
    explicit Client(Connected connected) : Wire(connected.descriptor) {}
};

/// GET of `target` with Host `host`, no body.
std::string get(std::string_view target, std::string_view host = "example.com");

}  // namespace nsboot_lb::test
