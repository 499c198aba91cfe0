#pragma once
/// A connection to an endpoint, and how to get one: connect() makes it, a KeepaliveCache keeps it between exchanges.
/// All of it belongs to one worker.
#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/http/body.hpp"
#include "nsboot_lb/net/stream.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/upstream/endpoint.hpp"

namespace nsboot_lb::upstream {

class IdleList;

/// Open to one endpoint; in use by one exchange, or idle in the cache.
class Connection final : public net::Stream::Observer {
  public:
    explicit Connection(net::Reactor& reactor) : stream(reactor), idle_deadline_(&idle_too_long, this) {}
    ~Connection() = default;

    net::Stream stream;
    http::Input input;
    net::TimePoint opened{};
    net::TimePoint dies_at = net::TimePoint::max();  ///< keepalive.max_lifetime
    std::uint64_t requests = 0;                      ///< sent over it so far

    /// Whether it has been idle before this exchange, so that the server may have closed it meanwhile.
    bool reused() const { return requests > 1; }

  private:
    friend class IdleList;
    void on_event(net::Stream& stream) override;
    static void idle_too_long(void* self);
    IdleList* list_ = nullptr;  ///< while idle
    net::Deadline idle_deadline_;
};

/// The idle connections of one worker to one endpoint, most recently used first. One that the server closes, or sends
/// anything over, or that has been idle too long, leaves at once. Held by the cache and by the views that have the
/// endpoint.
class IdleList : public boost::intrusive_ref_counter<IdleList, boost::thread_unsafe_counter> {
  public:
    std::unique_ptr<Connection> take(net::TimePoint now);
    /// Keeps a connection for at most `idle`, if there is room among `most`; else closes it.
    void give(std::unique_ptr<Connection> connection, std::size_t most, net::DeadlineList& idle);
    std::size_t size() const { return connections_.size(); }
    void clear();
    /// Closes the connection that has been idle longest. False if there is none.
    bool close_one();
    /// Keeps nothing any more: the endpoint is in no configuration, and exchanges that still have it are its last.
    void retire();
    /// Counts what comes and goes. Of the current configuration's endpoints.
    void count_in(observe::ServerCounters* counters);

  private:
    friend class Connection;
    void drop(Connection& connection);
    std::vector<std::unique_ptr<Connection>> connections_;
    observe::ServerCounters* counters_ = nullptr;
    bool retired_ = false;
};

using IdleListPtr = boost::intrusive_ptr<IdleList>;

/// A worker's idle connections by endpoint.
class KeepaliveCache {
  public:
    /// Made when first asked for.
    IdleListPtr list(std::uint64_t endpoint_id);
    /// Closes the connections of endpoints that are not among `endpoint_ids` (sorted), and forgets their lists.
    void retain(const std::vector<std::uint64_t>& endpoint_ids);
    void clear() { retain({}); }
    /// Closes an idle connection, so that its descriptor is free. False if there is none.
    bool close_one();
    std::size_t size() const { return lists_.size(); }

  private:
    std::unordered_map<std::uint64_t, IdleListPtr> lists_;
};

struct Connected {
    std::unique_ptr<Connection> connection{};  ///< null if it failed
    Failure failure = Failure::connect_failed;
    int error = 0;           ///< errno; 0 for a timeout or a cancelled wait
    bool cancelled = false;  ///< the scope was
    bool own_fault = false;  ///< this process has no descriptor, port or memory left: that says nothing of the server
};

/// Connects to the endpoint.
net::Task<Connected> connect(net::Reactor& reactor, net::Scope& scope, const Endpoint& endpoint,
                             net::DeadlineList& limit);

}  // namespace nsboot_lb::upstream
