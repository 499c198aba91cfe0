#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <system_error>
#include <time.h>
#include <unistd.h>
#include <utility>

#include "nsboot_lb/observe/collector.hpp"

namespace nsboot_lb::observe {

namespace {

using prometheus::MetricType;

/// What /proc/self/stat says, in the units that metrics want (proc(5)).
struct ProcessStat {
    double threads = 0;
    double start_since_boot_seconds = 0;
    double virtual_bytes = 0;
    double resident_bytes = 0;
};

std::string read_file(const char* path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<ProcessStat> read_process_stat() {
    const std::string text = read_file("/proc/self/stat");
    // The second field is the program's name in parentheses, which may hold anything; the third follows the last one.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream rest(text.substr(name_end + 1));
    std::string skipped;
    const auto skip = [&](int fields) {
        for (int i = 0; i < fields; ++i) rest >> skipped;
    };
    double start_ticks = 0;
    double resident_pages = 0;
    ProcessStat stat;
    skip(17);
    rest >> stat.threads;
    skip(1);
    rest >> start_ticks >> stat.virtual_bytes >> resident_pages;
    if (!rest) return std::nullopt;
    const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
    stat.start_since_boot_seconds = start_ticks / ticks_per_second;
    stat.resident_bytes = resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
    return stat;
}

/// Of all threads that are or were; exact, where /proc/self/stat counts whole ticks of 10 ms.
std::optional<double> cpu_seconds() {
    timespec spent{};
    if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent) != 0) return std::nullopt;
    return std::chrono::duration<double>(std::chrono::seconds{spent.tv_sec} + std::chrono::nanoseconds{spent.tv_nsec})
        .count();
}

/// The "btime" line of /proc/stat; it does not change while we run.
double boot_time_seconds() {
    static const double boot_time = [] {
        std::ifstream file("/proc/stat");
        std::string word;
        double value = 0;
        while (file >> word) {
            if (word == "btime" && file >> value) return value;
        }
        return 0.0;
    }();
    return boot_time;
}

std::optional<double> open_descriptors() {
    std::error_code error;
    const std::filesystem::directory_iterator entries("/proc/self/fd", error);
    if (error) return std::nullopt;
    return static_cast<double>(std::distance(begin(entries), end(entries)) - 1);  // one is the directory itself
}

void add_gauge(MetricFamilies& into, std::string name, std::string help, double value) {
    auto& family = into.emplace_back(std::move(name), std::move(help), MetricType::Gauge);
    family.metric.emplace_back().gauge.value = value;
}

void collect_build_info(MetricFamilies& into) {
    auto& family = into.emplace_back("nsboot_lb_build_info", "Version and compiler of the running program; always 1.",
                                     MetricType::Gauge);
    auto& metric = family.metric.emplace_back();
    metric.label = {{"version", NSBOOT_LB_VERSION}, {"compiler", __VERSION__}};
    metric.gauge.value = 1;
}

}  // namespace

void collect_process(MetricFamilies& into) {
    collect_build_info(into);
    if (const auto spent = cpu_seconds()) {
        auto& cpu = into.emplace_back("process_cpu_seconds_total", "User and system CPU time spent in seconds.",
                                      MetricType::Counter);
        cpu.metric.emplace_back().counter.value = *spent;
    }
    if (const auto stat = read_process_stat()) {
        add_gauge(into, "process_start_time_seconds", "Start time of the process since the Unix epoch in seconds.",
                  boot_time_seconds() + stat->start_since_boot_seconds);
        add_gauge(into, "process_virtual_memory_bytes", "Virtual memory size in bytes.", stat->virtual_bytes);
        add_gauge(into, "process_resident_memory_bytes", "Resident memory size in bytes.", stat->resident_bytes);
        add_gauge(into, "process_threads", "Number of OS threads in the process.", stat->threads);
    }
    if (const auto open = open_descriptors()) {
        add_gauge(into, "process_open_fds", "Number of open file descriptors.", *open);
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        add_gauge(into, "process_max_fds", "Maximum number of open file descriptors.",
                  static_cast<double>(limit.rlim_cur));
    }
}

}  // namespace nsboot_lb::observe
