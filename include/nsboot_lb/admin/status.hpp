#pragma once
/// What the admin listener shows, as plain values: the daemon at one moment. Filled in by whoever wires the daemon,
/// turned into JSON, metrics and the dashboard by this floor.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "nsboot_lb/observe/statistics.hpp"

namespace nsboot_lb::admin {

/// One endpoint: a name that resolves to several addresses is as many of these under one name, and one that has none
/// yet is one that is "unresolved", with the name for its address.
struct ServerStatus {
    std::string pool{};
    std::string name{};
    std::string address{};  ///< "10.0.0.1:80"
    bool up = true;         ///< gets new requests, or would if it were not draining
    bool draining = false;  ///< no new requests by the operator's word or weight 0
    bool backup = false;
    std::string standing{};  ///< "available", "ejected", "unhealthy", "unresolved" …
    std::string reason{};    ///< why it is not available: "timeout after 1s", "operator"; empty if it is
    std::uint32_t weight = 1;
    std::uint32_t in_flight = 0;  ///< exchanges and tunnels that have not ended: what a drain waits for
    std::int64_t connections_idle = 0;
    std::uint64_t requests = 0;  ///< responses so far
    std::uint64_t failures = 0;  ///< attempts that failed so far
};

struct PoolStatus {
    std::string name{};
    std::string balance{};   ///< "least-conn" …
    bool available = false;  ///< a new request would be served or could wait
    std::uint64_t queue_length = 0;
    std::uint64_t queue_limit = 0;  ///< more are answered 503
    std::int64_t tunnels = 0;
    std::uint64_t retries = 0;
    std::vector<ServerStatus> servers{};
};

struct ListenerStatus {
    std::string name{};
    std::string address{};  ///< really bound: the kernel's port where the configuration says 0
    std::int64_t connections = 0;
    std::uint64_t connections_total = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t sent_bytes = 0;
};

/// Sums since the start, of which the dashboard makes rates.
struct Totals {
    std::uint64_t requests = 0;
    std::uint64_t client_errors = 0;  ///< 4xx
    std::uint64_t server_errors = 0;  ///< 5xx
    std::uint64_t rejected = 0;       ///< answered with an error of our own or cut short
};
/// Routes that a reload removed are no longer in it.
Totals totals_of(const observe::Statistics::View& view);

struct Status {
    std::string version{};
    std::chrono::system_clock::time_point started{};
    unsigned workers = 0;
    bool draining = false;
    std::string config_file{};
    std::chrono::system_clock::time_point last_reload{};  ///< of the configuration in force
    bool last_reload_successful = true;                   ///< false: the file was changed and refused since
    Totals totals{};
    std::vector<ListenerStatus> listeners{};
    std::vector<PoolStatus> pools{};
};

}  // namespace nsboot_lb::admin
