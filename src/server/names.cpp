#include "nsboot_lb/server/names.hpp"

#include <future>
#include <thread>
#include <utility>

#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// A start or a reload waits no longer than this for names.
constexpr std::chrono::milliseconds patience{2000};

void log_failure(std::string_view host, std::string_view why) {
    log::warn("a server's name cannot be resolved host={} error={}", host, why);
}

/// The answers for `names`, or what has come of them after `patience`. On a thread of its own, left to itself if the
/// system's resolver takes longer: nothing can interrupt that one.
upstream::Prepared look_up(const upstream::Names& names) {
    auto answered = std::make_shared<std::promise<upstream::Prepared>>();
    auto answers = answered->get_future();
    std::thread{[names, answered] {
        boost::asio::io_context loop;
        upstream::Prepared found;
        const auto fails = [&](std::string_view host, std::string_view why) {
            found.failing.emplace(host);
            log_failure(host, why);
        };
        upstream::Resolver resolver{loop, {nullptr, fails}};
        resolver.prepare(names, patience, [&] {
            found.addresses = resolver.addresses();
            answered->set_value(found);
            loop.stop();
        });
        loop.run();
    }}.detach();
    return answers.get();
}

}  // namespace

Names::Names(boost::asio::io_context& control, std::function<void()> changed)
    : resolver_(control, {std::move(changed), log_failure}) {}

void Names::prepare(const config::Config& config) {
    const auto known = addresses();
    auto missing = upstream::names_of(config);
    std::erase_if(missing, [&](const auto& name) { return known.contains(name.first); });
    if (missing.empty()) return;
    auto found = look_up(missing);
    for (auto& [host, answer] : found.addresses) prepared_.addresses[host] = std::move(answer);
    prepared_.failing.merge(found.failing);
}

void Names::follow(const config::Config& config) {
    resolver_.follow(upstream::names_of(config), std::exchange(prepared_, {}));
}

upstream::Addresses Names::addresses() const {
    auto all = prepared_.addresses;
    for (const auto& [host, answer] : resolver_.addresses()) all[host] = answer;
    return all;
}

}  // namespace nsboot_lb::server
