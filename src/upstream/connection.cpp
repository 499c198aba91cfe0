#include "nsboot_lb/upstream/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "nsboot_lb/net/socket_address.hpp"
#include "nsboot_lb/net/socket_options.hpp"

namespace nsboot_lb::upstream {

namespace {

/// What this process lacks, as opposed to what the server does not do.
bool is_own_fault(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL;
}

Connected failed(int error) {
    const bool refused = error == ECONNREFUSED || error == ENOENT;  // ENOENT: a unix socket that nobody made
    return {.failure = refused ? Failure::connect_refused : Failure::connect_failed,
            .error = error,
            .own_fault = is_own_fault(error)};
}

void set(int descriptor, int level, int option, int value) {
    ::setsockopt(descriptor, level, option, &value, sizeof value);
}

/// A socket for a server. One that lost power is noticed while its answer is waited for, however long that may take.
int open_socket(int family) {
    const int descriptor = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || family == AF_UNIX) return descriptor;
    set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    net::peer_options(descriptor);
    return descriptor;
}

}  // namespace

void Connection::on_event(net::Stream& /*stream*/) {
    if (list_ != nullptr && stream.has_input()) list_->drop(*this);
}

void Connection::idle_too_long(void* self) {
    auto& connection = *static_cast<Connection*>(self);
    if (connection.list_ != nullptr) connection.list_->drop(connection);
}

std::unique_ptr<Connection> IdleList::take(net::TimePoint now) {
    while (!connections_.empty()) {
        auto connection = std::move(connections_.back());
        connections_.pop_back();
        if (counters_ != nullptr) counters_->connections_idle.sub();
        connection->list_ = nullptr;
        connection->idle_deadline_.disarm();
        connection->stream.observe(nullptr);
        // Readable without having been asked: closed, or out of step.
        if (!connection->stream.has_input() && now < connection->dies_at) return connection;
    }
    return nullptr;
}

void IdleList::give(std::unique_ptr<Connection> connection, std::size_t most, net::DeadlineList& idle) {
    if (retired_ || connections_.size() >= most) return;
    // A body that came through a pipe, or just filled a read, leaves it open whether more is there.
    if (connection->stream.has_input() && !connection->stream.quiet()) return;
    connection->list_ = this;
    connection->idle_deadline_.arm(idle);
    connection->stream.observe(connection.get());
    connections_.push_back(std::move(connection));
    if (counters_ != nullptr) counters_->connections_idle.add();
}

void IdleList::clear() {
    if (counters_ != nullptr) counters_->connections_idle.sub(static_cast<std::int64_t>(connections_.size()));
    connections_.clear();
}

bool IdleList::close_one() {
    if (connections_.empty()) return false;
    drop(*connections_.front());
    return true;
}

void IdleList::retire() {
    clear();
    counters_ = nullptr;  // gone with the snapshot of the last exchange
    retired_ = true;
}

void IdleList::count_in(observe::ServerCounters* counters) {
    const auto idle = static_cast<std::int64_t>(connections_.size());
    if (counters_ != nullptr) counters_->connections_idle.sub(idle);
    counters_ = counters;
    if (counters_ != nullptr) counters_->connections_idle.add(idle);
}

void IdleList::drop(Connection& connection) {
    const auto found = std::ranges::find(connections_, &connection, &std::unique_ptr<Connection>::get);
    if (found == connections_.end()) return;
    connections_.erase(found);
    if (counters_ != nullptr) counters_->connections_idle.sub();
}

IdleListPtr KeepaliveCache::list(std::uint64_t endpoint_id) {
    auto& list = lists_[endpoint_id];
    if (!list) list = new IdleList;
    return list;
}

void KeepaliveCache::retain(const std::vector<std::uint64_t>& endpoint_ids) {
    std::erase_if(lists_, [&](const auto& entry) {
        if (std::ranges::binary_search(endpoint_ids, entry.first)) return false;
        entry.second->retire();
        return true;
    });
}

bool KeepaliveCache::close_one() {
    return std::ranges::any_of(lists_, [](const auto& entry) { return entry.second->close_one(); });
}

net::Task<Connected> connect(net::Reactor& reactor, net::Scope& scope, const Endpoint& endpoint,
                             net::DeadlineList& limit) {
    const auto address = endpoint.unix_path.empty() ? net::SocketAddress::tcp(endpoint.address, endpoint.port)
                                                    : net::SocketAddress::unix_socket(endpoint.unix_path);
    const int descriptor = open_socket(address.family());
    if (descriptor < 0) co_return failed(errno);
    const int started = ::connect(descriptor, address.get(), address.size);
    const int error = started == 0 ? 0 : errno;
    reactor.worked(0);

    auto connection = std::make_unique<Connection>(reactor);
    if (!connection->stream.open(descriptor, false, started == 0)) co_return failed(errno);
    if (started != 0) {
        // EAGAIN is a unix socket whose backlog is full: it does not become writable, so it counts as refused.
        if (error == EAGAIN) co_return failed(ECONNREFUSED);
        if (error != EINPROGRESS) co_return failed(error);
        auto& writable = connection->stream.writable();
        writable.deadline().arm(limit);
        const auto ready = co_await writable.wait(scope);
        writable.deadline().disarm();
        if (ready == net::Ready::timed_out) co_return Connected{.failure = Failure::connect_timeout};
        if (ready == net::Ready::cancelled) co_return Connected{.cancelled = true};
        int outcome = 0;
        socklen_t size = sizeof outcome;
        ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &outcome, &size);
        if (outcome != 0) co_return failed(outcome);
    }
    connection->opened = reactor.deadlines().now();
    co_return Connected{.connection = std::move(connection)};
}

}  // namespace nsboot_lb::upstream
