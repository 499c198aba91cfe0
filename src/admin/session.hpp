#pragma once
/// One connection of the admin listener: reads a request, has the Api answer it, writes the response, and again. Lives
/// in a coroutine of the AdminServer on the control thread.
#include <chrono>
#include <cstdint>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "acceptor.hpp"
#include "api.hpp"

namespace nsboot_lb::admin {

class Session {
  public:
    enum class Peer : std::uint8_t {
        local,       ///< by a unix socket: whoever may open it is allowed
        allowed,     ///< by admin.allow
        not_allowed  ///< gets a 403 for whatever it asks, and a second in all
    };
    Session(Socket socket, const Api& api, Peer peer);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Returns when the connection is over. The session must live that long.
    boost::asio::awaitable<void> run();
    /// Ends run() soon.
    void close();
    /// It gets the answer that it waits for, and no other.
    void disallow() { peer_ = Peer::not_allowed; }
    Peer peer() const { return peer_; }
    bool closed() const { return closed_; }
    /// Since when it has been waiting for a request, or for the rest of one; nothing while it answers.
    std::optional<std::chrono::steady_clock::time_point> waiting_since() const { return waiting_since_; }

  private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using Request = Parser::value_type;

    /// The stream closes after that time.
    void limit(std::chrono::steady_clock::duration time);
    boost::asio::awaitable<bool> wait_for_request();
    boost::asio::awaitable<bool> serve();
    boost::asio::awaitable<bool> send(const Request& request, ApiResponse response, bool keep_alive);
    boost::asio::awaitable<void> linger();
    boost::asio::awaitable<ApiResponse> answer(const Request& request) const;

    const Api& api_;
    Peer peer_;
    const std::chrono::steady_clock::time_point end_;  ///< of all, whatever happens
    std::optional<std::chrono::steady_clock::time_point> waiting_since_;
    bool closed_ = false;
    boost::beast::basic_stream<boost::asio::generic::stream_protocol> stream_;
    boost::beast::flat_buffer input_;
};

}  // namespace nsboot_lb::admin
