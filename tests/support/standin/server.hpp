#pragma once
/// A stand-in NSBoot server: accepts connections and runs a Session for each. Everything happens on the thread that
/// runs the io_context; owned by main() or by a test.
#include <list>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "conduct.hpp"
#include "session.hpp"
#include "site.hpp"

namespace nsboot_lb::standin {

class Server {
  public:
    /// Binds and listens; throws boost::system::system_error if the address cannot be had.
    Server(boost::asio::io_context& context, const boost::asio::ip::tcp::endpoint& address, std::string hostname,
           const Conduct::Options& conduct = {});

    boost::asio::ip::tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }
    /// Begins to accept.
    void start();
    /// Accepts no more and lets exchanges under way finish.
    void stop();
    /// False when stop() was called and the last connection is over.
    bool working() const { return acceptor_.is_open() || !sessions_.empty(); }
    Conduct& conduct() { return conduct_; }

  private:
    boost::asio::awaitable<void> accept();
    void begin_session(boost::asio::ip::tcp::socket socket);

    boost::asio::io_context& context_;
    boost::asio::ip::tcp::acceptor acceptor_;
    Site site_;
    Conduct conduct_;
    std::list<Session> sessions_;
};

}  // namespace nsboot_lb::standin
