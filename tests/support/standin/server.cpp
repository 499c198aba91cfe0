#include "server.hpp"

#include <chrono>
#include <exception>
#include <iostream>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsboot_lb::standin {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds accept_pause{100};  // when descriptors are out, until some are free again

}  // namespace

Server::Server(asio::io_context& context, const tcp::endpoint& address, std::string hostname,
               const Conduct::Options& conduct)
    : context_(context), acceptor_(context, address), site_(std::move(hostname)), conduct_(conduct) {}

void Server::start() {
    asio::co_spawn(context_, accept(), asio::detached);
}

void Server::stop() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (auto& session : sessions_) session.stop();
}

asio::awaitable<void> Server::accept() {
    asio::steady_timer pause(context_);
    while (acceptor_.is_open()) {
        auto [error, socket] = co_await acceptor_.async_accept(as_result);
        if (!error) {
            begin_session(std::move(socket));
        } else if (error != asio::error::operation_aborted) {
            pause.expires_after(accept_pause);
            co_await pause.async_wait(as_result);
        }
    }
}

void Server::begin_session(tcp::socket socket) {
    sessions_.emplace_front(std::move(socket), site_, conduct_);
    const auto session = sessions_.begin();
    asio::co_spawn(context_, session->run(), [this, session](const std::exception_ptr& failure) {
        sessions_.erase(session);
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            std::cerr << "nsboot-standin: a connection failed: " << error.what() << '\n';
        }
    });
}

}  // namespace nsboot_lb::standin
