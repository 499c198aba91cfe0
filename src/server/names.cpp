#include "nsboot_lb/server/names.hpp"

#include <future>
#include <thread>

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
upstream::Addresses look_up(const upstream::Names& names) {
    auto answered = std::make_shared<std::promise<upstream::Addresses>>();
    auto answers = answered->get_future();
    std::thread{[names, answered] {
        boost::asio::io_context loop;
        upstream::Resolver resolver{loop, {nullptr, log_failure}};
        resolver.prepare(names, patience, [&] {
            answered->set_value(resolver.addresses());
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
    for (auto& [host, answer] : look_up(missing)) prepared_[host] = std::move(answer);
}

void Names::follow(const config::Config& config) {
    const auto names = upstream::names_of(config);
    std::erase_if(prepared_, [&](const auto& known) { return !names.contains(known.first); });
    resolver_.follow(names);
}

upstream::Addresses Names::addresses() const {
    auto all = prepared_;
    for (const auto& [host, answer] : resolver_.addresses()) all[host] = answer;
    return all;
}

}  // namespace nsboot_lb::server
