#include "nsboot_lb/upstream/health_checker.hpp"

#include <exception>
#include <random>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "check.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::upstream {

namespace asio = boost::asio;
namespace log = observe::log;

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

/// The checks of one endpoint. Its coroutine holds on to it; once stopped it reports nothing more and ends. Nothing
/// else ends it: a check that fails badly is void.
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
        const auto ended = [self = shared_from_this()](const std::exception_ptr& failure) {
            if (failure) std::rethrow_exception(failure);  // to be logged by whoever runs the loop
        };
        asio::co_spawn(timer_.get_executor(), run(), ended);
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
        auto pause = random_part_of(check_.interval);
        while (!stopped_) {
            timer_.expires_after(pause);
            co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
            if (stopped_) co_return;
            const auto begun = std::chrono::steady_clock::now();
            CheckResult result;
            try {
                result = co_await run_check(check_, endpoint_);
            } catch (const std::exception& failure) {
                result = std::unexpected(NotPassed{failure.what(), true});
            }
            if (stopped_) co_return;
            const auto now = std::chrono::steady_clock::now();
            take(result, begun, now);
            // Every interval from beginning to beginning, as long as checks take no longer than that.
            const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - begun);
            pause = std::max(check_.interval - took, std::chrono::milliseconds{0});
        }
    }

    void take(const CheckResult& result, TimePoint begun, TimePoint now) {
        if (!result && result.error().is_ours) return take_void(result.error().reason);
        void_before_ = false;
        (result ? counters_->success : counters_->failure).add();
        const bool turned = result ? health_.success() : health_.failure();
        if (turned) {
            endpoint_.state->set_active_health(health_.up(), result ? passed_text(check_.rise) : result.error().reason,
                                               now);
        }
        endpoint_.state->report_check(result.has_value(), begun, {check_.rise, check_.interval}, now);
    }
    /// Neither passed nor failed. Said once, since what is short stays short for a while.
    void take_void(const std::string& reason) {
        counters_->void_.add();
        if (std::exchange(void_before_, true)) return;
        log::warn("health checks cannot be made, the server keeps its state pool={} server={} error={}", endpoint_.pool,
                  endpoint_.server, reason);
    }

    const config::HealthCheck check_;
    const Endpoint endpoint_;
    const std::shared_ptr<observe::HealthCheckCounters> counters_;
    asio::steady_timer timer_;
    ActiveHealth health_;
    bool stopped_ = false;
    bool void_before_ = false;  ///< the last check was void
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
