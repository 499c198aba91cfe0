#pragma once
/// One connection of the admin listener: reads a request, has the Api answer it, writes the response, and again. Lives
/// in a coroutine of the AdminServer on the control thread.
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
    /// A peer that is not `allowed` gets a 403 for whatever it asks.
    Session(Socket socket, const Api& api, bool allowed);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Returns when the connection is over. The session must live that long.
    boost::asio::awaitable<void> run();
    /// Ends run() soon.
    void close() { stream_.close(); }

  private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using Request = Parser::value_type;

    boost::asio::awaitable<bool> wait_for_request();
    boost::asio::awaitable<bool> serve();
    boost::asio::awaitable<bool> send(const Request& request, ApiResponse response, bool keep_alive);
    boost::asio::awaitable<void> linger();
    boost::asio::awaitable<ApiResponse> answer(const Request& request) const;

    const Api& api_;
    const bool allowed_;
    boost::beast::basic_stream<boost::asio::generic::stream_protocol> stream_;
    boost::beast::flat_buffer input_;
};

}  // namespace nsboot_lb::admin
