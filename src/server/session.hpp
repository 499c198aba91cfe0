#pragma once
/// One client connection of HTTP/1: reads its requests one after the other, has each served, and ends. It owns itself
/// through its coroutine, whose end tells the worker thread; only that thread touches it.
#include <boost/intrusive/list_hook.hpp>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/http/h1/response_writer.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::server {

class WorkerThread;

/// What a session has to know of the listener that accepted it.
struct Accepted {
    int descriptor = -1;
    base::IpAddress peer;
    observe::ListenerCounters* counters = nullptr;  ///< there as long as its gauge counts this session
    bool proxy_protocol = false;                    ///< the peer has to say first whose connection it is
    bool admitted = true;                           ///< false: there has to be made room for it first
};

class Session {
  public:
    Session(WorkerThread& thread, const Accepted& accepted);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Runs until the connection ends.
    net::Task<void> run();
    /// Ends whatever it does.
    void end(net::Cause cause) { scope_.cancel(cause); }
    net::Scope& scope() { return scope_; }
    /// If it has become a tunnel: has the client told, and ends soon.
    void end_tunnel();
    bool is_tunnel() const;
    /// Of the client, which a PROXY header may have named.
    const base::IpAddress& address() const { return client_.address; }
    observe::ListenerCounters& counters() const { return *client_.counters; }
    bool opened() const { return stream_.is_open(); }

    boost::intrusive::list_member_hook<> in_all;
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> in_idle;
    net::TimePoint idle_since{};  ///< while in_idle
    bool admitted;                ///< counts among the connections
    bool knows_client = false;    ///< nothing will give it another address
    bool counted_client = false;  ///< counts among those of its address
    bool evicted = false;         ///< to make room for another one

  private:
    /// What a head came to.
    enum class Head : std::uint8_t { complete, refused, none, not_yet };
    /// What becomes of the connection after an exchange.
    enum class Then : std::uint8_t { next, close, linger, reset };

    void set_client(const base::IpAddress& address);
    net::Task<bool> read_proxy_header();
    net::Task<Then> serve_one();
    Head read_head(forward::Exchange& exchange, http::HeadError& error);
    net::Task<Head> wait_for_head(forward::Exchange& exchange, http::HeadError& error);
    void look_whether_trusted(const forward::WorkerView& view);
    bool may_be_unread(const http::h1::BodyReader& body);
    net::Task<bool> drain(forward::Exchange& exchange);
    net::Task<void> linger();

    WorkerThread& thread_;
    net::Scope scope_;
    net::Stream stream_;
    http::Input input_;
    forward::Client client_;
    std::uint64_t trusted_by_ = 0;           ///< WorkerView::number that client_.trusted is known by
    forward::Exchange* exchange_ = nullptr;  ///< while one is served
    const bool proxy_protocol_;
};

}  // namespace nsboot_lb::server
