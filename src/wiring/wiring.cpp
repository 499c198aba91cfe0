#include "wiring.hpp"

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "nsboot_lb/observe/access_log.hpp"
#include "nsboot_lb/observe/collector.hpp"

namespace nsboot_lb::wiring {

namespace log = observe::log;

namespace {

admin::ServerStatus describe(const upstream::Endpoint& endpoint, std::chrono::steady_clock::time_point now) {
    const auto standing = endpoint.standing(now);
    admin::ServerStatus status;
    status.pool = endpoint.pool;
    status.name = endpoint.server;
    status.address = endpoint.text;
    status.up = standing != upstream::Standing::unhealthy && standing != upstream::Standing::down &&
                standing != upstream::Standing::ejected;
    status.draining = standing == upstream::Standing::draining;
    status.backup = endpoint.backup;
    status.standing = upstream::to_string(standing);
    status.reason = endpoint.reason(standing);
    status.weight = endpoint.weight();
    status.in_flight = endpoint.state->in_flight();
    const auto& counters = *endpoint.counters;
    status.connections_idle = counters.sum([](const auto& block) { return block.connections_idle.value(); });
    for (unsigned worker = 0; worker < counters.workers(); ++worker) {
        const auto& block = counters.at(worker);
        for (std::size_t code = 0; code < observe::code_class_count; ++code)
            status.requests += block.requests[static_cast<observe::CodeClass>(code)].value();
        for (std::size_t reason = 0; reason < observe::reason_count; ++reason)
            status.failures += block.failures[static_cast<observe::Reason>(reason)].value();
    }
    return status;
}

/// A server whose name has no address yet.
admin::ServerStatus describe_unresolved(const std::string& pool, const config::Server& server) {
    admin::ServerStatus status;
    status.pool = pool;
    status.name = server.name;
    status.address = server.address();
    status.up = false;
    status.draining = server.weight == 0;
    status.backup = server.backup;
    status.standing = "unresolved";
    status.reason = "its name has no address yet";
    status.weight = server.weight;
    return status;
}

admin::PoolStatus describe(const upstream::Pool& pool, std::chrono::steady_clock::time_point now) {
    admin::PoolStatus status;
    status.name = pool.name();
    status.balance = to_string(pool.config().balance);
    status.available = pool.available(now);
    status.queue_length = pool.state().queue.size();
    status.queue_limit = pool.config().queue_size;
    status.tunnels = pool.counters()->sum([](const auto& block) { return block.tunnels_active.value(); });
    status.retries = pool.counters()->sum([](const auto& block) { return block.retries.value(); });
    for (const auto& endpoint : pool.endpoints()) status.servers.push_back(describe(endpoint, now));
    std::set<std::string_view> resolved;
    for (const auto& endpoint : pool.endpoints()) resolved.insert(endpoint.server);
    for (const auto& server : pool.config().servers)
        if (!resolved.contains(server.name)) status.servers.push_back(describe_unresolved(pool.name(), server));
    return status;
}

admin::ListenerStatus describe(const server::Listening& listening, const observe::Statistics::View& statistics) {
    admin::ListenerStatus status;
    status.name = listening.listener;
    status.address = listening.address;
    using Entry =
        observe::Statistics::View::List<std::string, observe::PerWorker<observe::ListenerCounters>>::value_type;
    const auto found = std::ranges::find(statistics.listeners, listening.listener, &Entry::first);
    if (found == statistics.listeners.end()) return status;
    const auto& counters = *found->second;
    status.connections = counters.sum([](const auto& block) { return block.connections.value(); });
    status.connections_total = counters.sum([](const auto& block) { return block.connections_total.value(); });
    status.received_bytes = counters.sum([](const auto& block) { return block.received_bytes.value(); });
    status.sent_bytes = counters.sum([](const auto& block) { return block.sent_bytes.value(); });
    return status;
}

/// What a View looks at: immutable, or safe to read while it changes.
struct Captured {
    admin::Status status;  ///< without totals, listeners and pools
    std::vector<server::Listening> listening;
    std::shared_ptr<const config::Config> config;
    std::vector<std::shared_ptr<const upstream::Pool>> pools;
    observe::Statistics::View statistics;
    std::uint64_t connection_limit = 0;
    std::uint64_t event_log_lost_lines = 0;
};

std::vector<admin::PoolStatus> pools_of(const Captured& captured) {
    const auto now = std::chrono::steady_clock::now();
    std::vector<admin::PoolStatus> all;
    for (const auto& pool : captured.pools) all.push_back(describe(*pool, now));
    return all;
}

admin::Status status_of(const Captured& captured) {
    auto status = captured.status;
    status.totals = admin::totals_of(captured.statistics);
    for (const auto& listening : captured.listening)
        status.listeners.push_back(describe(listening, captured.statistics));
    status.pools = pools_of(captured);
    return status;
}

observe::MetricFamilies metrics_of(const Captured& captured) {
    observe::MetricFamilies families;
    observe::collect_statistics(captured.statistics, families);
    observe::collect_limits(captured.connection_limit, families);
    observe::collect_logs(observe::access_log_lost_lines(), captured.event_log_lost_lines, families);
    observe::collect_process(families);
    return families;
}

server::ServerState state_of(admin::ServerState state) {
    switch (state) {
        case admin::ServerState::drain: return server::ServerState::drain;
        case admin::ServerState::down: return server::ServerState::down;
        case admin::ServerState::up: break;
    }
    return server::ServerState::up;
}

admin::ChangeResult result_of(server::Server::Changed changed) {
    switch (changed) {
        case server::Server::Changed::no_such_pool: return admin::ChangeResult::no_such_pool;
        case server::Server::Changed::no_such_server: return admin::ChangeResult::no_such_server;
        case server::Server::Changed::unresolved: return admin::ChangeResult::unresolved;
        case server::Server::Changed::yes: break;
    }
    return admin::ChangeResult::changed;
}

}  // namespace

log::Level log_level(config::LogLevel level) {
    switch (level) {
        case config::LogLevel::trace: return log::Level::trace;
        case config::LogLevel::debug: return log::Level::debug;
        case config::LogLevel::info: return log::Level::info;
        case config::LogLevel::warn: return log::Level::warn;
        case config::LogLevel::error: return log::Level::error;
        case config::LogLevel::off: break;
    }
    return log::Level::off;
}

Admin::Admin(boost::asio::io_context& control, server::Server& server, Service& service, std::string config_file)
    : control_(control), server_(server), service_(service), config_file_(std::move(config_file)), turns_(control) {}

std::expected<void, std::string> Admin::start(server::InheritedSockets& inherited) {
    const auto& wanted = server_.config().admin;
    if (!wanted) return {};
    auto started = admin::AdminServer::start(control_, *wanted, context(), &inherited);
    if (!started) return std::unexpected{"admin: " + started.error()};
    next_ = std::move(*started);
    take_over();
    return {};
}

/// Listens on an address that is new, beside the old one: only what is bound may be swapped to.
std::expected<void, std::string> Admin::prepare(const config::Config& wanted) {
    if (!wanted.admin || (admin_ && wanted.admin->address == address_)) return {};
    auto started = admin::AdminServer::start(control_, *wanted.admin, context());
    if (!started) return std::unexpected{"admin: " + started.error()};
    next_ = std::move(*started);
    return {};
}

void Admin::take_over() {
    const auto& wanted = server_.config().admin;
    if (wanted && !next_) return admin_->set_access(*wanted);
    previous_ = std::exchange(admin_, std::move(next_));
    // It may be serving the request that asked for this.
    boost::asio::post(control_, [this] { previous_.reset(); });
    if (!wanted) return;
    address_ = wanted->address;
    log::info("admin listening on {}", admin_->address());
}

boost::asio::awaitable<admin::ReloadResult> Admin::reload() {
    const auto asked = asked_;
    const auto turn = co_await turns_.take();
    // systemd knows of a drain, and is not to be told otherwise.
    if (!server_.draining()) service_.reloading();
    server::Reloaded reloaded;
    try {
        reloaded = co_await server_.reload([this](const config::Config& wanted) { return prepare(wanted); });
    } catch (const std::exception& failure) {
        reloaded.problems.push_back(std::string{"the reload failed: "} + failure.what());
        server_.statistics().config_loaded(false, std::chrono::system_clock::now());
        log::error("the reload failed, the configuration stays as it is error={}", failure.what());
    }
    if (!server_.draining()) service_.ready(server_.config());
    admin::ReloadResult result{reloaded.successful, std::move(reloaded.problems), std::move(reloaded.changes),
                               std::move(reloaded.restart_needed)};
    if (!result.successful) {
        next_.reset();
        co_return result;
    }
    log::set_level(log_level(server_.config().logging.level));
    if (server_.draining()) {
        // A successor took over meanwhile: what there is to show is its business now.
        next_.reset();
        co_return result;
    }
    take_over();
    keep_sockets();
    co_return result;
}

std::vector<server::ListeningSockets> Admin::sockets() const {
    auto all = server_.sockets();
    if (admin_) all.push_back({std::string{admin::AdminServer::socket_name}, {admin_->descriptor()}});
    return all;
}

void Admin::keep_sockets() {
    if (!service_.keep(sockets())) return;
    server_.keep_socket_files();
    if (admin_) admin_->keep_socket_file();
}

boost::asio::awaitable<void> Admin::leave() {
    while (asked_.use_count() > 1) {
        // Once more round the loop: it may be another's turn first, and the answer follows the reload.
        co_await boost::asio::post(control_, boost::asio::use_awaitable);
        const auto turn = co_await turns_.take();
    }
    if (admin_) admin_->keep_socket_file();
    admin_.reset();
}

admin::AdminContext Admin::context() {
    admin::AdminContext context;
    context.view = [this] { return view(); };
    context.background = background_.get_executor();
    context.draining = [this] { return server_.draining(); };
    context.change_server = [this](std::string_view pool, std::string_view server, const admin::ServerChange& change) {
        std::optional<server::ServerState> state;
        if (change.state) state = state_of(*change.state);
        return result_of(server_.change_server(pool, server, state, change.weight));
    };
    context.reload = [this] { return reload(); };
    return context;
}

admin::View Admin::view() {
    const auto captured = std::make_shared<Captured>();
    auto& status = captured->status;
    status.version = NSBOOT_LB_VERSION;
    status.started = server_.started();
    status.workers = server_.statistics().workers();
    status.draining = server_.draining();
    status.config_file = config_file_;
    const auto& loads = server_.statistics().config_loads();
    status.last_reload = loads.last_success;
    status.last_reload_successful = loads.last_successful;
    captured->listening = server_.listening();
    captured->config = server_.snapshot().config;
    captured->pools = server_.snapshot().pools;
    captured->statistics = server_.statistics().view(std::chrono::steady_clock::now());
    captured->connection_limit = server_.connection_limit();
    captured->event_log_lost_lines = log::lost_lines();
    return {.status = [captured] { return status_of(*captured); },
            .pools = [captured] { return pools_of(*captured); },
            .config_yaml = [captured] { return config::print_for_others(*captured->config); },
            .metrics = [captured] { return metrics_of(*captured); }};
}

}  // namespace nsboot_lb::wiring
