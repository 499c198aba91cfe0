#pragma once
/// timeouts.min_rate: of the time that we spent waiting for the client alone, so that a slow server does not count
/// against it. What a client takes is what it acknowledges, not what lies in the kernel. Lives with its relay.
#include <chrono>
#include <cstdint>

#include "nsboot_lb/net/deadline.hpp"

namespace nsboot_lb::forward {

struct RelayPlan;

class ClientSpeed {
  public:
    explicit ClientSpeed(const RelayPlan& plan) : plan_(plan) {}

    void wait_begins(net::TimePoint now);
    /// Whether the client is still fast enough.
    bool wait_ends(net::TimePoint now);

  private:
    std::uint64_t bytes() const;
    const RelayPlan& plan_;
    std::uint64_t bytes_before_ = 0;
    net::TimePoint began_{};
    net::Clock::duration waited_{};
};

}  // namespace nsboot_lb::forward
