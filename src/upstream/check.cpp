#include "check.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <tuple>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "nsboot_lb/base/units.hpp"
#include "patience.hpp"

namespace nsboot_lb::upstream {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
/// Of a response that is searched for `expect_body`; what is beyond is not looked at.
constexpr std::uint64_t most_body_bytes = 1024 * 1024;
constexpr std::uint32_t most_header_bytes = 64 * 1024;

using Response = http::response_parser<http::string_body>;

/// Descriptors, ports or memory that the daemon itself has none left of.
bool is_shortage(const error_code& error) {
    static constexpr std::array own{EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EADDRNOTAVAIL};
    return error.category() == boost::system::system_category() && std::ranges::find(own, error.value()) != own.end();
}

std::string reason(const error_code& error) {
    using namespace asio::error;
    if (error == connection_refused) return "connection refused";
    if (error == connection_reset || error == broken_pipe) return "connection reset";
    if (error == http::error::end_of_stream || error == http::error::partial_message)
        return "connection closed before the response was complete";
    const bool http_error = error.category() == http::make_error_code(http::error::bad_version).category();
    return http_error ? "not HTTP: " + error.message() : error.message();
}

http::request<http::empty_body> request_of(const config::HealthCheck& check, const Endpoint& endpoint) {
    http::request<http::empty_body> request;
    request.version(11);
    request.method_string(check.method);
    request.target(check.path);
    request.set(http::field::host, check.host.empty() ? endpoint.host : check.host);
    request.set(http::field::user_agent, "nsboot-lb/" NSBOOT_LB_VERSION " (health check)");
    request.set(http::field::connection, "close");
    return request;
}

/// The connection of a check, which is closed when the server's time is over. Shared with the timer's handler.
template <class Protocol>
class Connection : public std::enable_shared_from_this<Connection<Protocol>> {
  public:
    Connection(const asio::any_io_executor& loop, const config::HealthCheck& check)
        : socket(loop), check_(check), timer_(loop), patience_(check.timeout) {}

    /// From now on, until close().
    void limit() {
        timer_.expires_at(patience_.begin_slice(std::chrono::steady_clock::now()));
        timer_.async_wait([self = this->shared_from_this()](const error_code&) {
            if (!self->closed_) self->end_slice();
        });
    }
    void close() {
        closed_ = true;
        error_code ignored;
        socket.close(ignored);
        timer_.cancel();
    }
    NotPassed failed(const error_code& error) const {
        if (is_shortage(error)) return {error.message(), true};
        if (verdict_ == Patience::Verdict::over) return {"timeout after " + base::print_duration(check_.timeout)};
        if (verdict_ == Patience::Verdict::no_verdict) return {"the daemon stood still", true};
        // A server may well lose its patience with a client that stands still. It refuses nobody for that.
        const bool stood_still = patience_.stood_still(std::chrono::steady_clock::now());
        return {reason(error), stood_still && error != asio::error::connection_refused};
    }

    typename Protocol::socket socket;

  private:
    void end_slice() {
        verdict_ = patience_.end_slice(std::chrono::steady_clock::now());
        if (verdict_ == Patience::Verdict::wait) return limit();
        close();
    }

    const config::HealthCheck check_;
    asio::steady_timer timer_;
    Patience patience_;
    Patience::Verdict verdict_ = Patience::Verdict::wait;
    bool closed_ = false;
};

template <class Stream>
asio::awaitable<error_code> read_response(Stream& stream, Response& response, const config::HealthCheck& check) {
    response.header_limit(most_header_bytes);
    response.body_limit(most_body_bytes);
    response.skip(check.method == "HEAD");
    beast::flat_buffer buffer;
    if (check.expect_body.empty()) {
        const auto [error, size] = co_await http::async_read_header(stream, buffer, response, as_result);
        co_return error;
    }
    const auto [error, size] = co_await http::async_read(stream, buffer, response, as_result);
    // Enough of it is there to look for the text.
    const bool only_too_long = error == http::error::body_limit && response.is_header_done();
    co_return only_too_long ? error_code{} : error;
}

template <class Protocol>
asio::awaitable<CheckResult> exchange(Connection<Protocol>& connection, const config::HealthCheck& check,
                                      const Endpoint& endpoint) {
    const auto request = request_of(check, endpoint);
    const auto [write_error, written] = co_await http::async_write(connection.socket, request, as_result);
    if (write_error) co_return std::unexpected(connection.failed(write_error));
    Response response;
    const auto read_error = co_await read_response(connection.socket, response, check);
    if (read_error) co_return std::unexpected(connection.failed(read_error));
    co_return judge(check, static_cast<int>(response.get().result_int()), response.get().body());
}

template <class Protocol>
asio::awaitable<CheckResult> run(typename Protocol::endpoint peer, const config::HealthCheck& check,
                                 const Endpoint& endpoint) {
    const auto executor = co_await asio::this_coro::executor;
    const auto connection = std::make_shared<Connection<Protocol>>(executor, check);
    const std::shared_ptr<void> closing{nullptr, [&](void*) { connection->close(); }};
    // One limit for all of it; each step that follows runs against it.
    connection->limit();
    const auto [error] = co_await connection->socket.async_connect(peer, as_result);
    if (error) co_return std::unexpected(connection->failed(error));
    if (check.type == config::CheckType::tcp) co_return CheckResult{};
    auto result = co_await exchange(*connection, check, endpoint);
    co_return result;
}

asio::ip::tcp::endpoint tcp_peer(const config::HealthCheck& check, const Endpoint& endpoint) {
    const auto port = check.port != 0 ? check.port : endpoint.port;
    const asio::ip::address_v6 address(endpoint.address.bytes);
    if (!endpoint.address.is_v4()) return {address, port};
    return {asio::ip::make_address_v4(asio::ip::v4_mapped, address), port};
}

}  // namespace

CheckResult judge(const config::HealthCheck& check, int status, std::string_view body) {
    const auto expected = [&](const config::StatusRange& range) { return range.contains(status); };
    if (std::ranges::none_of(check.expect_status, expected))
        return std::unexpected(NotPassed{"status " + std::to_string(status)});
    if (!check.expect_body.empty() && body.find(check.expect_body) == std::string_view::npos)
        return std::unexpected(NotPassed{"body without \"" + check.expect_body + "\""});
    return {};
}

asio::awaitable<CheckResult> run_check(const config::HealthCheck& check, const Endpoint& endpoint) {
    if (endpoint.unix_path.empty()) return run<asio::ip::tcp>(tcp_peer(check, endpoint), check, endpoint);
    using Unix = asio::local::stream_protocol;
    return run<Unix>(Unix::endpoint{endpoint.unix_path}, check, endpoint);
}

}  // namespace nsboot_lb::upstream
