#pragma once
/// Listening sockets that this process did not bind itself: they come from the process that it replaces, or from
/// systemd (socket activation and the descriptor store, sd_listen_fds(3)). Main collects them before anything else
/// happens; the listeners and the admin listener claim theirs; what nobody claims is closed. Control thread.
#include <string>
#include <string_view>
#include <vector>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::server {

class InheritedSockets {
  public:
    InheritedSockets() = default;
    InheritedSockets(InheritedSockets&&) = default;
    InheritedSockets& operator=(InheritedSockets&&) = default;
    /// Closes what was not claimed.
    ~InheritedSockets();

    /// Owns the descriptor from now on. False, and closed, if it is not a stream socket that listens.
    bool add(std::string name, int descriptor);
    /// The sockets that were handed over under that name, or else those bound to that very address. They are the
    /// caller's now. A unix socket whose file is gone is of no use to anybody and stays unclaimed.
    std::vector<int> claim(std::string_view name, const config::BindAddress& address);
    /// Closes what was not claimed, and says which addresses that were, each once.
    std::vector<std::string> close_rest();

  private:
    struct Socket {
        std::string name;
        int descriptor = -1;
        config::BindAddress address;  ///< really bound
    };
    std::vector<Socket> sockets_;
};

/// A name that systemd takes for a descriptor (FDNAME in sd_notify(3): no colon, no control characters, 255 at most).
std::string descriptor_name(std::string_view name);

}  // namespace nsboot_lb::server
