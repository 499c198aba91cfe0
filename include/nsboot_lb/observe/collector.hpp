#pragma once
/// Turns what was counted into Prometheus' metric families, with the names of docs/operations.md, at each scrape. For
/// any thread, best one that may take its time. Holds nothing itself: the sums are made from the workers' blocks at
/// that moment.
#include <cstdint>
#include <string>
#include <vector>

#include <prometheus/metric_family.h>

#include "nsboot_lb/observe/statistics.hpp"

namespace nsboot_lb::observe {

using MetricFamilies = std::vector<prometheus::MetricFamily>;

/// Everything that was counted.
void collect_statistics(const Statistics::View& view, MetricFamilies& into);
/// What the counts may come to.
void collect_limits(std::uint64_t client_connections, MetricFamilies& into);
/// The lines that the logs lost.
void collect_logs(std::uint64_t access_log_lost_lines, std::uint64_t event_log_lost_lines, MetricFamilies& into);
/// build_info and the standard process_* set, from /proc.
void collect_process(MetricFamilies& into);

/// The text format that Prometheus scrapes, version 0.0.4; of counters, gauges and histograms.
std::string to_text(const MetricFamilies& families);

}  // namespace nsboot_lb::observe
