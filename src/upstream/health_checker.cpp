#include "nsboot_lb/upstream/health_checker.hpp"

#include <random>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "check.hpp"

namespace nsboot_lb::upstream {

namespace asio = boost::asio;

namespace {

bool same_check(const config::HealthCheck& a, const config::HealthCheck& b) {
    return a.path == b.path && a.type == b.type && a.method == b.method && a.host == b.host &&
           a.interval == b.interval && a.timeout == b.timeout && a.rise == b.rise && a.fall == b.fall &&
           a.expect_status == b.expect_status && a.expect_body == b.expect_body && a.port == b.port;
}

std::chrono::milliseconds random_part_of(std::chrono::milliseconds whole) {
    static std::minstd_rand random{std::random_device{}()};
    return std::chrono::milliseconds{std::uniform_int_distribution<std::int64_t>{0, whole.count()}(random)};
}

std::string passed_text(std::uint32_t count) {
    return std::to_string(count) + (count == 1 ? " check passed" : " checks passed");
}

}  // namespace

/// The checks of one endpoint. Its coroutine holds on to it; once stopped it reports nothing more and ends.
class HealthChecker::Watch : public std::enable_shared_from_this<Watch> {
  public:
    Watch(asio::io_context& control, const config::HealthCheck& check, Endpoint endpoint,
          std::shared_ptr<observe::HealthCheckCounters> counters)
        : check_(check),
          endpoint_(std::move(endpoint)),
          counters_(std::move(counters)),
          timer_(control),
          health_(check.rise, check.fall, endpoint_.state->active_up()) {}

    void start() {
        asio::co_spawn(timer_.get_executor(), [self = shared_from_this()] { return self->run(); }, asio::detached);
    }
    void stop() {
        stopped_ = true;
        timer_.cancel();
    }
    bool same(const config::HealthCheck& check, const Endpoint& endpoint) const {
        return same_check(check_, check) && endpoint_.host == endpoint.host;
    }

  private:
    asio::awaitable<void> run() {
        const auto self = shared_from_this();
        auto pause = random_part_of(check_.interval);
        while (!stopped_) {
            timer_.expires_after(pause);
            co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
            if (stopped_) co_return;
            const auto begun = std::chrono::steady_clock::now();
            const auto result = co_await run_check(check_, endpoint_);
            if (stopped_) co_return;
            const auto now = std::chrono::steady_clock::now();
            take(result, now);
            // Every interval from beginning to beginning, as long as checks take no longer than that.
            const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - begun);
            pause = std::max(check_.interval - took, std::chrono::milliseconds{0});
        }
    }

    void take(const CheckResult& result, TimePoint now) {
        (result ? counters_->success : counters_->failure).add();
        const bool turned = result ? health_.success() : health_.failure();
        if (turned)
            endpoint_.state->set_active_health(health_.up(), result ? passed_text(check_.rise) : result.error(), now);
    }

    const config::HealthCheck check_;
    const Endpoint endpoint_;
    const std::shared_ptr<observe::HealthCheckCounters> counters_;
    asio::steady_timer timer_;
    ActiveHealth health_;
    bool stopped_ = false;
};

HealthChecker::HealthChecker(asio::io_context& control, observe::Statistics& statistics)
    : control_(control), statistics_(statistics) {}

HealthChecker::~HealthChecker() {
    for (auto& [id, watch] : watches_) watch->stop();
}

void HealthChecker::follow(std::span<const std::shared_ptr<const Pool>> pools) {
    auto before = std::exchange(watches_, {});
    for (const auto& pool : pools) {
        const auto& check = pool->config().health_check;
        if (!check) continue;
        for (const auto& endpoint : pool->endpoints()) {
            auto kept = before.extract(endpoint.id());
            if (kept && kept.mapped()->same(*check, endpoint)) {
                watches_.insert(std::move(kept));
                continue;
            }
            if (kept) kept.mapped()->stop();
            const auto watch = std::make_shared<Watch>(control_, *check, endpoint,
                                                       statistics_.health_checks(pool->name(), endpoint.server));
            watches_.emplace(endpoint.id(), watch);
            watch->start();
        }
    }
    for (auto& [id, watch] : before) watch->stop();
}

}  // namespace nsboot_lb::upstream
