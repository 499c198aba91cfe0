#include "nsboot_lb/observe/statistics.hpp"

#include <cassert>
#include <iterator>
#include <utility>

namespace nsboot_lb::observe {

std::uint64_t Histogram::count() const {
    std::uint64_t total = 0;
    for (const Counter& bucket : buckets_) total += bucket.value();
    return total;
}

std::chrono::nanoseconds Histogram::sum() const {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(sum_ns_.value()));
}

namespace {

constexpr std::array<std::string_view, method_count> method_names{"GET",    "HEAD",    "POST",  "PUT",
                                                                  "DELETE", "OPTIONS", "PATCH", "other"};
constexpr std::array<std::string_view, code_class_count> code_names{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

template <class Map, class Key, class Make>
auto find_or_make(Statistics::Named<Map>& blocks, const Key& key, Make make) {
    const auto found = blocks.used.find(key);
    if (found != blocks.used.end()) return found->second;
    const auto aside = std::ranges::find_if(blocks.aside, [&](const auto& one) { return one.entry.key() == key; });
    if (aside == blocks.aside.end()) return blocks.used.emplace(key, make()).first->second;
    auto back = blocks.used.insert(std::move(aside->entry));
    blocks.aside.erase(aside);
    return back.position->second;
}

template <class T>
std::shared_ptr<PerWorker<T>> find_or_make(Statistics::Named<Statistics::Blocks<PerWorker<T>>>& blocks,
                                           std::string_view name, unsigned workers) {
    return find_or_make(blocks, std::string(name), [workers] { return std::make_shared<PerWorker<T>>(workers); });
}

template <class T>
bool still_counts(const T& /*block*/) {
    return false;
}

/// Connections outlive the listener that accepted them. Who accepts holds the block, so what is in the gauge when
/// nobody does is all there will ever be.
bool still_counts(const PerWorker<ListenerCounters>& listener) {
    std::atomic_thread_fence(std::memory_order_acquire);  // with the last release
    return listener.sum([](const ListenerCounters& counters) { return counters.connections.value(); }) != 0;
}

/// use_count() is exact enough: only the registry makes new owners, on this thread, so a count of 1 stays 1. The last
/// other owner's release happens before the destruction here, through the reference count.
template <class Map>
void set_unused_aside(Statistics::Named<Map>& blocks, Statistics::TimePoint now) {
    for (auto block = blocks.used.begin(); block != blocks.used.end();) {
        const auto next = std::next(block);
        if (block->second.use_count() == 1 && !still_counts(*block->second))
            blocks.aside.push_back({blocks.used.extract(block), now});
        block = next;
    }
    while (!blocks.aside.empty() && (blocks.aside.size() > Statistics::most_remembered ||
                                     now - blocks.aside.front().since > Statistics::remembered_for))
        blocks.aside.pop_front();
}

}  // namespace

Method method_of(std::string_view token) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(Method::other); ++i) {
        if (method_names[i] == token) return static_cast<Method>(i);
    }
    return Method::other;
}

std::string_view to_string(Method method) {
    return method_names[static_cast<std::size_t>(method)];
}

std::string_view to_string(CodeClass code) {
    return code_names[static_cast<std::size_t>(code)];
}

Statistics::Statistics(unsigned workers) : workers_(std::make_shared<PerWorker<WorkerCounters>>(workers)) {
    assert(workers >= 1);
}

std::shared_ptr<PerWorker<RouteCounters>> Statistics::route(std::string_view name) {
    return find_or_make(routes_, name, workers());
}

std::shared_ptr<PerWorker<ListenerCounters>> Statistics::listener(std::string_view name) {
    return find_or_make(listeners_, name, workers());
}

std::shared_ptr<PerWorker<PoolCounters>> Statistics::pool(std::string_view name) {
    return find_or_make(pools_, name, workers());
}

std::shared_ptr<PerWorker<ServerCounters>> Statistics::server(std::string_view pool, std::string_view server) {
    return find_or_make(servers_, ServerName(pool, server),
                        [this] { return std::make_shared<PerWorker<ServerCounters>>(workers()); });
}

std::shared_ptr<PerWorker<RateLimitCounters>> Statistics::rate_limit(std::string_view name) {
    return find_or_make(rate_limits_, name, workers());
}

std::shared_ptr<HealthCheckCounters> Statistics::health_checks(std::string_view pool, std::string_view server) {
    return find_or_make(health_checks_, ServerName(pool, server),
                        [] { return std::make_shared<HealthCheckCounters>(); });
}

void Statistics::config_loaded(bool success, std::chrono::system_clock::time_point now) {
    ++(success ? config_loads_.success : config_loads_.failure);
    config_loads_.last_successful = success;
    if (success) config_loads_.last_success = now;
}

Statistics::View Statistics::view(TimePoint now) {
    set_unused_aside(now);
    View view;
    const auto list = [](const auto& blocks, auto& into) { into.assign(blocks.used.begin(), blocks.used.end()); };
    list(routes_, view.routes);
    list(listeners_, view.listeners);
    list(pools_, view.pools);
    list(servers_, view.servers);
    list(rate_limits_, view.rate_limits);
    list(health_checks_, view.health_checks);
    view.workers = workers_;
    view.config_loads = config_loads_;
    return view;
}

void Statistics::set_unused_aside(TimePoint now) {
    observe::set_unused_aside(routes_, now);
    observe::set_unused_aside(listeners_, now);
    observe::set_unused_aside(pools_, now);
    observe::set_unused_aside(servers_, now);
    observe::set_unused_aside(rate_limits_, now);
    observe::set_unused_aside(health_checks_, now);
}

}  // namespace nsboot_lb::observe
