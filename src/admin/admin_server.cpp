#include "nsboot_lb/admin/admin_server.hpp"

#include <chrono>
#include <exception>
#include <map>
#include <optional>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "acceptor.hpp"
#include "api.hpp"
#include "bearer.hpp"
#include "nsboot_lb/net/socket_address.hpp"
#include "nsboot_lb/observe/log.hpp"
#include "session.hpp"

namespace nsboot_lb::admin {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t connection_limit = 64;
/// Of peers that are not allowed, which are told so and nothing else.
constexpr std::size_t not_allowed_limit = 8;
/// After an accept that failed for want of descriptors, which would fail again at once.
constexpr auto accept_pause = 100ms;

/// A session ends by returning; an exception is a fault to hear of, and that session's end alone.
void report_exception(const std::exception_ptr& exception) {
    if (!exception) return;
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& failure) {
        observe::log::error("admin connection ended badly error={}", failure.what());
    } catch (...) {
        observe::log::error("admin connection ended badly");
    }
}

}  // namespace

class AdminServer::Impl {
  public:
    Impl(asio::io_context& io, Acceptor acceptor, const config::Admin& config, AdminContext context)
        : io_(io), acceptor_(std::move(acceptor)), allow_(config.allow), api_(std::move(context), config) {}

    /// Each coroutine holds the Impl that it works on.
    static void run(const std::shared_ptr<Impl>& self) {
        asio::co_spawn(self->io_, accept_connections(self), report_exception);
    }
    void stop() {
        stopping_ = true;
        acceptor_.close();
        for (const auto& [session, address] : sessions_) session->close();
    }
    void set_access(const config::Admin& config) {
        allow_ = config.allow;
        api_.set_access(config);
        for (auto& [session, address] : sessions_)
            if (session->peer() == Session::Peer::allowed && !is_allowed(address)) session->disallow();
    }
    Acceptor& acceptor() { return acceptor_; }

  private:
    using Address = std::optional<base::IpAddress>;

    static asio::awaitable<void> accept_connections(std::shared_ptr<Impl> self) {
        asio::steady_timer pause(self->io_);
        while (!self->stopping_) {
            bool accepted = false;
            try {
                accepted = co_await self->accept(self);
            } catch (const std::exception& failure) {
                observe::log::error("cannot take an admin connection error={}", failure.what());
            }
            if (accepted || self->stopping_) continue;
            pause.expires_after(accept_pause);
            co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        }
    }

    asio::awaitable<bool> accept(std::shared_ptr<Impl> self) {
        Socket socket(io_);
        const auto error = co_await acceptor_.accept(socket);
        if (error || stopping_) co_return false;
        const auto address = peer_address(socket);
        const auto peer = peer_of(address);
        if (make_room(peer)) asio::co_spawn(io_, serve(self, std::move(socket), peer, address), report_exception);
        co_return true;
    }

    static asio::awaitable<void> serve(std::shared_ptr<Impl> self, Socket socket, Session::Peer peer, Address address) {
        Session session(std::move(socket), self->api_, peer);
        const Registration registration(*self, session, address);
        co_await session.run();
    }

    /// Whoever may open a unix socket is allowed: its file's permissions are its allow list.
    Session::Peer peer_of(const Address& address) const {
        if (acceptor_.address().starts_with("unix:")) return Session::Peer::local;
        return is_allowed(address) ? Session::Peer::allowed : Session::Peer::not_allowed;
    }
    bool is_allowed(const Address& address) const { return address && base::any_contains(allow_, *address); }

    /// Whether a newcomer finds a place, if need be that of the connection that has been silent longest: else those who
    /// connect and say nothing would keep out everybody. Peers that are not allowed go by themselves.
    bool make_room(Session::Peer peer) {
        const bool allowed = peer != Session::Peer::not_allowed;
        Session* longest = nullptr;
        std::size_t count = 0;
        for (const auto& [session, address] : sessions_) {
            if (session->closed() || (session->peer() != Session::Peer::not_allowed) != allowed) continue;
            ++count;
            if (!session->waiting_since()) continue;
            if (longest == nullptr || session->waiting_since() < longest->waiting_since()) longest = session;
        }
        if (count < (allowed ? connection_limit : not_allowed_limit)) return true;
        if (!allowed || longest == nullptr) return false;
        longest->close();
        return true;
    }

    /// Keeps a session where stop() finds it, for as long as its coroutine lasts.
    class Registration {
      public:
        Registration(Impl& impl, Session& session, const Address& address) : impl_(impl), session_(session) {
            impl_.sessions_.emplace(&session_, address);
        }
        ~Registration() { impl_.sessions_.erase(&session_); }
        Registration(const Registration&) = delete;
        Registration& operator=(const Registration&) = delete;

      private:
        Impl& impl_;
        Session& session_;
    };

    asio::io_context& io_;
    Acceptor acceptor_;
    std::vector<base::Cidr> allow_;
    Api api_;
    std::map<Session*, Address> sessions_;
    bool stopping_ = false;
};

namespace {

/// Who may do what depends on the address, so a socket that is called ours has to be what the configuration says.
bool is_bound_to(int descriptor, const config::BindAddress& address) {
    const auto bound = net::SocketAddress::bound_by(descriptor);
    if (!address.unix_path.empty()) return bound.family() == AF_UNIX && bound.path() == address.unix_path;
    if (bound.family() != AF_INET && bound.family() != AF_INET6) return false;
    const auto host = base::IpAddress::parse(address.host);
    return host && bound.address() == *host && (address.port == 0 || bound.port() == address.port);
}

/// The one of them that is bound there; -1 if none is. The others are closed.
int choose(const std::vector<int>& descriptors, const config::BindAddress& address) {
    int chosen = -1;
    for (const int descriptor : descriptors) {
        if (chosen < 0 && is_bound_to(descriptor, address))
            chosen = descriptor;
        else
            ::close(descriptor);
    }
    return chosen;
}

}  // namespace

std::expected<std::unique_ptr<AdminServer>, std::string> AdminServer::start(asio::io_context& io,
                                                                            const config::Admin& config,
                                                                            AdminContext context,
                                                                            server::InheritedSockets* inherited) {
    if (!config.token_file.empty()) {
        if (const auto token = read_token(config.token_file); !token) return std::unexpected(token.error());
    }
    const int claimed =
        inherited != nullptr ? choose(inherited->claim(socket_name, config.address), config.address) : -1;
    auto acceptor = claimed < 0 ? Acceptor::bind(io, config.address) : Acceptor::adopt(io, config.address, claimed);
    if (!acceptor) return std::unexpected(acceptor.error());
    auto impl = std::make_shared<Impl>(io, std::move(*acceptor), config, std::move(context));
    Impl::run(impl);
    return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::AdminServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() {
    impl_->stop();
}

void AdminServer::set_access(const config::Admin& config) {
    impl_->set_access(config);
}

int AdminServer::descriptor() const {
    return impl_->acceptor().descriptor();
}

void AdminServer::keep_socket_file() {
    impl_->acceptor().keep_file();
}

const std::string& AdminServer::address() const {
    return impl_->acceptor().address();
}

}  // namespace nsboot_lb::admin
