#pragma once
/// The end of a Server: new connections are left to others, what is in flight finishes, and what does not is ended.
/// Control thread; the Server owns it. What it is given outlives it.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "connection_limits.hpp"
#include "listeners.hpp"
#include "worker_thread.hpp"

namespace nsboot_lb::server {

class Drain {
  public:
    using Workers = std::vector<std::unique_ptr<WorkerThread>>;

    /// `give_up` ends what exchanges wait for beside servers and clients; called when they are ended.
    Drain(boost::asio::io_context& control, Workers& workers, Listeners& listeners, const ConnectionLimits& limits,
          std::function<void()> give_up)
        : control_(control),
          workers_(workers),
          listeners_(listeners),
          limits_(limits),
          give_up_(std::move(give_up)),
          timer_(control) {}

    /// Whatever is in flight after `limit` is ended. `done` is called when the last session is over.
    void finish(std::chrono::milliseconds limit, std::function<void()> done);
    /// For a successor on the same sockets: only what has no end of its own, idle connections and tunnels, is ended
    /// after `limit`. finish() after this sets the limit for all.
    void leave(std::chrono::milliseconds limit, std::function<void()> done);
    /// From the first of either on.
    bool begun() const { return begun_; }

  private:
    void accept_no_more(Backlog backlog, std::function<void()> done);
    template <class Next>
    void after(std::chrono::milliseconds time, Next next);
    void close_idle();
    void end_tunnels();
    void end_all();
    void one_listens_no_more();
    void one_drained();

    boost::asio::io_context& control_;
    Workers& workers_;
    Listeners& listeners_;
    const ConnectionLimits& limits_;
    const std::function<void()> give_up_;
    boost::asio::steady_timer timer_;
    std::function<void()> done_;
    std::size_t listening_ = 0;  ///< workers that may still accept
    std::size_t busy_ = 0;       ///< workers that have sessions
    bool begun_ = false;
};

}  // namespace nsboot_lb::server
