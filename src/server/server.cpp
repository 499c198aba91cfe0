#include "nsboot_lb/server/server.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <sched.h>
#include <sys/resource.h>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "address_changes.hpp"
#include "adoption.hpp"
#include "connection_limits.hpp"
#include "drain.hpp"
#include "listeners.hpp"
#include "memories.hpp"
#include "nsboot_lb/observe/log.hpp"
#include "nsboot_lb/server/build_snapshot.hpp"
#include "nsboot_lb/server/names.hpp"
#include "nsboot_lb/server/turns.hpp"
#include "nsboot_lb/upstream/health_checker.hpp"
#include "reload.hpp"
#include "worker_thread.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// Workers take a new configuration within a turn of their loops. A reload says so if one does not.
constexpr std::chrono::milliseconds most_to_adopt{5000};
/// Descriptors that are not for connections: logs, epoll sets, listeners, pipes, the admin listener.
constexpr std::uint64_t spare_descriptors = 256;

/// Tells this daemon from others in Via fields, so that a loop is noticed.
std::string make_pseudonym() {
    std::random_device device;
    constexpr std::string_view digits = "0123456789abcdef";
    std::string pseudonym = "nsboot-lb-";
    for (int i = 0; i < 8; ++i) pseudonym += digits[device() % digits.size()];
    return pseudonym;
}

/// As many descriptors as the process may have; gives how many that are.
std::uint64_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

}  // namespace

unsigned worker_count(const config::Config& config) {
    if (config.workers != 0) return config.workers;
    cpu_set_t usable;
    CPU_ZERO(&usable);
    if (sched_getaffinity(0, sizeof usable, &usable) != 0) return 1;
    return static_cast<unsigned>(std::max(CPU_COUNT(&usable), 1));
}

class Server::Impl {
  public:
    Impl(boost::asio::io_context& control, std::string config_file, unsigned workers)
        : control_(control),
          config_file_(std::move(config_file)),
          statistics_(workers),
          limits_(workers),
          listeners_(workers, statistics_),
          drain_(control, workers_, listeners_, limits_, [this] { password_checks_.stop(); }),
          reload_turns_(control),
          address_changes_(control, reload_turns_, [this] { return take_over_addresses(); }),
          names_(control, [this] { address_changes_.happened(); }),
          checks_(std::in_place, control, statistics_) {
        descriptors_ = raise_descriptor_limit();
        const auto pseudonym = make_pseudonym();
        for (unsigned i = 0; i < workers; ++i) {
            workers_.push_back(
                std::make_unique<WorkerThread>(i, workers, statistics_, pseudonym, limits_, background_));
        }
    }

    ~Impl() {
        checks_.reset();
        password_checks_.stop();
        // All of them, before the first one is destroyed: they tell each other of room for connections.
        for (auto& worker : workers_) worker->end();
        for (auto& worker : workers_) worker->join();
        workers_.clear();
        background_.join();
    }

    /// What takes too long for the control thread, elsewhere; one at a time.
    template <class Work>
    boost::asio::awaitable<std::invoke_result_t<Work>> aside(Work work) {
        auto doing = [](Work what) -> boost::asio::awaitable<std::invoke_result_t<Work>> { co_return what(); };
        co_return co_await boost::asio::co_spawn(background_, doing(std::move(work)), boost::asio::use_awaitable);
    }

    /// What a snapshot of that configuration is built from, as of now. The names have been prepared.
    SnapshotSources sources(const std::shared_ptr<const config::Config>& config) {
        static const upstream::TransitionHandler log_transition = [](const upstream::Transition& transition) {
            log::warn("server is {} pool={} server={} address={} reason={}", transition.what, transition.pool,
                      transition.server, transition.address, transition.reason);
        };
        return {config, snapshot_,        names_.addresses(), counts_of(*config, statistics_),
                state_, password_checks_, log_transition};
    }

    /// All or nothing. The workers let go of `adopted` when they go by it.
    std::expected<void, std::vector<std::string>> apply(std::shared_ptr<const forward::Snapshot> built,
                                                        const Prepare& prepare, const Token& adopted,
                                                        InheritedSockets* inherited = nullptr,
                                                        const std::vector<ServerMemory>& memories = {}) {
        auto config = built->config;
        auto access_log = open_access_log(*config);
        if (!access_log) return std::unexpected{std::vector{std::move(access_log.error())}};
        auto event_log = open_event_log(config_.get(), *config);
        if (!event_log) return std::unexpected{std::vector{std::move(event_log.error())}};
        if (auto prepared = prepare(*config); !prepared)
            return std::unexpected{std::vector{std::move(prepared.error())}};
        // Last, since what it binds is kept: nothing may fail behind it.
        if (auto bound = listeners_.bind(*config, inherited); !bound)
            return std::unexpected{std::vector{std::move(bound.error())}};

        access_log_ = std::move(*access_log);
        if (*event_log) move_event_log(std::move(**event_log), config->logging.target);
        config_ = std::move(config);
        const auto most = config_->limits.connections;
        limits_.set(most != 0 ? most : usable_connections(), config_->limits.connections_per_client,
                    usable_connections());
        names_.follow(*config_);
        recall(*built, memories);
        use(std::move(built));
        publish_listeners(adopted);
        statistics_.set_unused_aside(
            std::chrono::steady_clock::now());  // of earlier ones: the workers have this one not yet
        return {};
    }

    /// From the file to a snapshot, while everything else goes on; null with problems if the file is wrong.
    boost::asio::awaitable<std::shared_ptr<const forward::Snapshot>> load_and_build(Reloaded& result) {
        auto loaded = co_await aside([this] { return config::load(config_file_); });
        for (const auto& problem : loaded.problems) result.problems.push_back(problem.text());
        if (!loaded.config) co_return nullptr;
        const auto config = std::make_shared<const config::Config>(std::move(*loaded.config));
        co_await names_.prepare(*config);
        auto built = co_await aside([from = sources(config)] { return build_snapshot(from); });
        if (built) co_return std::move(*built);
        std::ranges::move(built.error(), std::back_inserter(result.problems));
        co_return nullptr;
    }

    boost::asio::awaitable<void> reload(const Prepare& prepare, Reloaded& result) {
        std::shared_ptr<const forward::Snapshot> built;
        try {
            if (!drain_.begun()) built = co_await load_and_build(result);
        } catch (const std::exception& error) {
            result.problems.push_back(std::string{"the configuration cannot be loaded: "} + error.what());
        }
        if (drain_.begun()) {
            // It would listen again on what it is about to leave.
            result.problems.emplace_back("the daemon is draining, its configuration stays as it is");
            log::warn("configuration: {}", result.problems.back());
            co_return;
        }
        const auto before = config_;
        if (built) {
            Adoption adoption{control_};
            auto applied = apply(std::move(built), prepare, adoption.token());
            result.successful = applied.has_value();
            if (!applied) std::ranges::move(applied.error(), std::back_inserter(result.problems));
            // Who asked for it may rely on it from the answer on.
            if (const bool all = co_await adoption.wait(most_to_adopt); !all)
                log::error("a worker does not take the new configuration, it will when its loop turns again");
        }
        statistics_.config_loaded(result.successful, std::chrono::system_clock::now());
        for (const auto& problem : result.problems) log::warn("configuration: {}", problem);
        if (!result.successful) {
            names_.forget_prepared();
            log::error("configuration refused, the old one goes on serving file={}", config_file_);
            co_return;
        }
        const auto changes = co_await aside([before, now = config_] { return config::changes(*before, *now); });
        auto told = tell_changes(changes, *config_, config_file_, statistics_.workers());
        result.changes = std::move(told.changes);
        result.restart_needed = std::move(told.restart_needed);
    }

    /// Of the configuration in force. A reload that goes on meanwhile has its turn before or after it.
    boost::asio::awaitable<void> take_over_addresses() {
        if (!config_ || drain_.begun()) co_return;
        auto next = co_await aside(
            [now = snapshot_, addresses = names_.addresses()] { return with_addresses(*now, addresses); });
        if (next && !drain_.begun()) use(std::move(next));
    }

    void start_workers() {
        *shown_ = snapshot_;
        for (auto& worker : workers_) worker->start();
    }

    void use(std::shared_ptr<const forward::Snapshot> snapshot) {
        go_live(*snapshot, snapshot_.get());
        snapshot_ = std::move(snapshot);
        // Others are told of it when the last worker goes by it. To let go of a large one takes its time.
        const auto all_use_it = token_before(control_, [this, shown = shown_, given = snapshot_] {
            boost::asio::post(background_, [before = std::exchange(*shown, given)] {});
        });
        for (auto& worker : workers_) worker->use(snapshot_, access_log_, all_use_it);
        checks_->follow(snapshot_->pools);
    }

    boost::asio::io_context& control_;
    const std::string config_file_;
    const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
    observe::Statistics statistics_;
    ConnectionLimits limits_;
    std::uint64_t descriptors_ = 0;
    /// Loads, builds, and lets go of what is large. One thread, so one thing at a time.
    boost::asio::thread_pool background_{1};
    filter::PasswordChecks password_checks_;
    RunTimeState state_;
    std::shared_ptr<const config::Config> config_;
    std::shared_ptr<const forward::Snapshot> snapshot_;  ///< the latest that the workers were given
    /// The latest that all of them go by.
    const std::shared_ptr<std::shared_ptr<const forward::Snapshot>> shown_ =
        std::make_shared<std::shared_ptr<const forward::Snapshot>>();
    std::shared_ptr<observe::AccessLog> access_log_;
    Listeners listeners_;
    std::vector<std::unique_ptr<WorkerThread>> workers_;
    Drain drain_;
    Turns reload_turns_;
    AddressChanges address_changes_;
    Names names_;
    std::optional<upstream::HealthChecker> checks_;

  private:
    std::expected<std::shared_ptr<observe::AccessLog>, std::string> open_access_log(const config::Config& config) {
        const auto& wanted = config.logging.access;
        if (!wanted) return nullptr;
        const bool same = config_ && config_->logging.access && config_->logging.access->target == wanted->target &&
                          config_->logging.access->format == wanted->format;
        if (same) return access_log_;
        return observe::AccessLog::open(wanted->target, wanted->format);
    }

    /// Tells the workers which sockets to accept on. The last thing that a new configuration has for them.
    void publish_listeners(const Token& adopted) {
        // The last worker to let go closes what is wanted no longer, and then lets go of the token.
        struct Old {
            Token adopted;
            std::vector<BoundAddress> addresses;
        };
        auto published = listeners_.publish(*config_);
        const auto old = std::make_shared<Old>(adopted, std::move(published.retired));
        const auto backlog = listeners_.kept_by_others() ? Backlog::taken : Backlog::served;
        for (std::size_t i = 0; i < workers_.size(); ++i)
            workers_[i]->listen(std::move(published.setups[i]), backlog, [old] {});
    }

    std::uint64_t usable_connections() const { return descriptors_ - std::min(spare_descriptors, descriptors_ / 4); }
};

Server::Server(boost::asio::io_context& control, std::string config_file, unsigned workers)
    : impl_(std::make_unique<Impl>(control, std::move(config_file), workers)) {}
Server::~Server() = default;

std::expected<void, std::vector<std::string>> Server::start(config::Config config, InheritedSockets& inherited,
                                                            const std::vector<ServerMemory>& memories) {
    const Prepare nothing = [](const config::Config&) { return std::expected<void, std::string>{}; };
    impl_->names_.prepare_now(config);
    auto built = build_snapshot(impl_->sources(std::make_shared<const config::Config>(std::move(config))));
    if (!built) return std::unexpected{std::move(built.error())};
    auto applied = impl_->apply(std::move(*built), nothing, nullptr, &inherited, memories);
    if (!applied) return applied;
    impl_->start_workers();
    impl_->statistics_.config_loaded(true, std::chrono::system_clock::now());
    for (const auto& [listener, address] : listening()) log::info("listening on {} name={}", address, listener);
    return {};
}

boost::asio::awaitable<Reloaded> Server::reload(Prepare prepare) {
    const auto turn = co_await impl_->reload_turns_.take();
    Reloaded result;
    co_await impl_->reload(prepare, result);
    co_return result;
}

void Server::drain(std::function<void()> done) {
    impl_->drain_.finish(impl_->config_->shutdown.drain_timeout, std::move(done));
}

void Server::leave(std::function<void()> done) {
    impl_->drain_.leave(impl_->config_->shutdown.drain_timeout, std::move(done));
}

std::vector<ListeningSockets> Server::sockets() const {
    return impl_->listeners_.sockets();
}

void Server::share_sockets() {
    impl_->listeners_.share();
}

void Server::keep_socket_files() {
    impl_->listeners_.keep_files();
}

std::vector<ServerMemory> Server::memories() const {
    return remember(*impl_->snapshot_);
}

void Server::reopen_logs() {
    log::reopen();
    if (!impl_->access_log_) return;
    // Lines of before belong into the file of before: the last worker to hand its own over brings the reopening about.
    const std::shared_ptr<void> all_flushed{nullptr, [log = impl_->access_log_](void*) { log->reopen(); }};
    for (auto& worker : impl_->workers_) worker->flush_access_log(all_flushed);
}

void Server::when_all_turn(std::function<void()> turned) {
    const auto all_turned = token_before(impl_->control_, std::move(turned));
    for (auto& worker : impl_->workers_) worker->post([all_turned] {});
}

bool Server::draining() const {
    return impl_->drain_.begun();
}
const config::Config& Server::config() const {
    return *impl_->config_;
}
const forward::Snapshot& Server::snapshot() const {
    return **impl_->shown_;
}
observe::Statistics& Server::statistics() {
    return impl_->statistics_;
}
std::chrono::system_clock::time_point Server::started() const {
    return impl_->started_;
}

std::uint64_t Server::connection_limit() const {
    return impl_->limits_.most();
}

std::vector<Listening> Server::listening() const {
    return impl_->listeners_.listening();
}

Server::Changed Server::change_server(std::string_view pool, std::string_view server, std::optional<ServerState> state,
                                      std::optional<std::uint32_t> weight) {
    const auto& pools = impl_->snapshot_->pools;
    const auto found = std::ranges::find_if(pools, [&](const auto& candidate) { return candidate->name() == pool; });
    if (found == pools.end()) return Changed::no_such_pool;
    const auto& configured = (*found)->config().servers;
    auto result = std::ranges::find(configured, server, &config::Server::name) != configured.end()
                      ? Changed::unresolved
                      : Changed::no_such_server;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& endpoint : (*found)->endpoints()) {
        if (endpoint.server != server) continue;
        result = Changed::yes;
        if (state) endpoint.state->set_admin_state(static_cast<upstream::AdminState>(*state), now);
        if (weight) endpoint.state->override_weight(*weight, now);
    }
    return result;
}

}  // namespace nsboot_lb::server
