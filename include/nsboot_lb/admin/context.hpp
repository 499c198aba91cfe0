#pragma once
/// All that the admin listener knows of the rest of the daemon: functions that main wires and tests fake. Each but a
/// View's is called on the control thread and must not block it.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
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

/// The daemon at one moment, to be looked at by another thread: with thousands of servers that takes a second.
struct View {
    std::function<Status()> status;
    std::function<std::vector<PoolStatus>()> pools;
    /// The effective configuration, as --print-config writes it, but for values that may let somebody in.
    std::function<std::string()> config_yaml;
    /// Everything but what comes from pools(): upstream_up, upstream_draining, upstream_weight, pool_available and
    /// queue_limit.
    std::function<observe::MetricFamilies()> metrics;
};

struct AdminContext {
    std::function<View()> view;
    /// The thread for it. Ends before what a View looks at.
    boost::asio::any_io_executor background;
    std::function<bool()> draining;
    /// Of all endpoints of that name.
    std::function<ChangeResult(std::string_view pool, std::string_view server, const ServerChange&)> change_server;
    std::function<boost::asio::awaitable<ReloadResult>()> reload;
};

}  // namespace nsboot_lb::admin
