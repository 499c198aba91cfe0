#pragma once
/// One client connection: reads its requests one after the other, has each served, and ends. It owns itself through its
/// coroutine, whose end tells the worker thread; only that thread touches it.
#include <boost/intrusive/list_hook.hpp>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::server {

class WorkerThread;

/// What a session has to know of the listener that accepted it.
struct Accepted {
    int descriptor = -1;
    base::IpAddress peer;
    observe::ListenerCounters* counters = nullptr;  ///< there as long as its gauge counts this session
    bool proxy_protocol = false;                    ///< the peer has to say first whose connection it is
};

class Session {
  public:
    Session(WorkerThread& thread, const Accepted& accepted);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Runs until the connection ends.
    net::Task<void> run();
    /// Ends it if it waits for a request; to make room, or because the daemon leaves.
    void end_if_waiting();
    /// Ends whatever it does.
    void abort();
    /// If it has become a tunnel: has the client told, and ends soon.
    void end_tunnel();
    bool is_tunnel() const { return client_.tunnel != nullptr; }
    bool waiting() const { return waiting_; }
    const base::IpAddress& peer() const { return peer_; }
    observe::ListenerCounters& counters() const { return *client_.counters; }
    bool opened() const { return client_.stream.is_open(); }

    boost::intrusive::list_member_hook<> in_all;
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> in_waiting;

  private:
    enum class Head : std::uint8_t { complete, refused, none, not_yet };

    void set_client(const base::IpAddress& address);
    net::Task<bool> read_proxy_header();
    net::Task<bool> wait_for_request();
    net::Task<Head> read_head(forward::Exchange& exchange, http::HeadError& error);
    net::Task<forward::After> serve_one();
    net::Task<void> linger();

    WorkerThread& thread_;
    forward::Client client_;
    const base::IpAddress peer_;
    bool proxy_protocol_;
    bool waiting_ = false;
};

}  // namespace nsboot_lb::server
