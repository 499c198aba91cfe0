#pragma once
/// What the admin listener says of a pool's servers, and what an operator tells it to do with them. GoogleTest's thread
/// alone uses it.
#include <chrono>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "daemon.hpp"

namespace nsboot_lb::test {

struct ServerSeen {
    std::string standing;
    std::string reason;
    std::int64_t in_flight = 0;
    std::int64_t weight = 0;
};

inline void PrintTo(const ServerSeen& seen, std::ostream* out) {
    *out << seen.standing << " (" << seen.reason << "), " << seen.in_flight << " in flight, weight " << seen.weight;
}

/// The server of that name as /api/v1/pools shows it; of several addresses the first. An empty standing if there is
/// none.
inline ServerSeen server_seen(const Daemon& daemon, std::string_view name) {
    const auto pools = boost::json::parse(daemon.admin_get("/api/v1/pools").body);
    for (const auto& pool : pools.as_array()) {
        for (const auto& value : pool.at("servers").as_array()) {
            const auto& server = value.as_object();
            if (server.at("name").as_string() != name) continue;
            return {.standing = std::string{server.at("standing").as_string()},
                    .reason = std::string{server.at("reason").as_string()},
                    .in_flight = server.at("in_flight").to_number<std::int64_t>(),
                    .weight = server.at("weight").to_number<std::int64_t>()};
        }
    }
    return {};
}

/// Asks until the server is as it should be; throws Failure with what it is if that does not happen.
inline ServerSeen await_server(const Daemon& daemon, std::string_view name,
                               const std::function<bool(const ServerSeen&)>& as_wanted) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        auto seen = server_seen(daemon, name);
        if (as_wanted(seen)) return seen;
        if (std::chrono::steady_clock::now() > deadline)
            throw Failure(std::string{name} + " stays " + testing::PrintToString(seen));
    }
}

inline ServerSeen await_standing(const Daemon& daemon, std::string_view name, std::string_view standing) {
    return await_server(daemon, name, [&](const ServerSeen& seen) { return seen.standing == standing; });
}

/// What the operator says of a server, as JSON.
inline void change_server(const Daemon& daemon, std::string_view pool, std::string_view server, std::string_view json) {
    const Message answer =
        daemon.admin_post("/api/v1/pools/" + std::string{pool} + "/servers/" + std::string{server}, json);
    ASSERT_EQ(answer.status(), 200) << testing::PrintToString(answer);
}

}  // namespace nsboot_lb::test
