#pragma once
/// The successor's side of a hot upgrade, and of systemd's socket activation: what there is to take over, and telling
/// the process before that this one serves. Control thread; inherit() comes first of all, before any descriptor is
/// opened.
#include <functional>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "nsboot_lb/server/server.hpp"
#include "service.hpp"

namespace nsboot_lb::wiring {

struct Inheritance {
    server::InheritedSockets sockets;
    std::vector<server::ServerMemory> servers;
    StoredSockets stored;        ///< what systemd keeps of the sockets, or may keep
    std::optional<int> channel;  ///< to the process that this one replaces, if there is one
};

/// Takes what the environment announces, and takes the announcement out of the environment. What turns out not to be as
/// announced is logged and left alone: this process then binds for itself.
Inheritance inherit();

/// The process that this one replaces.
class Predecessor {
  public:
    /// Owns the channel.
    Predecessor(boost::asio::io_context& control, int channel)
        : channel_(control, boost::asio::local::stream_protocol{}, channel) {}
    /// Says that this process serves. `alone` is called when the other has handed everything over, or is gone.
    void replace(std::function<void()> alone);

  private:
    boost::asio::local::stream_protocol::socket channel_;
    char answer_ = 0;
    std::function<void()> alone_;
};

}  // namespace nsboot_lb::wiring
