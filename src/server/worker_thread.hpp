#pragma once
/// A worker: its thread, its event loop, its listening sockets and its sessions. The control thread makes and ends it
/// and posts to it; everything else happens on the worker's own thread.
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include "connection_limits.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "session.hpp"

namespace nsboot_lb::server {

using ListenerCountersPtr = std::shared_ptr<observe::PerWorker<observe::ListenerCounters>>;

/// A listening socket of one worker.
struct ListenerSetup {
    std::string address;  ///< which BoundAddress: its configured text
    int descriptor = -1;
    ListenerCountersPtr counters;
    bool proxy_protocol = false;
    std::vector<base::Cidr> proxy_protocol_from;  ///< empty: every peer
};

/// What becomes of listening sockets that a worker accepts on no longer.
enum class Backlog : std::uint8_t {
    served,  ///< they are closed afterwards: who is there already is accepted, and nobody else gets in
    taken,   ///< the same, but somebody else keeps them, and may accept there later
    left,    ///< another process accepts there
};

class WorkerThread {
  public:
    WorkerThread(unsigned index, unsigned count, observe::Statistics& statistics, std::string pseudonym,
                 ConnectionLimits& limits, boost::asio::thread_pool& background);
    /// Ends every session at once and joins the thread.
    ~WorkerThread();
    /// The same in two, for several workers: until all have ended they may tell each other of room for connections.
    void end();
    void join();
    WorkerThread(const WorkerThread&) = delete;
    WorkerThread& operator=(const WorkerThread&) = delete;

    // --- From the control thread. ---

    void start();
    /// Runs `work` on the worker, soon.
    template <class Work>
    void post(Work work) {
        worker_.reactor.post([this, work = std::move(work)]() mutable {
            worker_.deadlines.set_now(net::Clock::now());
            work();
        });
    }
    /// The configuration from now on, or rather from when the worker's view of it is made, which takes several turns of
    /// the loop where it is large. Exchanges that have begun keep theirs. Then lets go of `done`.
    void use(std::shared_ptr<const forward::Snapshot> snapshot, std::shared_ptr<observe::AccessLog> access_log,
             std::shared_ptr<void> done);
    /// Hands over the access log's lines; then lets go of `done`.
    void flush_access_log(std::shared_ptr<void> done);
    /// Accepts on these sockets, and no others, once what use() was given before is in use. `done` is called on the
    /// worker once no other is touched any more.
    void listen(std::vector<ListenerSetup> listeners, Backlog backlog, std::function<void()> done);
    /// Answers `Connection: close` from now on and calls `drained` (on the worker) when the last session has ended.
    void drain(std::function<void()> drained);
    /// Ends sessions that wait for a request, of those that drain.
    void close_idle();
    /// Tells the clients of tunnels that the daemon goes away, now and from now on: these are over soon after
    /// (forward::tunnel_grace). Other sessions go on.
    void end_tunnels();
    /// Ends all sessions but tunnels.
    void abort_exchanges();
    /// Ends all sessions.
    void abort_all();

    // --- On the worker. ---

    forward::Worker& worker() { return worker_; }
    /// From now on it may have to make room for others; no more.
    void note_idle(Session& session);
    void note_busy(Session& session);
    bool closes_idle() const { return closes_idle_; }
    /// Counts the session among those of its client's address. False if there are too many.
    bool admit_client(Session& session);

  private:
    struct Listener;
    using AllSessions = boost::intrusive::list<
        Session, boost::intrusive::member_hook<Session, boost::intrusive::list_member_hook<>, &Session::in_all>>;
    using IdleSessions = boost::intrusive::list<
        Session,
        boost::intrusive::member_hook<
            Session, boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
            &Session::in_idle>,
        boost::intrusive::constant_time_size<false>>;
    /// One that waits for room.
    struct Newcomer {
        explicit Newcomer(net::Reactor& reactor) : room(reactor) {}
        net::Readiness room;
        boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> in_line;
    };
    using Newcomers = boost::intrusive::list<
        Newcomer,
        boost::intrusive::member_hook<
            Newcomer, boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
            &Newcomer::in_line>,
        boost::intrusive::constant_time_size<false>>;

    /// Something to be done in its turn, in one go or in several. False: call it again after the others' turn.
    using Order = std::move_only_function<bool()>;

    void run_loop();
    void give(Order order);
    void carry_out();
    void take(const forward::WorkerViewPtr& view, const std::shared_ptr<observe::AccessLog>& access_log);
    void accept_on(std::vector<ListenerSetup> setups, Backlog backlog);
    void begin_accepting(Listener& listener);
    net::Task<void> accept(Listener& listener);
    void begin_session(const Listener& listener, int descriptor, const base::IpAddress& peer);
    Session& make_session(const Accepted& accepted);
    net::Task<void> run_newcomer(Session& session, ListenerCountersPtr counters);
    net::Task<bool> wait_for_room(Session& session);
    void count_in(Session& session);
    void session_ended(Session& session, const std::exception_ptr& failure);
    void end_session(Session& session);
    void end_listener(Listener& listener);
    bool accept_one(const Listener& listener);
    net::Task<void> accept_backlog(Listener& listener);
    bool make_room();
    void evict_oldest();
    void admit_newcomers();
    void show_oldest();
    void recount_clients();
    void check_drained();
    void check_listened();

    boost::asio::io_context loop_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    ConnectionLimits& limits_;
    forward::Worker worker_;
    std::list<Listener> listeners_;
    std::deque<Order> orders_;  ///< the first one may have begun
    AllSessions sessions_;
    IdleSessions idle_;  ///< longest first
    Newcomers newcomers_;
    std::size_t newcomer_count_ = 0;  ///< in newcomers_
    bool counts_clients_ = false;
    std::function<void()> drained_;
    std::vector<std::function<void()>> listened_;  ///< what waits for the listeners that leave
    bool closes_idle_ = false;
    bool leaving_ = false;
    bool ended_ = false;  ///< the control thread's: end() was called
    std::thread thread_;
};

}  // namespace nsboot_lb::server
