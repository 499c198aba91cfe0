#pragma once
/// The signals that the daemon answers to, on the control loop. The first thing that main makes of the running daemon
/// and the last that goes: while it is there no signal ends the process half-way through its start or its end.
#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace nsboot_lb::wiring {

class Signals {
  public:
    explicit Signals(boost::asio::io_context& control);
    /// Holds back what still comes: nobody is left to answer, and the process is about to end as it was told.
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    /// From now on; what came before is handled now. Once.
    void handle(std::function<void(int)> handler);

  private:
    void wait();
    boost::asio::signal_set signals_;
    std::function<void(int)> handler_;
};

}  // namespace nsboot_lb::wiring
