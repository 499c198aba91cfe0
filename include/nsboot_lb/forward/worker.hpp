#pragma once
/// What a worker has that exchanges use: its reactor, its scratch memory, its idle connections, its view of the current
/// snapshot. Everything here belongs to one thread; nothing is locked.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/forward/snapshot.hpp"
#include "nsboot_lb/http/h1/body.hpp"
#include "nsboot_lb/http/h1/output.hpp"
#include "nsboot_lb/net/pipe.hpp"
#include "nsboot_lb/net/reactor.hpp"
#include "nsboot_lb/observe/access_log.hpp"
#include "nsboot_lb/observe/statistics.hpp"
#include "nsboot_lb/upstream/balancer.hpp"
#include "nsboot_lb/upstream/connection.hpp"

namespace nsboot_lb::forward {

struct Worker;

/// An endpoint as one worker sees it.
struct EndpointView {
    upstream::IdleListPtr idle;
    observe::ServerCounters* counters = nullptr;
};

/// A pool as one worker sees it. Views of snapshots that share the pool share this too.
struct PoolView : boost::intrusive_ref_counter<PoolView, boost::thread_unsafe_counter> {
    std::shared_ptr<const upstream::Pool> pool;
    std::vector<EndpointView> endpoints;  ///< by Endpoint::index
    std::map<config::Policy, std::unique_ptr<upstream::Balancer>> balancers;
    observe::PoolCounters* counters = nullptr;
    std::size_t most_idle = 0;  ///< idle connections per server: this worker's share
    net::DeadlineList* idle_timeout = nullptr;
};

using PoolViewPtr = boost::intrusive_ptr<PoolView>;

struct RouteView {
    const RouteEntry* entry = nullptr;
    PoolView* pool = nullptr;  ///< null unless the route forwards
    upstream::Balancer* balancer = nullptr;
    observe::RouteCounters* counters = nullptr;
    net::DeadlineList* connect = nullptr;
    net::DeadlineList* response = nullptr;
    net::DeadlineList* idle = nullptr;
    net::DeadlineList* tunnel_idle = nullptr;
    net::DeadlineList* queue = nullptr;
};

/// One worker's view of one snapshot: what the snapshot says, with this worker's cursors, counters and deadline lists
/// beside it. Lives until the last exchange that began with it is over.
struct WorkerView {
    /// The snapshot may go with it, which takes milliseconds where it is large: not on the worker's thread.
    ~WorkerView();
    WorkerView(const WorkerView&) = delete;
    WorkerView& operator=(const WorkerView&) = delete;

    std::shared_ptr<const Snapshot> snapshot;
    const std::uint64_t number;  ///< of the worker's views: what was found out with one is known by it; never 0
    std::vector<PoolViewPtr> pools;
    std::vector<RouteView> routes;
    RouteView no_route;
    net::DeadlineList* header_timeout = nullptr;
    net::DeadlineList* idle_timeout = nullptr;
    net::DeadlineList* body_timeout = nullptr;
    net::DeadlineList* send_timeout = nullptr;
    net::DeadlineList* handshake_timeout = nullptr;
    net::DeadlineList* half_closed = nullptr;  ///< null: a client that closes its side is gone

  private:
    friend class ViewInMaking;
    WorkerView(Worker& worker, std::shared_ptr<const Snapshot> compiled);

    boost::asio::thread_pool* background_;
    // Counted without atomics: a view never leaves its worker.
    friend void intrusive_ptr_add_ref(WorkerView* view) { ++view->references_; }
    friend void intrusive_ptr_release(WorkerView* view) {
        if (--view->references_ == 0) delete view;
    }
    std::uint64_t references_ = 0;
};

using WorkerViewPtr = boost::intrusive_ptr<WorkerView>;

/// Makes a view, step by step: that of ten thousand routes takes longer than others may wait for the worker's loop. It
/// is to take the place of the worker's current one, if it has one, which stays that until then: pools that both have
/// are shared, balancers go on where those of before stand.
class ViewInMaking {
  public:
    ViewInMaking(Worker& worker, std::shared_ptr<const Snapshot> snapshot);
    ViewInMaking(const ViewInMaking&) = delete;
    ViewInMaking& operator=(const ViewInMaking&) = delete;
    ~ViewInMaking();

    /// Goes on until about then. Nothing if there is more to do.
    WorkerViewPtr advance(net::TimePoint until);

  private:
    class Before;
    class Limits;
    void make_pool();
    void make_route();

    Worker& worker_;
    const WorkerViewPtr view_;
    const std::unique_ptr<Before> before_;
    const std::unique_ptr<Limits> limits_;
    std::vector<PoolViewPtr> pools_before_;  ///< by Snapshot::pools; null: a new one
};

/// All at once.
WorkerViewPtr make_view(Worker& worker, std::shared_ptr<const Snapshot> snapshot);

/// For an exchange whose pool has been replaced while it waited for a server (WaitTicket::outdated()): goes on with the
/// worker's current view, on the same route. False if that forwards to this pool no more.
bool go_on_with_current_view(const Worker& worker, Exchange& exchange);

/// What a tunnel keeps of the view that it began with: its pool, and under what it is counted and logged. It may last
/// for days, and a view with its snapshot is megabytes where the configuration is large.
struct TunnelView {
    explicit TunnelView(const RouteView& began_with);
    TunnelView(const TunnelView&) = delete;
    TunnelView& operator=(const TunnelView&) = delete;

    const std::shared_ptr<const upstream::Pool> pool;
    RouteEntry entry;
    RouteView route;
};

/// Random enough to tell requests apart, cheap enough to make for each: xorshift128+ seeded from the kernel.
class RequestIds {
  public:
    RequestIds();
    /// 32 lower-case hexadecimal digits.
    void next(std::array<char, 32>& id);

  private:
    std::uint64_t draw();
    std::uint64_t low_;
    std::uint64_t high_;
};

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7), made once a second.
class DateText {
  public:
    std::string_view at(std::chrono::system_clock::time_point now);

  private:
    std::int64_t second_ = -1;
    std::array<char, 29> text_{};
};

struct Worker {
    Worker(unsigned number, unsigned of, boost::asio::io_context& io, observe::Statistics& statistics,
           std::string instance);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Constant.
    const unsigned index;
    const unsigned worker_count;
    const std::string pseudonym;  ///< of this daemon in Via fields
    observe::WorkerCounters& counters;

    // The way of every exchange.
    net::Deadlines deadlines;
    net::Reactor reactor;
    WorkerViewPtr view;  ///< the current one
    std::uint64_t views_made = 0;
    http::h1::Output request_out;
    http::h1::Output response_out;
    http::ResponseHead response_head;
    std::string mended_head;
    std::unique_ptr<http::h1::BodyScratch> scratch;
    upstream::KeepaliveCache keepalive;
    net::PipePool pipes;
    std::size_t bodies_under_way = 0;  ///< that have to wait for one of their ends
    std::minstd_rand dice;             ///< for what should not always be the same one's turn
    RequestIds request_ids;
    DateText date;
    std::unique_ptr<observe::AccessLogBuffer> access_log;   ///< null: off
    std::shared_ptr<observe::AccessLog> access_log_target;  ///< of access_log
    net::Deadline access_log_flush;                         ///< armed while lines wait in the buffer
    boost::asio::thread_pool* background = nullptr;         ///< for what takes too long for a loop
    /// Has a client make room, which is then soon gone (limits.connections says whom). False if there is none.
    std::function<bool()> make_room;
    bool draining = false;     ///< client connections close after the exchange they are in
    bool tunnels_end = false;  ///< tunnels are told to end, those that begin now too

    net::TimePoint now() const { return deadlines.now(); }
    /// The wall clock at now().
    std::chrono::system_clock::time_point wall_now();

    std::unique_ptr<Exchange> take_exchange();
    void give_exchange(std::unique_ptr<Exchange> exchange);

  private:
    static constexpr std::size_t most_spare_exchanges = 256;
    std::vector<std::unique_ptr<Exchange>> spare_exchanges_;
    net::TimePoint wall_read_{};
    std::chrono::system_clock::time_point wall_{};
};

}  // namespace nsboot_lb::forward
