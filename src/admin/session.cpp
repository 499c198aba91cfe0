#include "session.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>

#include "dashboard.hpp"

namespace nsboot_lb::admin {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using namespace std::chrono_literals;

namespace {

constexpr auto idle_timeout = 120s;     // between requests; Prometheus comes every 15 to 60 s
constexpr auto request_timeout = 10s;   // from a request's first byte to its last
constexpr auto response_timeout = 30s;  // of the whole response
constexpr auto linger_timeout = 1s;
constexpr auto time_not_allowed = 1s;
constexpr std::uint32_t head_limit_bytes = 16 * 1024;
constexpr std::uint64_t body_limit_bytes = 64 * 1024;
constexpr std::size_t read_bytes = 4096;
constexpr std::size_t linger_limit_bytes = 1024 * 1024;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

std::string_view view(beast::string_view text) {
    return {text.data(), text.size()};
}

/// The answer to what could not be parsed; nothing where nobody waits for one.
std::optional<ApiResponse> answer_to(const beast::error_code& error) {
    const auto text = [](int status, std::string body) {
        return ApiResponse{.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
    };
    if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
    if (error == http::error::body_limit) return text(413, "the body is too large\n");
    if (error == http::error::header_limit) return text(431, "the header is too large\n");
    if (error == beast::error::timeout) return std::nullopt;  // the stream is closed already
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
        return text(400, "this is not HTTP: " + error.message() + "\n");
    }
    return std::nullopt;
}

}  // namespace

Session::Session(Socket socket, const Api& api, Peer peer)
    : api_(api),
      peer_(peer),
      end_(peer == Peer::not_allowed ? std::chrono::steady_clock::now() + time_not_allowed
                                     : std::chrono::steady_clock::time_point::max()),
      stream_(std::move(socket)),
      input_(head_limit_bytes + body_limit_bytes) {}

void Session::close() {
    closed_ = true;
    stream_.close();
}

void Session::limit(std::chrono::steady_clock::duration time) {
    stream_.expires_at(std::min(std::chrono::steady_clock::now() + time, end_));
}

asio::awaitable<void> Session::run() {
    bool keep_alive = true;
    while (keep_alive) {
        const bool begun = co_await wait_for_request();
        if (!begun) co_return;
        keep_alive = co_await serve();
    }
    co_await linger();
}

asio::awaitable<bool> Session::wait_for_request() {
    if (input_.size() > 0) co_return true;
    waiting_since_ = std::chrono::steady_clock::now();
    limit(idle_timeout);
    const auto [error, bytes] = co_await stream_.async_read_some(input_.prepare(read_bytes), as_result);
    if (error) co_return false;
    input_.commit(bytes);
    co_return true;
}

/// Whether the connection may carry another request.
asio::awaitable<bool> Session::serve() {
    Parser parser;
    parser.header_limit(head_limit_bytes);
    parser.body_limit(body_limit_bytes);
    limit(request_timeout);
    if (!waiting_since_) waiting_since_ = std::chrono::steady_clock::now();
    const auto [error, bytes] = co_await http::async_read(stream_, input_, parser, as_result);
    waiting_since_.reset();
    if (error) {
        auto refusal = answer_to(error);
        if (refusal) co_await send(parser.get(), std::move(*refusal), false);
        co_return false;
    }
    ApiResponse response = co_await answer(parser.get());
    const bool keep_alive = parser.get().keep_alive() && peer_ != Peer::not_allowed;
    const bool sent = co_await send(parser.get(), std::move(response), keep_alive);
    co_return sent&& keep_alive;
}

asio::awaitable<ApiResponse> Session::answer(const Request& request) const {
    if (peer_ == Peer::not_allowed) {
        co_return ApiResponse{
            .status = 403, .content_type = "text/plain; charset=utf-8", .body = "this address is not in admin.allow\n"};
    }
    const ApiRequest asked{.method = view(request.method_string()),
                           .target = view(request.target()),
                           .host = view(request[http::field::host]),
                           .origin = view(request[http::field::origin]),
                           .fetch_site = view(request["Sec-Fetch-Site"]),
                           .authorization = view(request[http::field::authorization]),
                           .body = request.body(),
                           .local = peer_ == Peer::local};
    auto response = co_await api_.handle(asked);
    co_return response;
}

asio::awaitable<bool> Session::send(const Request& request, ApiResponse answer, bool keep_alive) {
    http::response<http::string_body> response;
    response.result(static_cast<unsigned>(answer.status));
    response.set(http::field::content_type, {answer.content_type.data(), answer.content_type.size()});
    response.set(http::field::cache_control, "no-store");
    response.set("Content-Security-Policy", {content_security_policy.data(), content_security_policy.size()});
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Referrer-Policy", "no-referrer");
    if (!answer.allow.empty()) response.set(http::field::allow, {answer.allow.data(), answer.allow.size()});
    if (answer.authenticate) response.set(http::field::www_authenticate, "Bearer");
    response.keep_alive(keep_alive);
    response.body() = std::move(answer.body);
    response.prepare_payload();

    http::response_serializer<http::string_body> serializer(response);
    limit(response_timeout);
    beast::error_code error;
    std::size_t bytes = 0;
    if (request.method() == http::verb::head) {
        std::tie(error, bytes) = co_await http::async_write_header(stream_, serializer, as_result);
    } else {
        std::tie(error, bytes) = co_await http::async_write(stream_, serializer, as_result);
    }
    co_return !error;
}

/// Closing with bytes unread would be a reset, which can overtake the answer (RFC 9112 9.6).
asio::awaitable<void> Session::linger() {
    beast::error_code error;
    stream_.socket().shutdown(asio::socket_base::shutdown_send, error);
    limit(linger_timeout);
    std::array<char, read_bytes> discarded;
    for (std::size_t total = 0; !error && total < linger_limit_bytes;) {
        std::size_t bytes = 0;
        std::tie(error, bytes) = co_await stream_.async_read_some(asio::buffer(discarded), as_result);
        total += bytes;
    }
}

}  // namespace nsboot_lb::admin
