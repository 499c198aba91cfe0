#pragma once
/// What a reload does beside compiling the new configuration: the event log may move, and what has changed is told.
/// Control thread.
#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "nsboot_lb/config/changes.hpp"
#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::server {

/// More changes than this are counted instead of listed.
inline constexpr std::size_t max_told_changes = 20;

/// The event log's new target, open; nothing if it stays where it is. At the start (`running` is null) it is there
/// already.
std::expected<std::optional<observe::log::Target>, std::string> open_event_log(const config::Config* running,
                                                                               const config::Config& wanted);

/// Says in the old place where the log goes on.
void move_event_log(observe::log::Target target, const std::string& name);

struct Told {
    std::vector<std::string> changes;  ///< as in the log, "changed key=… from=… to=…"; the last may be "and N more"
    std::vector<std::string> restart_needed;  ///< keys whose value is another than what runs
};
/// Logs what a reload that succeeded has changed, and warns of what it could not. `workers` is how many there are.
Told tell_changes(const std::vector<config::Change>& changes, const config::Config& after, const std::string& file,
                  unsigned workers);

}  // namespace nsboot_lb::server
