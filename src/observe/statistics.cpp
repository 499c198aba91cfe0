#include "nsboot_lb/observe/statistics.hpp"

#include <cassert>

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
auto find_or_make(Map& blocks, Key&& key, Make make) {
    auto found = blocks.find(key);
    if (found == blocks.end()) found = blocks.emplace(std::forward<Key>(key), make()).first;
    return found->second;
}

template <class T>
std::shared_ptr<PerWorker<T>> find_or_make(Statistics::Blocks<PerWorker<T>>& blocks, std::string_view name,
                                           unsigned workers) {
    return find_or_make(blocks, std::string(name), [workers] { return std::make_shared<PerWorker<T>>(workers); });
}

/// use_count() is exact enough: only the registry makes new owners, on this thread, so a count of 1 stays 1. The last
/// other owner's release happens before the destruction here, through the reference count.
template <class Map>
void erase_unused(Map& blocks) {
    std::erase_if(blocks, [](const auto& entry) { return entry.second.use_count() == 1; });
}

bool has_connections(const PerWorker<ListenerCounters>& listener) {
    return listener.sum([](const ListenerCounters& counters) { return counters.connections.value(); }) != 0;
}

/// Connections outlive the listener that accepted them. Who accepts holds the block, so what is in the gauge when
/// nobody does is all there will ever be.
void erase_unused(Statistics::Blocks<PerWorker<ListenerCounters>>& listeners) {
    std::erase_if(listeners, [](const auto& entry) {
        if (entry.second.use_count() != 1) return false;
        std::atomic_thread_fence(std::memory_order_acquire);  // with the last release
        return !has_connections(*entry.second);
    });
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

Statistics::Statistics(unsigned workers) : workers_(workers) {
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

void Statistics::drop_unused() {
    erase_unused(routes_);
    erase_unused(listeners_);
    erase_unused(pools_);
    erase_unused(servers_);
    erase_unused(rate_limits_);
    erase_unused(health_checks_);
}

}  // namespace nsboot_lb::observe
