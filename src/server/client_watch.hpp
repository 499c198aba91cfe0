#pragma once
/// Hears a client leave while its request is served, and ends what is done for it: at once if it resets the connection;
/// if it only closes its side, when it acknowledges nothing for timeouts.half_closed. Lives as long as the exchange.
#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/net/stream.hpp"

namespace nsboot_lb::server {

class ClientWatch final : public net::Stream::Observer {
  public:
    /// `half_closed`: null if a client that closes its side is gone.
    ClientWatch(net::Stream& stream, const forward::Exchange& exchange, net::Scope& scope,
                net::DeadlineList* half_closed)
        : stream_(stream),
          exchange_(exchange),
          scope_(scope),
          half_closed_(half_closed),
          patience_(&patience_is_over, this) {
        stream_.observe(this);
        on_event(stream_);  // what is known already makes no event any more
    }
    ~ClientWatch() { stream_.observe(nullptr); }
    ClientWatch(const ClientWatch&) = delete;
    ClientWatch& operator=(const ClientWatch&) = delete;

  private:
    void on_event(net::Stream& stream) override;
    static void patience_is_over(void* self);
    net::DeadlineList& limit() const;

    net::Stream& stream_;
    const forward::Exchange& exchange_;
    net::Scope& scope_;
    net::DeadlineList* const half_closed_;
    net::Deadline patience_;
    std::uint64_t acknowledged_ = 0;
};

}  // namespace nsboot_lb::server
