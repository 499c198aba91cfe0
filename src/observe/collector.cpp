#include "nsboot_lb/observe/collector.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

namespace nsboot_lb::observe {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily make_family(std::string_view name, std::string_view help, MetricType type) {
    return {"nsboot_lb_" + std::string(name), std::string(help), type, {}};
}

template <class Number>
void add_value(MetricFamily& family, const Labels& labels, Number value) {
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = labels;
    (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = static_cast<double>(value);
}

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

/// Sums `pick`'s histogram over all workers. The count is that of the buckets read here, so that the two agree even
/// while workers go on counting.
template <class T>
void add_histogram(MetricFamily& family, const Labels& labels, const PerWorker<T>& blocks, Histogram T::* pick) {
    ClientMetric& metric = family.metric.emplace_back();
    metric.label = labels;
    std::uint64_t cumulative = 0;
    metric.histogram.bucket.reserve(Histogram::bucket_count);
    for (std::size_t i = 0; i < Histogram::bucket_count; ++i) {
        cumulative += blocks.sum([&](const T& block) { return (block.*pick).bucket(i); });
        const double bound =
            i < Histogram::bounds_us.size() ? Histogram::bounds_us[i] / 1e6 : std::numeric_limits<double>::infinity();
        metric.histogram.bucket.push_back({cumulative, bound});
    }
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum = seconds(blocks.sum([&](const T& block) { return (block.*pick).sum(); }));
}

/// One sample for each block, of the counter or gauge that `pick` gives.
template <class Blocks, class LabelsOf, class Pick>
void add_family(MetricFamilies& into, MetricFamily family, const Blocks& blocks, LabelsOf labels_of, Pick pick) {
    family.metric.reserve(blocks.size());
    for (const auto& [key, block] : blocks) {
        add_value(family, labels_of(key), block->sum([&](const auto& counters) { return pick(counters).value(); }));
    }
    into.push_back(std::move(family));
}

template <class T, class Blocks, class LabelsOf>
void add_histograms(MetricFamilies& into, MetricFamily family, const Blocks& blocks, LabelsOf labels_of,
                    Histogram T::* pick) {
    family.metric.reserve(blocks.size());
    for (const auto& [key, block] : blocks) add_histogram(family, labels_of(key), *block, pick);
    into.push_back(std::move(family));
}

/// Labels of the blocks that have one name.
auto named(std::string_view label) {
    return [label](const std::string& name) { return Labels{{std::string(label), name}}; };
}

Labels server_labels(const Statistics::ServerName& name) {
    return {{"pool", name.first}, {"server", name.second}};
}

Labels with(Labels labels, std::string_view name, std::string_view value) {
    labels.push_back({std::string(name), std::string(value)});
    return labels;
}

/// Whether a class is shown though it is 0. A series that begins at its first event hides that event from increase().
bool shown_from_the_start(CodeClass code) {
    return code >= CodeClass::success;
}

/// The same of reasons why attempts fail: those of every network.
bool shown_from_the_start(Reason reason) {
    switch (reason) {
        case Reason::connect_refused:
        case Reason::connect_timeout:
        case Reason::connect_failed:
        case Reason::upstream_reset:
        case Reason::upstream_closed:
        case Reason::upstream_timeout:
        case Reason::upstream_protocol: return true;
        default: return false;
    }
}

std::uint64_t requests_of(const PerWorker<RouteCounters>& route, std::size_t method, CodeClass code) {
    return route.sum([&](const RouteCounters& counters) { return counters.requests[method][code].value(); });
}

/// Beside GET only the methods that were seen: a route with 8 methods and 6 classes would else show 48 series, nearly
/// all zero for ever.
void collect_routes(const Statistics::View& view, MetricFamilies& into) {
    auto requests =
        make_family("requests_total", "Requests answered, by route, method and class of status.", MetricType::Counter);
    for (const auto& [name, block] : view.routes) {
        const Labels route{{"route", name}};
        for (std::size_t m = 0; m < method_count; ++m) {
            std::array<std::uint64_t, code_class_count> counts{};
            for (std::size_t c = 0; c < counts.size(); ++c)
                counts[c] = requests_of(*block, m, static_cast<CodeClass>(c));
            const bool seen = std::ranges::any_of(counts, [](std::uint64_t count) { return count != 0; });
            if (!seen && static_cast<Method>(m) != Method::get) continue;
            const Labels method = with(route, "method", to_string(static_cast<Method>(m)));
            for (std::size_t c = 0; c < counts.size(); ++c) {
                const auto code = static_cast<CodeClass>(c);
                if (counts[c] == 0 && !shown_from_the_start(code)) continue;
                add_value(requests, with(method, "code", to_string(code)), counts[c]);
            }
        }
    }
    into.push_back(std::move(requests));
    add_histograms(into,
                   make_family("request_duration_seconds", "Time from a request's first byte to its response's last.",
                               MetricType::Histogram),
                   view.routes, named("route"), &RouteCounters::duration);
}

void collect_listeners(const Statistics::View& view, MetricFamilies& into) {
    const auto add = [&](std::string_view name, std::string_view help, MetricType type, auto pick) {
        add_family(into, make_family(name, help, type), view.listeners, named("listener"), pick);
    };
    using L = ListenerCounters;
    add("client_connections", "Open client connections.", MetricType::Gauge,
        [](const L& l) -> const Gauge& { return l.connections; });
    add("client_connections_total", "Client connections accepted.", MetricType::Counter,
        [](const L& l) -> const Counter& { return l.connections_total; });
    add("received_bytes_total", "Bytes received from clients.", MetricType::Counter,
        [](const L& l) -> const Counter& { return l.received_bytes; });
    add("sent_bytes_total", "Bytes sent to clients.", MetricType::Counter,
        [](const L& l) -> const Counter& { return l.sent_bytes; });
}

void collect_server_requests(const Statistics::View& view, MetricFamilies& into) {
    auto requests =
        make_family("upstream_requests_total", "Responses of servers, by class of status.", MetricType::Counter);
    auto failures =
        make_family("upstream_failures_total", "Attempts at a server that failed, by reason.", MetricType::Counter);
    for (const auto& [name, block] : view.servers) {
        const Labels labels = server_labels(name);
        for (std::size_t c = 0; c < code_class_count; ++c) {
            const auto code = static_cast<CodeClass>(c);
            const auto count = block->sum([&](const ServerCounters& s) { return s.requests[code].value(); });
            if (count != 0 || shown_from_the_start(code)) {
                add_value(requests, with(labels, "code", to_string(code)), count);
            }
        }
        for (std::size_t r = 1; r < reason_count; ++r) {
            const auto reason = static_cast<Reason>(r);
            const auto count = block->sum([&](const ServerCounters& s) { return s.failures[reason].value(); });
            if (count != 0 || shown_from_the_start(reason)) {
                add_value(failures, with(labels, "reason", to_string(reason)), count);
            }
        }
    }
    into.push_back(std::move(requests));
    into.push_back(std::move(failures));
}

void collect_servers(const Statistics::View& view, MetricFamilies& into) {
    collect_server_requests(view, into);
    using S = ServerCounters;
    add_histograms(into,
                   make_family("upstream_duration_seconds",
                               "Time from a request's first byte sent to a server to its response's last received.",
                               MetricType::Histogram),
                   view.servers, server_labels, &S::duration);
    add_histograms(
        into, make_family("upstream_connect_duration_seconds", "Time to connect to a server.", MetricType::Histogram),
        view.servers, server_labels, &S::connect_duration);
    const auto add = [&](std::string_view name, std::string_view help, MetricType type, auto pick) {
        add_family(into, make_family(name, help, type), view.servers, server_labels, pick);
    };
    add("upstream_connections_active", "Connections to a server that carry a request or a tunnel.", MetricType::Gauge,
        [](const S& s) -> const Gauge& { return s.connections_active; });
    add("upstream_connections_idle", "Connections to a server kept for reuse.", MetricType::Gauge,
        [](const S& s) -> const Gauge& { return s.connections_idle; });
    add("upstream_connections_opened_total", "Connections to a server opened.", MetricType::Counter,
        [](const S& s) -> const Counter& { return s.opened; });
    add("upstream_connections_reused_total", "Requests sent on a kept connection.", MetricType::Counter,
        [](const S& s) -> const Counter& { return s.reused; });
}

void collect_pools(const Statistics::View& view, MetricFamilies& into) {
    const auto add = [&](std::string_view name, std::string_view help, MetricType type, auto pick) {
        add_family(into, make_family(name, help, type), view.pools, named("pool"), pick);
    };
    using P = PoolCounters;
    add("upstream_retries_total", "Further attempts after the first.", MetricType::Counter,
        [](const P& p) -> const Counter& { return p.retries; });
    add("upstream_retries_refused_total", "Further attempts that the retry budget did not allow.", MetricType::Counter,
        [](const P& p) -> const Counter& { return p.retries_refused; });
    add("queue_length", "Requests that wait for a free slot at a server.", MetricType::Gauge,
        [](const P& p) -> const Gauge& { return p.queue_length; });
    add("queue_timeouts_total", "Requests that waited too long for a slot.", MetricType::Counter,
        [](const P& p) -> const Counter& { return p.queue_timeouts; });
    add("tunnels_active", "Open tunnels, such as WebSockets.", MetricType::Gauge,
        [](const P& p) -> const Gauge& { return p.tunnels_active; });
}

/// What the control thread counts, and what belongs to no name.
void collect_rest(const Statistics::View& view, MetricFamilies& into) {
    auto rejected = make_family("rejected_total", "Requests answered with an error of our own or cut short, by reason.",
                                MetricType::Counter);
    for (std::size_t r = 1; r < reason_count; ++r) {
        const auto reason = static_cast<Reason>(r);
        add_value(rejected, {{"reason", std::string(to_string(reason))}},
                  view.workers->sum([&](const WorkerCounters& w) { return w.rejected[reason].value(); }));
    }
    into.push_back(std::move(rejected));

    auto checks = make_family("health_checks_total", "Active health checks, by result.", MetricType::Counter);
    for (const auto& [name, counters] : view.health_checks) {
        add_value(checks, with(server_labels(name), "result", "success"), counters->success.value());
        add_value(checks, with(server_labels(name), "result", "failure"), counters->failure.value());
        add_value(checks, with(server_labels(name), "result", "void"), counters->void_.value());
    }
    into.push_back(std::move(checks));

    add_family(into, make_family("rate_limited_total", "Requests over a rate limit.", MetricType::Counter),
               view.rate_limits, named("limit"),
               [](const RateLimitCounters& r) -> const Counter& { return r.limited; });
}

void collect_config_loads(const Statistics::ConfigLoads& loads, MetricFamilies& into) {
    auto reloads = make_family("config_reloads_total", "Loads of the configuration, by result.", MetricType::Counter);
    add_value(reloads, {{"result", "success"}}, loads.success);
    add_value(reloads, {{"result", "failure"}}, loads.failure);
    into.push_back(std::move(reloads));

    auto successful = make_family("config_last_reload_successful",
                                  "Whether the last load of the configuration succeeded.", MetricType::Gauge);
    add_value(successful, {}, loads.last_successful ? 1 : 0);
    into.push_back(std::move(successful));

    auto timestamp = make_family("config_last_reload_success_timestamp_seconds",
                                 "When the configuration was last loaded successfully.", MetricType::Gauge);
    add_value(timestamp, {}, seconds(loads.last_success.time_since_epoch()));
    into.push_back(std::move(timestamp));
}

}  // namespace

void collect_statistics(const Statistics::View& view, MetricFamilies& into) {
    collect_routes(view, into);
    collect_listeners(view, into);
    collect_servers(view, into);
    collect_pools(view, into);
    collect_rest(view, into);
    collect_config_loads(view.config_loads, into);
}

void collect_limits(std::uint64_t client_connections, MetricFamilies& into) {
    auto limit = make_family("client_connections_limit", "Client connections there may be.", MetricType::Gauge);
    add_value(limit, {}, client_connections);
    into.push_back(std::move(limit));
}

void collect_logs(std::uint64_t access_log_lost_lines, std::uint64_t event_log_lost_lines, MetricFamilies& into) {
    auto access = make_family("access_log_lost_lines_total", "Lines of the access log that could not be written.",
                              MetricType::Counter);
    add_value(access, {}, access_log_lost_lines);
    into.push_back(std::move(access));
    auto events = make_family("event_log_lost_lines_total", "Lines of the event log that could not be written.",
                              MetricType::Counter);
    add_value(events, {}, event_log_lost_lines);
    into.push_back(std::move(events));
}

}  // namespace nsboot_lb::observe
