#include "nsboot_lb/explain/explain.hpp"

#include <exception>
#include <memory>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "nsboot_lb/config/load.hpp"
#include "nsboot_lb/forward/explain.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/http/h1/parse.hpp"
#include "nsboot_lb/observe/log.hpp"
#include "nsboot_lb/server/build_snapshot.hpp"
#include "nsboot_lb/server/names.hpp"
#include "nsboot_lb/server/server.hpp"
#include "text.hpp"

namespace nsboot_lb::explain {

namespace {

constexpr int exit_error = 1;
constexpr int exit_usage = 2;

/// As in Via fields, where each daemon has a part of its own.
constexpr const char* pseudonym = "nsboot-lb-{instance}";

/// Looks the servers' names up. One that does not resolve counts as one address, so that its server is not left out.
upstream::Addresses look_up(boost::asio::io_context& loop, const config::Config& config,
                            std::set<std::string>& unresolved) {
    server::Names names{loop, {}};
    names.prepare_now(config);
    auto addresses = names.addresses();
    for (const auto& [host, interval] : upstream::names_of(config)) {
        if (!addresses[host].empty()) continue;
        addresses[host].emplace_back();
        unresolved.insert(host);
    }
    return addresses;
}

/// The first worker of a daemon that has just started with a configuration, without its sockets.
class FreshWorker {
  public:
    explicit FreshWorker(std::shared_ptr<const forward::Snapshot> snapshot, boost::asio::io_context& loop,
                         observe::Statistics& statistics)
        : loop_(loop), worker_(0, server::worker_count(*snapshot->config), loop, statistics, pseudonym) {
        worker_.background = &background_;
        server::go_live(*snapshot, nullptr);
        worker_.deadlines.set_now(std::chrono::steady_clock::now());
        exchange_.view = forward::make_view(worker_, std::move(snapshot));
        exchange_.client = &client_;
        exchange_.scope = &scope_;
        exchange_.route = &exchange_.view->no_route;
    }
    ~FreshWorker() { background_.join(); }
    FreshWorker(const FreshWorker&) = delete;
    FreshWorker& operator=(const FreshWorker&) = delete;

    /// As a session does with what it has read.
    forward::Explanation serve(const AskedRequest& asked) {
        accept(asked.client);
        exchange_.head.append(asked.head);
        http::HeadError error;
        const auto& limits = exchange_.view->snapshot->request_limits;
        if (http::h1::parse_request(exchange_.head.text(), limits, exchange_.request, error) !=
            http::h1::Parsed::complete) {
            exchange_.client_address = asked.client;
            forward::Explanation refused;
            refused.answer = forward::error_answer(error.status, error.reason, error.text);
            return refused;
        }
        return run();
    }
    const forward::Exchange& exchange() const { return exchange_; }

  private:
    void accept(const base::IpAddress& address) {
        client_.address = address;
        const auto text = address.text();
        client_.address_size =
            static_cast<std::uint8_t>(text.copy(client_.address_text.data(), client_.address_text.size()));
        client_.trusted = base::any_contains(exchange_.view->snapshot->config->forwarded.trust, address);
    }

    forward::Explanation run() {
        forward::Explanation told;
        std::exception_ptr failure;
        loop_.restart();
        worker_.reactor.start();
        net::spawn(take_over(told), [&](const std::exception_ptr& thrown) {
            failure = thrown;
            worker_.reactor.stop();
        });
        loop_.run();
        if (failure) std::rethrow_exception(failure);
        return told;
    }

    net::Task<void> take_over(forward::Explanation& told) {
        auto explained = co_await forward::explain(worker_, exchange_);
        told = std::move(explained);
    }

    boost::asio::io_context& loop_;
    boost::asio::thread_pool background_{1};
    forward::Worker worker_;
    forward::Client client_;
    net::Scope scope_;
    forward::Exchange exchange_;
};

}  // namespace

int print_explanation(const std::string& file, const Arguments& arguments, std::ostream& out, std::ostream& errors) {
    const auto asked = asked_request(arguments);
    if (!asked) {
        errors << "nsboot-lb: error: " << asked.error() << '\n';
        return exit_usage;
    }
    auto loaded = config::load(file);
    for (const auto& problem : loaded.problems) errors << problem.text() << '\n';
    if (!loaded.ok()) return exit_error;
    // What there is to say about names is said in the explanation.
    observe::log::set_level(observe::log::Level::off);

    boost::asio::io_context loop{1};
    observe::Statistics statistics{1};
    const auto config = std::make_shared<const config::Config>(std::move(*loaded.config));
    std::set<std::string> unresolved;
    const auto addresses = look_up(loop, *config, unresolved);
    server::RunTimeState state;
    filter::PasswordChecks checks{1};
    auto snapshot =
        server::build_snapshot({config, nullptr, addresses, server::counts_of(*config, statistics), state, checks, {}});
    if (!snapshot) {
        for (const auto& error : snapshot.error()) errors << "nsboot-lb: error: " << error << '\n';
        return exit_error;
    }
    FreshWorker worker{std::move(*snapshot), loop, statistics};
    const auto told = worker.serve(*asked);
    out << explanation_text({*asked, *config, worker.exchange(), told, unresolved});
    return 0;
}

}  // namespace nsboot_lb::explain
