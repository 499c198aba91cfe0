#include "session.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <span>
#include <sstream>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "selection.hpp"
#include "sha256.hpp"

namespace nsboot_lb::standin {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using namespace std::chrono_literals;
namespace {

constexpr auto idle_timeout = 75s;
constexpr auto transfer_timeout = 60s;  // of one read or one write of a body
constexpr auto linger_timeout = 2s;
constexpr auto websocket_silence = 5s;  // before a ping
constexpr std::size_t head_limit_bytes = 64 * 1024;
constexpr std::size_t text_body_limit_bytes = 64 * 1024;
constexpr std::size_t block_bytes = 256 * 1024;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

std::string_view view(beast::string_view text) {
    return {text.data(), text.size()};
}

/// One request between its arrival and the end of its answer.
class Visit {
  public:
    Visit(Conduct& conduct, const RequestHead& head) : conduct_(conduct) {
        conduct_.begin(view(head.method_string()), view(head.target()));
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit() { conduct_.end(); }

  private:
    Conduct& conduct_;
};

std::string head_text(const http::response<http::string_body>& message) {
    std::ostringstream text;
    text << message.base();
    return text.str();
}

}  // namespace

Session::Session(asio::ip::tcp::socket socket, const Site& site, Conduct& conduct)
    : site_(site),
      conduct_(conduct),
      stream_(std::move(socket)),
      closed_(stream_.get_executor(), asio::steady_timer::time_point::max()) {}

void Session::stop() {
    if (std::exchange(stopping_, true)) return;
    if (waiting_for_request_) {
        stream_.cancel();
    } else if (websocket_) {
        closing_ = true;  // echo() hears of it in its read, and waits for the end of this
        websocket_->async_close(websocket::close_code::going_away, [this](beast::error_code) {
            closing_ = false;
            closed_.cancel();
        });
    }
}

asio::awaitable<void> Session::run() {
    stream_.socket().set_option(asio::ip::tcp::no_delay(true));
    for (Next next = Next::request; next == Next::request && !stopping_;) {
        Parser parser;
        parser.header_limit(head_limit_bytes);
        parser.body_limit(boost::none);
        stream_.expires_after(idle_timeout);
        waiting_for_request_ = input_.size() == 0;
        fault_ = conduct_.draw_fault();
        if (fault_ == Fault::unread && co_await break_unread()) co_return;
        const auto [error, bytes] = co_await http::async_read_header(stream_, input_, parser, as_result);
        waiting_for_request_ = false;
        if (error.category() == http::make_error_code(http::error::bad_method).category() &&
            error != http::error::end_of_stream) {
            next = co_await send(parser, site_.problem(http::status::bad_request, error.message()));
            next = Next::close;
        } else if (error) {
            co_return;
        } else if (websocket::is_upgrade(parser.get()) && view(parser.get().target()) == "/ws") {
            co_await echo(parser.get());
            // Beast must not lose the stream under an operation that has not ended; its own time-out bounds this one.
            if (closing_) co_await closed_.async_wait(as_result);
            co_return;
        } else {
            next = co_await serve(parser);
        }
    }
    co_await linger();
}

asio::awaitable<Session::Next> Session::serve(Parser& parser) {
    const auto& head = parser.get();
    if (beast::iequals(head[http::field::expect], "100-continue") && !parser.is_done()) {
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        stream_.expires_after(transfer_timeout);
        const auto [error, bytes] = co_await asio::async_write(stream_, asio::buffer(go_on), as_result);
        if (error) co_return Next::close;
    }
    if (head.method() == http::verb::post && Target(view(head.target())).path == "/api/images/upload") {
        co_return co_await serve_upload(parser);
    }
    std::string body;
    bool too_long = false;
    const auto keep = [&](std::span<const std::byte> piece) {
        too_long = too_long || piece.size() > text_body_limit_bytes - body.size();
        if (!too_long) body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return !too_long;
    };
    const auto error = co_await read_body(parser, keep);
    if (error) co_return Next::close;
    if (too_long) {
        co_await send(parser, site_.problem(http::status::payload_too_large, "the body is too long for this page"));
        co_return Next::close;
    }
    co_return co_await answer(parser, site_.answer(head, body));
}

asio::awaitable<Session::Next> Session::serve_upload(Parser& parser) {
    Sha256 digest;
    Upload upload;
    const auto take = [&](std::span<const std::byte> piece) {
        digest.update(piece);
        upload.size_bytes += piece.size();
        return true;
    };
    const auto error = co_await read_body(parser, take);
    if (error) co_return Next::close;
    upload.sha256 = digest.finish();
    co_return co_await answer(parser, site_.answer_upload(upload));
}

// Hands the body to `sink` piece by piece, whatever its framing, until its end or until sink() returns false.
template <typename Sink>
asio::awaitable<beast::error_code> Session::read_body(Parser& parser, Sink sink) {
    if (parser.is_done()) co_return beast::error_code{};
    std::vector<std::byte> block(block_bytes);
    input_.reserve(block_bytes);  // Beast reads as much as the buffer has room for
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = block.data();
        body.size = block.size();
        stream_.expires_after(transfer_timeout);
        const auto [error, bytes] = co_await http::async_read(stream_, input_, parser, as_result);
        if (error && error != http::error::need_buffer) co_return error;
        if (!sink(std::span<const std::byte>(block).first(block.size() - body.size))) break;
    }
    co_return beast::error_code{};
}

asio::awaitable<Session::Next> Session::answer(const Parser& parser, Reply reply) {
    const Visit visit(conduct_, parser.get());
    const auto delay = conduct_.delay(view(parser.get().target()));
    if (delay.count() != 0) co_await pause(delay);
    if (fault_ == Fault::unanswered) {
        reset();
        co_return Next::close;
    }
    const auto next = co_await send(parser, std::move(reply));
    co_return next;
}

asio::awaitable<Session::Next> Session::send(const Parser& parser, Reply reply) {
    const auto& request = parser.get();
    auto& message = reply.message;
    const bool is_head = request.method() == http::verb::head;
    const bool is_last = stopping_ || !request.keep_alive() || !parser.is_done();
    message.version(request.version() == 10 ? 10 : 11);
    message.keep_alive(!is_last);
    message.set(http::field::date, http_date(std::time(nullptr)));
    if (reply.image) {
        message.content_length(reply.length_bytes);
    } else if (message.result() != http::status::not_modified) {
        message.content_length(message.body().size());
    }
    const std::string head = head_text(message);
    if (fault_ == Fault::within_head) {
        co_await break_off(head);
        co_return Next::close;
    }
    if (reply.image && !is_head) {
        const bool complete = co_await send_image(head, reply);
        if (!complete) co_return Next::close;
    } else {
        const std::string_view body = is_head ? std::string_view{} : message.body();
        const std::array pieces{asio::buffer(head), asio::buffer(body)};
        stream_.expires_after(transfer_timeout);
        const auto [error, bytes] = co_await asio::async_write(stream_, pieces, as_result);
        if (error) co_return Next::close;
    }
    if (fault_ == Fault::after_answer && !is_last) {
        co_await pause(conduct_.draw_pause());
        reset();
        co_return Next::close;
    }
    co_return is_last ? Next::close : Next::request;
}

// The head goes with the first block, in one write: a server that is killed leaves a small image whole or unanswered.
asio::awaitable<bool> Session::send_image(const std::string& head, const Reply& reply) {
    std::vector<std::byte> block(std::min<std::uint64_t>(block_bytes, reply.length_bytes));
    std::uint64_t offset = reply.first;
    const std::uint64_t end = reply.first + reply.length_bytes;
    std::string_view front = head;
    do {
        const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), end - offset));
        reply.image->read(offset, piece);
        const std::array pieces{asio::buffer(front), asio::const_buffer(piece.data(), piece.size())};
        stream_.expires_after(transfer_timeout);
        const auto [error, bytes] = co_await asio::async_write(stream_, pieces, as_result);
        if (error) co_return false;
        offset += piece.size();
        front = {};
    } while (offset < end);
    co_return true;
}

asio::awaitable<void> Session::break_off(std::string_view head) {
    stream_.expires_after(transfer_timeout);
    co_await asio::async_write(stream_, asio::buffer(head.substr(0, head.size() / 2)), as_result);
    reset();
}

// True when it is over: a request came and was left unread, or stop() was called. The connection may also just end.
asio::awaitable<bool> Session::break_unread() {
    const auto [error] = co_await stream_.socket().async_wait(asio::ip::tcp::socket::wait_read, as_result);
    boost::system::error_code ignored;
    if (!error && stream_.socket().available(ignored) == 0) co_return false;
    reset();
    co_return true;
}

asio::awaitable<void> Session::pause(asio::steady_timer::duration time) {
    asio::steady_timer timer(stream_.get_executor(), time);
    co_await timer.async_wait(as_result);
}

void Session::reset() {
    boost::system::error_code ignored;
    stream_.socket().set_option(asio::socket_base::linger(true, 0), ignored);
    stream_.close();
}

// Echoes in pieces, so that a message of any length needs no more memory than one piece.
asio::awaitable<void> Session::echo(const RequestHead& upgrade) {
    stream_.expires_never();  // the WebSocket has its own time-outs
    auto& socket = websocket_.emplace(stream_);
    socket.set_option(websocket::stream_base::timeout{
        .handshake_timeout = 10s, .idle_timeout = 2 * websocket_silence, .keep_alive_pings = true});
    socket.set_option(websocket::stream_base::decorator(
        [this](websocket::response_type& response) { response.set("X-Served-By", site_.hostname()); }));
    socket.read_message_max(0);
    http::request<http::empty_body> request{upgrade};
    const auto [failure] = co_await socket.async_accept(request, as_result);
    if (failure) co_return;

    const std::string greeting = site_.websocket_greeting();
    socket.text(true);
    auto [error, greeted] = co_await socket.async_write(asio::buffer(greeting), as_result);
    beast::flat_buffer piece;
    piece.reserve(block_bytes);
    while (!error) {
        auto [read_error, received] = co_await socket.async_read_some(piece, block_bytes, as_result);
        if (read_error) co_return;
        socket.text(socket.got_text());
        const bool is_end = socket.is_message_done();
        auto [write_error, sent] = co_await socket.async_write_some(is_end, piece.data(), as_result);
        piece.consume(sent);
        error = write_error;
    }
}

// Closing while bytes of the client are unread would reset the connection and take the answer with it (RFC 9112 9.6).
asio::awaitable<void> Session::linger() {
    beast::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    std::array<std::byte, 16 * 1024> rest{};
    stream_.expires_after(linger_timeout);
    for (;;) {
        const auto [error, bytes] = co_await stream_.async_read_some(asio::buffer(rest), as_result);
        if (error) co_return;
    }
}

}  // namespace nsboot_lb::standin
