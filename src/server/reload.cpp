#include "reload.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "nsboot_lb/server/server.hpp"

namespace nsboot_lb::server {

namespace log = observe::log;

namespace {

/// A line of the log that is made of quoted parts, so that it stands as it is.
struct Line {
    std::string_view text;
};

}  // namespace

}  // namespace nsboot_lb::server

template <>
struct fmt::formatter<nsboot_lb::server::Line> : fmt::formatter<std::string_view> {
    auto format(const nsboot_lb::server::Line& line, fmt::format_context& context) const {
        return fmt::formatter<std::string_view>::format(line.text, context);
    }
};

namespace nsboot_lb::server {

namespace {

std::string text_of(const config::Change& change) {
    auto text = fmt::format("{} key={}", to_string(change.kind), log::quoted(change.key));
    // A section that came or went has no value to show.
    if (change.from.empty() && change.to.empty()) return text;
    if (change.kind != config::ChangeKind::added) text += " from=" + log::quoted(change.from);
    if (change.kind != config::ChangeKind::removed) text += " to=" + log::quoted(change.to);
    return text;
}

std::vector<std::string> short_list(const std::vector<config::Change>& changes) {
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < std::min(changes.size(), max_told_changes); ++i) lines.push_back(text_of(changes[i]));
    if (changes.size() > max_told_changes)
        lines.push_back(fmt::format("and {} more", changes.size() - max_told_changes));
    return lines;
}

}  // namespace

std::expected<std::optional<log::Target>, std::string> open_event_log(const config::Config* running,
                                                                      const config::Config& wanted) {
    if (running == nullptr || running->logging.target == wanted.logging.target) return std::nullopt;
    auto opened = log::Target::open(wanted.logging.target);
    if (!opened) return std::unexpected{std::move(opened.error())};
    return std::optional{std::move(*opened)};
}

void move_event_log(log::Target target, const std::string& name) {
    log::info("the log goes on elsewhere target={}", name);
    log::use(std::move(target));
}

Told tell_changes(const std::vector<config::Change>& changes, const config::Config& after, const std::string& file,
                  unsigned workers) {
    Told told;
    told.changes = short_list(changes);
    if (changes.empty())
        log::info("configuration reloaded, nothing changed file={}", file);
    else
        log::info("configuration reloaded file={} changes={}", file, changes.size());
    for (const auto& line : told.changes) log::info("{}", Line{line});
    // Each worker has its sockets from the start, so their number stays. Whatever else can be written takes effect.
    if (const auto configured = worker_count(after); configured != workers) {
        log::warn("a restart is needed key=workers running={} configured={}", workers, configured);
        told.restart_needed.emplace_back("workers");
    }
    return told;
}

}  // namespace nsboot_lb::server
