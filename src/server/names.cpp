#include "nsboot_lb/server/names.hpp"

#include <memory>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// A start or a reload waits no longer than this for names.
constexpr std::chrono::milliseconds patience{2000};

void log_failure(std::string_view host, std::string_view why) {
    log::warn("a server's name cannot be resolved host={} error={}", host, why);
}

/// The answers for `names`, or what has come of them after `patience`.
upstream::Prepared look_up(const upstream::Names& names) {
    boost::asio::io_context loop;
    upstream::Prepared found;
    const auto fails = [&](std::string_view host, std::string_view why) {
        found.failing.emplace(host);
        log_failure(host, why);
    };
    upstream::Resolver resolver{loop, {nullptr, fails}};
    resolver.prepare(names, patience, [&] { loop.stop(); });
    loop.run();
    found.addresses = resolver.addresses();
    return found;
}

}  // namespace

Names::Names(boost::asio::io_context& control, std::function<void()> changed)
    : control_(control), resolver_(control, {std::move(changed), log_failure}) {}

boost::asio::awaitable<void> Names::prepare(const config::Config& config) {
    auto fresh = upstream::names_of(config);
    // Those that fail are tried again and again as it is.
    std::erase_if(fresh, [&](const auto& name) { return followed_.contains(name.first); });
    if (fresh.empty()) co_return;
    const auto ready =
        std::make_shared<boost::asio::steady_timer>(control_, boost::asio::steady_timer::time_point::max());
    resolver_.prepare(fresh, patience, [ready] { ready->cancel(); });
    co_await ready->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

void Names::prepare_now(const config::Config& config) {
    const auto names = upstream::names_of(config);
    if (!names.empty()) prepared_ = look_up(names);
}

void Names::follow(const config::Config& config) {
    followed_ = upstream::names_of(config);
    resolver_.follow(followed_, std::exchange(prepared_, {}));
}

void Names::forget_prepared() {
    resolver_.follow(followed_);
}

upstream::Addresses Names::addresses() const {
    auto all = prepared_.addresses;
    for (const auto& [host, answer] : resolver_.addresses()) all[host] = answer;
    return all;
}

}  // namespace nsboot_lb::server
