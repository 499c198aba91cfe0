#pragma once
/// One client connection of a stand-in: reads requests one after the other (what was pipelined waits in the buffer),
/// answers them in order, and becomes a WebSocket when asked. Runs on the server's one thread; owned by Server.
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "conduct.hpp"
#include "site.hpp"

namespace nsboot_lb::standin {

class Session {
  public:
    Session(boost::asio::ip::tcp::socket socket, const Site& site, Conduct& conduct);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Returns when the connection is over. The session must live that long.
    boost::asio::awaitable<void> run();
    /// Closes at once if no request is under way, else after its answer; a WebSocket is told that the server goes away.
    void stop();

  private:
    using Parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;
    enum class Next { request, close };

    boost::asio::awaitable<Next> serve(Parser& parser);
    boost::asio::awaitable<Next> serve_upload(Parser& parser);
    boost::asio::awaitable<Next> answer(const Parser& parser, Reply reply);
    boost::asio::awaitable<Next> send(const Parser& parser, Reply reply);
    boost::asio::awaitable<bool> send_image(const std::string& head, const Reply& reply);
    boost::asio::awaitable<void> break_off(std::string_view head);
    template <typename Sink>
    boost::asio::awaitable<boost::beast::error_code> read_body(Parser& parser, Sink sink);
    boost::asio::awaitable<void> echo(const RequestHead& upgrade);
    boost::asio::awaitable<bool> break_unread();
    boost::asio::awaitable<void> pause(boost::asio::steady_timer::duration time);
    boost::asio::awaitable<void> linger();
    void reset();

    const Site& site_;
    Conduct& conduct_;
    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer input_;
    std::optional<boost::beast::websocket::stream<boost::beast::tcp_stream&>> websocket_;
    boost::asio::steady_timer closed_;  ///< never expires; cancelled when stop() has closed the WebSocket
    Fault fault_ = Fault::none;         ///< of this exchange
    bool waiting_for_request_ = false;
    bool stopping_ = false;
    bool closing_ = false;
};

}  // namespace nsboot_lb::standin
