/// What a line of the access log costs a worker. The budget is 0.3 µs for formatting a combined line and 1.0 µs for all
/// of the log, with the writer's share.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "nsboot_lb/observe/access_log.hpp"

namespace {

using namespace std::chrono_literals;
using namespace nsboot_lb::observe;

AccessRecord boot_request() {
    AccessRecord record;
    record.time = std::chrono::sys_days{std::chrono::year{2026} / 1 / 31} + 12h + 345ms;
    record.client = "10.20.130.140";
    record.method = "GET";
    record.host = "nsboot.example.com";
    record.uri = "/images/debian-12/vmlinuz-6.1.0-18-amd64?mac=52:54:00:12:34:56";
    record.protocol = "HTTP/1.1";
    record.status = 200;
    record.bytes_received = 312;
    record.bytes_sent = 8'123'456;
    record.duration = 12'345'678ns;
    record.server = "nsboot-1";
    record.upstream_duration = 11'234'567ns;
    record.attempts = 1;
    record.route = "images";
    record.request_id = "4f0c8c2e9a1b4d7f8e6a5b3c2d1e0f9a";
    record.user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    record.referer = "https://nsboot.example.com/machines/rack-7";
    return record;
}

/// A line of `format` into `target`; the writer's time is in the process' CPU time, not in the worker's.
void write_line(benchmark::State& state, const std::string& format) {
    const auto log = AccessLog::open("/dev/null", format);
    AccessLogBuffer buffer(*log);
    AccessRecord record = boot_request();
    for (auto _ : state) {
        record.time += 20us;  // as at 50,000 requests a second, so the second's text is made anew now and then
        buffer.write(record);
    }
    buffer.flush();
    (*log)->wait_written(10s);
    state.counters["lost"] = static_cast<double>((*log)->lost_lines());
}

BENCHMARK_CAPTURE(write_line, combined, "combined")->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(write_line, json, "json")->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(write_line, template_of_four, "{client} {uri} {status} {duration}")->MeasureProcessCPUTime();

/// The worst a client can do: every byte of a long target needs an escape.
void write_hostile_line(benchmark::State& state) {
    const auto log = AccessLog::open("/dev/null", "json");
    AccessLogBuffer buffer(*log);
    const std::string uri(8192, '\xff');
    AccessRecord record = boot_request();
    record.uri = uri;
    for (auto _ : state) buffer.write(record);
}
BENCHMARK(write_hostile_line);

}  // namespace
