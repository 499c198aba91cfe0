#pragma once
/// A listening address: its sockets, one for each worker, bound before any worker hears of them. Made on the control
/// thread; the descriptors are closed with it, so it must outlive the workers' use of them.
#include <expected>
#include <string>
#include <vector>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::server {

class BoundAddress {
  public:
    /// Binds and listens for so many workers. The error says what could not be bound and why.
    static std::expected<BoundAddress, std::string> bind(const config::BindAddress& address, unsigned workers);
    BoundAddress(BoundAddress&& other) noexcept;
    BoundAddress& operator=(BoundAddress&& other) noexcept;
    ~BoundAddress();

    /// As configured.
    const config::BindAddress& configured() const { return configured_; }
    /// As bound: with the port that the kernel chose where the configuration says 0.
    const std::string& text() const { return text_; }
    /// The listening socket of a worker. Workers share the one of a unix socket.
    int descriptor(unsigned worker) const { return descriptors_[worker % descriptors_.size()]; }
    /// Connections are refused from now on; the descriptors stay valid.
    void shut();

  private:
    BoundAddress() = default;
    config::BindAddress configured_;
    std::string text_;
    std::vector<int> descriptors_;
};

}  // namespace nsboot_lb::server
