#include "json.hpp"

#include <algorithm>
#include <chrono>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/core.h>

namespace nsboot_lb::admin {

namespace json = boost::json;

namespace {

/// As the configuration's own limit on a weight.
constexpr std::int64_t max_weight = 65'535;

/// RFC 3339, UTC, whole seconds; null for a time that never was.
json::value time_json(std::chrono::system_clock::time_point time) {
    if (time == std::chrono::system_clock::time_point{}) return nullptr;
    const auto second = std::chrono::floor<std::chrono::seconds>(time);
    const auto day = std::chrono::floor<std::chrono::days>(second);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(second - day);
    return json::string(fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int(date.year()), unsigned(date.month()),
                                    unsigned(date.day()), clock.hours().count(), clock.minutes().count(),
                                    clock.seconds().count()));
}

json::value to_json(const PoolStatus& pool) {
    json::array servers;
    for (const ServerStatus& server : pool.servers) servers.push_back(admin::to_json(server));
    return json::object{{"name", pool.name},
                        {"balance", pool.balance},
                        {"available", pool.available},
                        {"queue_length", pool.queue_length},
                        {"queue_limit", pool.queue_limit},
                        {"tunnels", pool.tunnels},
                        {"retries", pool.retries},
                        {"servers", std::move(servers)}};
}

json::value to_json(const ListenerStatus& listener) {
    return json::object{{"name", listener.name},
                        {"address", listener.address},
                        {"connections", listener.connections},
                        {"connections_total", listener.connections_total},
                        {"received_bytes", listener.received_bytes},
                        {"sent_bytes", listener.sent_bytes}};
}

json::value to_json(const Totals& totals) {
    return json::object{{"requests", totals.requests},
                        {"client_errors", totals.client_errors},
                        {"server_errors", totals.server_errors},
                        {"rejected", totals.rejected}};
}

std::expected<json::object, std::string> parse_object(std::string_view text) {
    json::error_code error;
    const json::value value = json::parse(text, error);
    if (error) return std::unexpected("the body is not JSON: " + error.message());
    if (!value.is_object()) return std::unexpected("the body is not a JSON object");
    return value.get_object();
}

std::expected<ServerState, std::string> parse_state(const json::value& value) {
    if (value == "up") return ServerState::up;
    if (value == "drain") return ServerState::drain;
    if (value == "down") return ServerState::down;
    return std::unexpected(R"("state" must be "up", "drain" or "down")");
}

std::expected<std::uint32_t, std::string> parse_weight(const json::value& value) {
    const std::int64_t* number = value.if_int64();
    if (number != nullptr && *number >= 0 && *number <= max_weight) return static_cast<std::uint32_t>(*number);
    return std::unexpected(fmt::format(R"("weight" must be a whole number from 0 to {})", max_weight));
}

}  // namespace

json::value to_json(const ServerStatus& server) {
    return json::object{{"pool", server.pool},
                        {"name", server.name},
                        {"address", server.address},
                        {"up", server.up},
                        {"draining", server.draining},
                        {"backup", server.backup},
                        {"standing", server.standing},
                        {"reason", server.reason},
                        {"weight", server.weight},
                        {"in_flight", server.in_flight},
                        {"connections_idle", server.connections_idle},
                        {"requests", server.requests},
                        {"failures", server.failures}};
}

json::value to_json(const std::vector<PoolStatus>& pools) {
    json::array array;
    for (const PoolStatus& pool : pools) array.push_back(to_json(pool));
    return array;
}

json::value to_json(const Status& status, std::chrono::system_clock::time_point now) {
    json::array listeners;
    for (const ListenerStatus& listener : status.listeners) listeners.push_back(to_json(listener));
    const auto uptime = std::chrono::floor<std::chrono::seconds>(now - status.started);
    return json::object{{"version", status.version},
                        {"started", time_json(status.started)},
                        {"uptime_seconds", uptime.count()},
                        {"workers", status.workers},
                        {"draining", status.draining},
                        {"config_file", status.config_file},
                        {"last_reload", time_json(status.last_reload)},
                        {"last_reload_successful", status.last_reload_successful},
                        {"totals", to_json(status.totals)},
                        {"listeners", std::move(listeners)},
                        {"pools", to_json(status.pools)}};
}

json::value to_json(const ReloadResult& result) {
    const auto array = [](const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); };
    return json::object{{"successful", result.successful},
                        {"problems", array(result.problems)},
                        {"changes", array(result.changes)},
                        {"restart_needed", array(result.restart_needed)}};
}

json::value error_json(std::string_view what) {
    return json::object{{"error", what}};
}

std::expected<ServerChange, std::string> parse_server_change(std::string_view text) {
    const auto object = parse_object(text);
    if (!object) return std::unexpected(object.error());
    ServerChange change;
    for (const auto& [key, value] : *object) {
        if (key == "state") {
            const auto state = parse_state(value);
            if (!state) return std::unexpected(state.error());
            change.state = *state;
        } else if (key == "weight") {
            const auto weight = parse_weight(value);
            if (!weight) return std::unexpected(weight.error());
            change.weight = *weight;
        } else {
            return std::unexpected("unknown key \"" + std::string(key) + R"("; known are "state" and "weight")");
        }
    }
    if (!change.state && !change.weight) return std::unexpected(R"("state" or "weight" is needed)");
    return change;
}

std::expected<observe::log::Level, std::string> parse_log_level(std::string_view text) {
    const auto object = parse_object(text);
    if (!object) return std::unexpected(object.error());
    const json::value* word = object->if_contains("level");
    if (word == nullptr || object->size() != 1 || !word->is_string()) {
        return std::unexpected(R"(the body must be {"level": "..."})");
    }
    const auto level = observe::log::level_of(word->get_string());
    if (!level) return std::unexpected(R"("level" must be "trace", "debug", "info", "warn", "error" or "off")");
    return *level;
}

}  // namespace nsboot_lb::admin
