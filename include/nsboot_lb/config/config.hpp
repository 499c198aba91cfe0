#pragma once
/// The configuration as plain values, every default filled in. Built once by load() on the control thread and immutable
/// from then on; any thread may read it. Each struct mirrors a section of the YAML file, each member a key of the same
/// name; the one place that lists keys, types, defaults, limits and texts is src/config/schema/.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/config/policy.hpp"

namespace nsboot_lb::config {

using Milliseconds = std::chrono::milliseconds;

/// Where a value stands in the file it came from, for messages about problems found after parsing.
struct Position {
    std::string file;
    int line = 0;    ///< 1 is the first; 0 means that the value is a default and stands nowhere
    int column = 0;  ///< 1 is the first
};

/// A bound address: TCP (host and port, IPv4 or IPv6, port 0 = let the kernel choose) or a unix socket's path.
struct BindAddress {
    std::string host;  ///< a literal IP address; empty for a unix socket
    std::uint16_t port = 0;
    std::string unix_path;  ///< empty for TCP
    /// As the user would write it: "0.0.0.0:80", "[::]:80" or "unix:/path".
    std::string text() const;
    bool operator==(const BindAddress&) const = default;
};

struct ProxyProtocol {
    bool enabled = false;
    std::vector<base::Cidr> from;  ///< empty with enabled: every peer must speak it
};

struct Listener {
    std::string name;
    std::vector<BindAddress> addresses;
    ProxyProtocol proxy_protocol;
    Position position;
};

struct Server {
    std::string name;
    std::string host;  ///< a literal IP address or a name to resolve; empty for a unix socket
    std::uint16_t port = 0;
    std::string unix_path;
    std::uint32_t weight = 1;           ///< 0 = no new traffic
    std::uint32_t max_connections = 0;  ///< 0 = no limit
    bool backup = false;
    Position position;
    /// "host:port", "[v6]:port" or "unix:/path".
    std::string address() const;
};

enum class SameSite { none, lax, strict };
std::string_view to_string(SameSite same_site);

struct Cookie {
    std::string name = "nsboot-session";
    std::optional<std::chrono::seconds> max_age;
    std::string domain;
    std::string path = "/";
    bool secure = false;
    bool http_only = true;
    SameSite same_site = SameSite::lax;
    std::string key_file;
    Policy fallback = Policy::least_conn;
};

struct StatusRange {
    int first = 0;
    int last = 0;
    bool contains(int status) const { return status >= first && status <= last; }
    bool operator==(const StatusRange&) const = default;
};

enum class CheckType { http, tcp };
std::string_view to_string(CheckType type);

struct HealthCheck {
    std::string path = "/health";
    CheckType type = CheckType::http;
    std::string method = "GET";
    std::string host;
    Milliseconds interval{3000};
    Milliseconds timeout{1000};
    std::uint32_t rise = 2;
    std::uint32_t fall = 3;
    std::vector<StatusRange> expect_status{{200, 399}};
    std::string expect_body;
    std::uint16_t port = 0;
};

struct PassiveHealth {
    std::uint32_t max_fails = 3;
    Milliseconds fail_timeout{30'000};
};

struct Keepalive {
    std::uint32_t max_idle = 32;
    Milliseconds idle_timeout{60'000};
    std::uint64_t max_requests = 0;
    Milliseconds max_lifetime{0};
};

struct PoolTimeouts {
    Milliseconds connect{2000};
    Milliseconds response{60'000};
    Milliseconds idle{60'000};
    Milliseconds tunnel_idle{3'600'000};
    Milliseconds queue{4000};
};

struct Retries {
    std::uint32_t attempts = 2;
    bool on_connect_failure = true;
    bool on_reset = true;
    std::vector<int> on_status{502, 503, 504};
    double budget = 0.20;  ///< a share: 0.2 is "20%"
};

struct Pool {
    std::string name;
    Policy balance = Policy::least_conn;
    std::vector<Server> servers;
    Milliseconds resolve_interval{30'000};
    Cookie cookie;
    std::optional<HealthCheck> health_check;
    PassiveHealth passive_health;
    Milliseconds slow_start{0};
    Keepalive keepalive;
    PoolTimeouts timeouts;
    Retries retries;
    std::uint32_t queue_size = 1024;
    Position position;
};

enum class PathMatch { exact, prefix, glob, regex };

struct PathPattern {
    PathMatch kind = PathMatch::exact;
    std::string text;
    Position position;
};

enum class HeaderTest { exact, regex, present };

struct HeaderMatch {
    std::string name;
    HeaderTest test = HeaderTest::exact;
    std::string value;    ///< of exact and regex
    bool present = true;  ///< of present: whether the field must be there or must not
};

/// All that are given must hold; an empty member asks for nothing. Within one member any one entry is enough.
struct Match {
    std::vector<std::string> host;  ///< "name", "*.name"; lower case, without port
    std::vector<PathPattern> path;
    std::vector<std::string> method;
    std::vector<HeaderMatch> header;
    std::optional<bool> websocket;
    std::vector<base::Cidr> client;
};

struct Redirect {
    std::string to;  ///< a template: {host} {uri} {path} {query} {scheme}
    int status = 308;
};

struct Respond {
    int status = 200;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

struct Bandwidth {
    std::uint64_t per_client = 0;  ///< bytes per second; 0 = no limit
    std::uint64_t total = 0;       ///< bytes per second; 0 = no limit
};

struct BasicAuth {
    std::string file;
    std::string realm = "NSBoot";
};

struct Rewrite {
    std::string strip_prefix;
    std::string add_prefix;
};

/// Changes to a header, applied in the order remove, set, add. Values are templates: {client_ip} {host} {uri} {scheme}
/// {request_id}.
struct HeaderChanges {
    std::vector<std::pair<std::string, std::string>> set;
    std::vector<std::pair<std::string, std::string>> add;
    std::vector<std::string> remove;
    bool empty() const { return set.empty() && add.empty() && remove.empty(); }
};

/// A route's replacements of its pool's timeouts; what is absent stays the pool's.
struct RouteTimeouts {
    std::optional<Milliseconds> connect, response, idle, tunnel_idle, queue;
};

struct Route {
    std::string name;    ///< default: "route-N", N counted from 1
    bool named = false;  ///< it was given
    Match match;
    std::string pool;  ///< exactly one of pool, redirect and respond is given
    std::optional<Redirect> redirect;
    std::optional<Respond> respond;
    std::optional<Policy> balance;
    std::vector<base::Cidr> allow;
    std::vector<base::Cidr> deny;
    std::optional<std::uint64_t> max_body;
    Bandwidth bandwidth;
    std::optional<BasicAuth> basic_auth;
    std::vector<std::string> reject_content_type;
    RouteTimeouts timeouts;
    Rewrite rewrite;
    HeaderChanges request_headers;
    HeaderChanges response_headers;
    Position position;
};

/// 127.0.0.0/8 and ::1.
std::vector<base::Cidr> loopback_addresses();

struct Admin {
    BindAddress address;
    std::vector<base::Cidr> allow = loopback_addresses();  ///< empty: nobody
    std::string token_file;
    std::vector<std::string> hosts;  ///< names besides addresses and localhost; lower case, without port or last dot
    Position position;
};

struct Limits {
    std::uint64_t connections = 0;  ///< 0 = from RLIMIT_NOFILE
    std::uint64_t connections_per_client = 0;
    std::uint64_t header_size = 32 * 1024;
    std::uint64_t uri_size = 8 * 1024;
    std::uint64_t header_count = 100;
    std::uint64_t socket_buffer = 256 * 1024;  ///< of a body, unsent in the kernel, for each client
};

struct ClientTimeouts {
    Milliseconds header{10'000};
    Milliseconds idle{75'000};
    Milliseconds body{60'000};
    Milliseconds send{60'000};
    Milliseconds half_closed{1000};  ///< 0 = a client that closes its side ends its exchange
    Milliseconds handshake{10'000};
    std::uint64_t min_rate = 256;  ///< bytes per second, over 30 s; 0 = off
};

struct Forwarded {
    std::vector<base::Cidr> trust;
};

enum class LogLevel { trace, debug, info, warn, error, off };
std::string_view to_string(LogLevel level);

struct AccessLog {
    std::string target = "stdout";  ///< "stdout", "stderr" or a file
    std::string format = "json";    ///< "json", "combined" or a template such as "{client} {status}"
};

struct Logging {
    LogLevel level = LogLevel::info;
    std::string target = "stderr";  ///< "stderr", "stdout" or a file
    std::optional<AccessLog> access;
};

struct Shutdown {
    Milliseconds drain_timeout{30'000};
};

struct Config {
    std::uint32_t workers = 0;  ///< 0 = as many as the process may use CPUs
    std::vector<Listener> listeners;
    std::vector<Pool> pools;  ///< in the file's order
    std::vector<Route> routes;
    std::optional<Admin> admin;
    Limits limits;
    ClientTimeouts timeouts;
    Forwarded forwarded;
    Logging logging;
    Shutdown shutdown;
};

}  // namespace nsboot_lb::config
