#pragma once
/// All that the admin listener knows of the rest of the daemon: functions that main wires and tests fake. Each is
/// called on the control thread, must not block it, and must not throw.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "nsboot_lb/admin/status.hpp"
#include "nsboot_lb/observe/collector.hpp"

namespace nsboot_lb::admin {

enum class ServerState : std::uint8_t { up, drain, down };

/// What an operator wants of a server; what is absent stays.
struct ServerChange {
    std::optional<ServerState> state;
    std::optional<std::uint32_t> weight;
};

enum class ChangeResult : std::uint8_t {
    changed,
    no_such_pool,
    no_such_server,
    unresolved  ///< its name has no address yet: there is nothing to change
};

struct ReloadResult {
    bool successful = false;
    std::vector<std::string> problems{};  ///< errors and warnings, each as "FILE:LINE:COLUMN: error: what; hint"
    std::vector<std::string> changes{};   ///< as the log tells them: "changed key=pools.p.queue_size from=1024 to=7"
    std::vector<std::string> restart_needed{};  ///< keys whose new value the running process cannot take over
};

struct AdminContext {
    std::function<Status()> status;
    std::function<std::vector<PoolStatus>()> pools;
    std::function<std::string()> config_yaml;  ///< the effective configuration, as --print-config writes it
    std::function<bool()> draining;
    /// Everything but what comes from pools(): upstream_up, upstream_draining, upstream_weight, pool_available and
    /// queue_limit.
    std::function<observe::MetricFamilies()> metrics;
    /// Of all endpoints of that name.
    std::function<ChangeResult(std::string_view pool, std::string_view server, const ServerChange&)> change_server;
    std::function<boost::asio::awaitable<ReloadResult>()> reload;
};

}  // namespace nsboot_lb::admin
