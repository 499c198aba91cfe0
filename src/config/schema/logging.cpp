/// The table of the configuration: the event log and the access log.
#include <algorithm>
#include <array>

#include "files.hpp"
#include "sections.hpp"
#include "texts.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

namespace {

/// json, combined, or a template, which is told by its braces. The placeholders are those of observe/access_log.hpp.
Codec<std::string> access_format() {
    static constexpr std::array<std::string_view, 2> words{"json", "combined"};
    static constexpr std::array<std::string_view, 20> placeholders{
        "time",       "client",         "method",     "host",       "uri",    "protocol",
        "status",     "bytes_received", "bytes_sent", "duration",   "server", "upstream_duration",
        "attempts",   "cache",          "route",      "request_id", "tls",    "reason",
        "user_agent", "referer"};
    return text("json, combined or a template", [](std::string_view format) -> std::optional<base::UnitError> {
        if (format.contains('{')) return check_log_template(format, placeholders);
        if (std::ranges::find(words, format) != words.end()) return std::nullopt;
        return base::UnitError{"unknown format '" + std::string(format) + "'",
                               did_you_mean(format, words, "write json, combined or a template with {placeholders}")};
    });
}

const SectionOf<AccessLog>& access_log_section() {
    static const auto section = make_section<AccessLog>(
        {"access_log", "access", "logging.access", "The access log: one line for each request."},
        {
            key("target", &AccessLog::target, log_target(), "stdout, stderr or a file."),
            key("format", &AccessLog::format, access_format(),
                "`json`, `combined`, or a template such as `{client} {method} {uri} {status}`."),
        });
    return section;
}

}  // namespace

const SectionOf<Logging>& logging_section() {
    static const auto section = make_section<Logging>(
        {"logging", "logging", "logging", "What is logged, and where to."},
        {
            key("level", &Logging::level,
                choice<LogLevel>(
                    {LogLevel::trace, LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error, LogLevel::off}),
                "The least severity that is logged."),
            key("target", &Logging::target, log_target(), "stderr, stdout or a file."),
            key("access", &Logging::access, optional_of(nested(access_log_section())), "The access log.")
                .default_is("none"),
        });
    return section;
}

}  // namespace nsboot_lb::config
