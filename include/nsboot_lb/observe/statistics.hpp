#pragma once
/// What the daemon counts. Each block of counters is one per worker, written by that worker alone with plain loads and
/// stores, and summed on the control thread when somebody looks: a request shares no cache line with another core.
/// Statistics is the registry of the blocks by name; it belongs to the control thread and outlives every snapshot.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nsboot_lb/observe/reason.hpp"

namespace nsboot_lb::observe {

/// Grows only. One thread writes, any thread reads: a relaxed load and store instead of a locked addition.
class Counter {
  public:
    void add(std::uint64_t n = 1) { value_.store(value() + n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

/// Goes up and down. The same contract; one worker's share may be negative if another took away what it added. What the
/// writer did before is seen by who sees the value: a gauge may say that nobody uses its block any more.
class Gauge {
  public:
    void add(std::int64_t n = 1) { value_.store(value() + n, std::memory_order_release); }
    void sub(std::int64_t n = 1) { add(-n); }
    std::int64_t value() const { return value_.load(std::memory_order_acquire); }

  private:
    std::atomic<std::int64_t> value_{0};
};

/// A distribution of durations with fixed buckets from 0.5 ms to 60 s. One writer, any reader.
class Histogram {
  public:
    /// Upper bounds (inclusive, as Prometheus' `le`); what is longer goes into one more bucket without a bound.
    static constexpr std::array<std::int32_t, 16> bounds_us{
        500,     1'000,   2'500,     5'000,     10'000,    25'000,     50'000,     100'000,
        250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};
    static constexpr std::size_t bucket_count = bounds_us.size() + 1;

    void observe(std::chrono::nanoseconds duration) {
        const auto ns = std::max<std::int64_t>(duration.count(), 0);
        buckets_[bucket_of(ns)].add();
        sum_ns_.add(static_cast<std::uint64_t>(ns));
    }
    /// How many fell into bucket `index` alone (not cumulative).
    std::uint64_t bucket(std::size_t index) const { return buckets_[index].value(); }
    std::uint64_t count() const;
    std::chrono::nanoseconds sum() const;

  private:
    /// The number of bounds that are smaller. A fixed count of 32-bit compares without a branch, which the compiler
    /// makes four vector instructions of; rounding up to microseconds keeps `<=` exact for bounds in microseconds.
    static std::size_t bucket_of(std::int64_t ns) {
        const std::int64_t us = ns / 1000 + (ns % 1000 != 0);
        const auto clamped = static_cast<std::int32_t>(std::min<std::int64_t>(us, 1 << 30));
        std::int32_t index = 0;
        for (const std::int32_t bound : bounds_us) index += clamped > bound ? 1 : 0;
        return static_cast<std::size_t>(index);
    }

    std::array<Counter, bucket_count> buckets_;
    Counter sum_ns_;
};

/// Methods that metrics tell apart; a hostile client cannot make more of them.
enum class Method : std::uint8_t { get, head, post, put, delete_, options, patch, other, count_ };
inline constexpr std::size_t method_count = static_cast<std::size_t>(Method::count_);
/// By the method's token, case-sensitive (RFC 9110 9.1).
Method method_of(std::string_view token);
/// "GET" … or "other".
std::string_view to_string(Method method);

/// Classes of status codes. `none` is an exchange that ended before there was a response (a client that went away).
enum class CodeClass : std::uint8_t { none, informational, success, redirection, client_error, server_error, count_ };
inline constexpr std::size_t code_class_count = static_cast<std::size_t>(CodeClass::count_);
inline CodeClass code_class(int status) {
    return status >= 100 && status <= 599 ? static_cast<CodeClass>(status / 100) : CodeClass::none;
}
/// "2xx" …, or "none".
std::string_view to_string(CodeClass code);

/// An array with one counter for each value of an enum that ends in count_.
template <class Enum>
class CountersBy {
  public:
    Counter& operator[](Enum key) { return counters_[static_cast<std::size_t>(key)]; }
    const Counter& operator[](Enum key) const { return counters_[static_cast<std::size_t>(key)]; }

  private:
    std::array<Counter, static_cast<std::size_t>(Enum::count_)> counters_;
};

struct RouteCounters {
    std::array<CountersBy<CodeClass>, method_count> requests;
    Histogram duration;  ///< from the request's first byte to the response's last

    void finished(Method method, int status, std::chrono::nanoseconds took) {
        requests[static_cast<std::size_t>(method)][code_class(status)].add();
        duration.observe(took);
    }
};

struct ListenerCounters {
    Gauge connections;
    Counter connections_total;
    Counter received_bytes;
    Counter sent_bytes;
};

struct ServerCounters {
    CountersBy<CodeClass> requests;
    Histogram duration;          ///< from the request's first byte sent to the response's last received
    Histogram connect_duration;  ///< of connections that came to be
    Gauge connections_active;    ///< in use by an exchange or a tunnel
    Gauge connections_idle;      ///< in a KeepaliveCache
    Counter opened;
    Counter reused;
    CountersBy<Reason> failures;  ///< attempts that failed
};

struct PoolCounters {
    Counter retries;
    Counter retries_refused;  ///< by the budget
    Gauge queue_length;
    Counter queue_timeouts;
    Gauge tunnels_active;
};

/// What concerns no route, listener or pool.
struct WorkerCounters {
    CountersBy<Reason> rejected;  ///< requests the daemon answered itself with an error, or cut short
};

/// Of one rate limit; workers decide, so workers count.
struct RateLimitCounters {
    Counter limited;
};

/// Of one server, written by the control thread alone.
struct HealthCheckCounters {
    Counter success;
    Counter failure;
    Counter void_;  ///< for want of descriptors or the like, which says nothing of the server
};

/// One T for each worker, each on cache lines of its own. at(n) is for worker n alone, apart from reading at a scrape.
template <class T>
class PerWorker {
  public:
    explicit PerWorker(unsigned workers) : workers_(workers), slots_(std::make_unique<Slot[]>(workers)) {}
    T& at(unsigned worker) { return slots_[worker].value; }
    const T& at(unsigned worker) const { return slots_[worker].value; }
    unsigned workers() const { return workers_; }

    /// The sum over all workers of what `pick` takes out of each block; pick(const T&) gives a number.
    template <class Pick>
    auto sum(Pick pick) const {
        auto total = pick(at(0));
        for (unsigned worker = 1; worker < workers_; ++worker) total += pick(at(worker));
        return total;
    }

  private:
    struct alignas(64) Slot {
        T value;
    };
    unsigned workers_;
    std::unique_ptr<Slot[]> slots_;
};

/// The registry. All members are for the control thread; only the blocks handed out are for workers, and views for who
/// scrapes. A block is found again under its name, so counts survive a reload that keeps the name. One that only the
/// registry still holds is set aside by each view and each reload: it is not shown any more, but a name that
/// comes back before long goes on counting where it stopped. A listener's is held by its open connections too: by the
/// gauge that counts them.
class Statistics {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// How long a name that is gone is remembered, and how many of each kind, the latest. Names may be made up anew
    /// with each reload, and do not come back then.
    static constexpr std::chrono::hours remembered_for{1};
    static constexpr std::size_t most_remembered = 256;

    /// `workers` is at least 1 and stays for the process' life.
    explicit Statistics(unsigned workers);
    Statistics(const Statistics&) = delete;
    Statistics& operator=(const Statistics&) = delete;

    template <class T>
    using Blocks = std::map<std::string, std::shared_ptr<T>, std::less<>>;
    /// Pool and server.
    using ServerName = std::pair<std::string, std::string>;
    template <class T>
    using ServerBlocks = std::map<ServerName, std::shared_ptr<T>>;
    /// The blocks of one kind: those in use, and those that were set aside, the latest last.
    template <class Map>
    struct Named {
        struct Aside {
            typename Map::node_type entry;
            TimePoint since;
        };
        Map used;
        std::list<Aside> aside;
    };

    std::shared_ptr<PerWorker<RouteCounters>> route(std::string_view name);
    std::shared_ptr<PerWorker<ListenerCounters>> listener(std::string_view name);
    std::shared_ptr<PerWorker<PoolCounters>> pool(std::string_view name);
    std::shared_ptr<PerWorker<ServerCounters>> server(std::string_view pool, std::string_view server);
    std::shared_ptr<PerWorker<RateLimitCounters>> rate_limit(std::string_view name);
    std::shared_ptr<HealthCheckCounters> health_checks(std::string_view pool, std::string_view server);
    /// Lives as long as the Statistics.
    WorkerCounters& worker(unsigned worker) { return workers_->at(worker); }

    /// Notes the end of a load of the configuration, the first one at start included.
    void config_loaded(bool success, std::chrono::system_clock::time_point now);

    /// Sets aside the blocks that nothing counts in any more, and forgets those that were for long.
    void set_unused_aside(TimePoint now);

    unsigned workers() const { return workers_->workers(); }

    struct ConfigLoads {
        std::uint64_t success = 0;
        std::uint64_t failure = 0;
        bool last_successful = false;
        std::chrono::system_clock::time_point last_success;
    };
    const ConfigLoads& config_loads() const { return config_loads_; }

    /// What is in use, by name, for any thread to read at leisure; its counts go on.
    struct View {
        template <class Key, class T>
        using List = std::vector<std::pair<Key, std::shared_ptr<const T>>>;

        List<std::string, PerWorker<RouteCounters>> routes;
        List<std::string, PerWorker<ListenerCounters>> listeners;
        List<std::string, PerWorker<PoolCounters>> pools;
        List<ServerName, PerWorker<ServerCounters>> servers;
        List<std::string, PerWorker<RateLimitCounters>> rate_limits;
        List<ServerName, HealthCheckCounters> health_checks;
        std::shared_ptr<const PerWorker<WorkerCounters>> workers;
        ConfigLoads config_loads;
    };
    /// Of this moment, after setting aside what nothing counts in any more. What a view still holds counts as used.
    View view(TimePoint now);

  private:
    const std::shared_ptr<PerWorker<WorkerCounters>> workers_;
    Named<Blocks<PerWorker<RouteCounters>>> routes_;
    Named<Blocks<PerWorker<ListenerCounters>>> listeners_;
    Named<Blocks<PerWorker<PoolCounters>>> pools_;
    Named<ServerBlocks<PerWorker<ServerCounters>>> servers_;
    Named<Blocks<PerWorker<RateLimitCounters>>> rate_limits_;
    Named<ServerBlocks<HealthCheckCounters>> health_checks_;
    ConfigLoads config_loads_;
};

}  // namespace nsboot_lb::observe
