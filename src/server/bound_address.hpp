#pragma once
/// A listening address: its sockets, bound or taken over before any worker hears of them. Made on the control thread;
/// the descriptors are closed with it, so it must outlive the workers' use of them.
#include <cstdint>
#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "nsboot_lb/config/config.hpp"

namespace nsboot_lb::server {

class BoundAddress {
  public:
    /// Binds and listens for so many workers. The error says what could not be bound and why.
    static std::expected<BoundAddress, std::string> bind(const config::BindAddress& address, unsigned workers);
    /// Takes over sockets (at least one) that listen on that address already. If there are fewer than workers, more are
    /// bound beside them where that is allowed; else workers share.
    static BoundAddress adopt(const config::BindAddress& address, std::vector<int> descriptors, unsigned workers);
    BoundAddress(BoundAddress&& other) noexcept;
    BoundAddress& operator=(BoundAddress&& other) noexcept;
    ~BoundAddress();

    /// As bound: with the port that the kernel chose where the configuration says 0.
    const std::string& text() const { return text_; }
    /// The listening sockets of a worker, one at least: all of them are somebody's, and workers share if there are
    /// fewer sockets than workers, as with a unix socket.
    std::vector<int> descriptors_of(unsigned worker, unsigned workers) const;
    const std::vector<int>& descriptors() const { return descriptors_; }
    /// Others hold the sockets too: a unix socket's file stays when these are closed.
    void keep_file() { keeps_file_ = true; }

  private:
    BoundAddress() = default;
    std::pair<std::uint64_t, std::uint64_t> file_now() const;
    config::BindAddress configured_;
    std::string text_;
    std::vector<int> descriptors_;
    bool keeps_file_ = false;
    std::pair<std::uint64_t, std::uint64_t> file_{};  ///< device and inode of a unix socket: another may take its place
};

}  // namespace nsboot_lb::server
