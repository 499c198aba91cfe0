#pragma once
/// What the daemon's /metrics say at one moment, taken apart, and a way to wait until they say something. Values of the
/// test's own thread.
#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "daemon.hpp"

namespace nsboot_lb::test {

struct Scrape {
    explicit Scrape(const Daemon& daemon) {
        const Message scraped = daemon.admin_get("/metrics");
        if (scraped.status() != 200) throw Failure("/metrics answers " + scraped.start_line);
        for (std::string_view rest = scraped.body; !rest.empty();) {
            const auto line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            take(line);
        }
    }

    /// The value of the sample with just this name and these labels, as they are written: name{label="value"}.
    double operator[](const std::string& sample) const {
        const auto found = samples.find(sample);
        if (found == samples.end()) throw Failure("there is no sample " + sample);
        return found->second;
    }

    std::map<std::string, std::string> types;  ///< by family
    std::map<std::string, double> samples;

  private:
    void take(std::string_view line) {
        static constexpr std::string_view type_mark = "# TYPE ";
        const auto space = line.rfind(' ');
        if (line.starts_with(type_mark)) {
            types.emplace(line.substr(type_mark.size(), space - type_mark.size()), line.substr(space + 1));
        } else if (!line.starts_with('#')) {
            const auto [at, is_new] =
                samples.emplace(line.substr(0, space), std::stod(std::string{line.substr(space + 1)}));
            if (!is_new) throw Failure("two samples " + at->first);
        }
    }
};

/// The names of a sample's labels.
inline std::set<std::string> label_names(std::string_view sample) {
    std::set<std::string> names;
    const auto brace = sample.find('{');
    if (brace == sample.npos) return names;
    for (auto rest = sample.substr(brace + 1); rest.find("=\"") != rest.npos;) {
        const auto equals = rest.find("=\"");
        names.emplace(rest.substr(0, equals));
        rest.remove_prefix(equals + 2);
        while (!rest.empty() && rest.front() != '"') rest.remove_prefix(rest.front() == '\\' ? 2 : 1);
        rest.remove_prefix(std::min<std::size_t>(rest.starts_with("\",") ? 2 : 1, rest.size()));
    }
    return names;
}

/// Scrapes until all samples have these values; throws Failure with those that do not come to it. Exchanges are counted
/// when they have ended, which is after the client has its answer.
inline Scrape await_samples(const Daemon& daemon, const std::map<std::string, double>& expected) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        Scrape scrape{daemon};
        std::string wrong;
        for (const auto& [sample, value] : expected) {
            const auto found = scrape.samples.find(sample);
            if (found != scrape.samples.end() && found->second == value) continue;
            wrong += "\n" + sample + " is " +
                     (found == scrape.samples.end() ? "not there" : std::to_string(found->second)) + " and not " +
                     std::to_string(value);
        }
        if (wrong.empty()) return scrape;
        if (std::chrono::steady_clock::now() > deadline) throw Failure("the metrics do not come to it:" + wrong);
    }
}

}  // namespace nsboot_lb::test
