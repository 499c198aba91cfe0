#pragma once
/// The admin API's JSON, both ways. Free functions that touch only their arguments.
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "nsboot_lb/admin/context.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::admin {

boost::json::value to_json(const ServerStatus& server);
boost::json::value to_json(const std::vector<PoolStatus>& pools);
/// `now` gives the uptime.
boost::json::value to_json(const Status& status, std::chrono::system_clock::time_point now);
boost::json::value to_json(const ReloadResult& result);
/// {"error": what}
boost::json::value error_json(std::string_view what);

/// {"state": "up"|"drain"|"down"} and/or {"weight": N}; the error says what is wrong with the text.
std::expected<ServerChange, std::string> parse_server_change(std::string_view text);
/// {"level": "debug"}
std::expected<observe::log::Level, std::string> parse_log_level(std::string_view text);

}  // namespace nsboot_lb::admin
