/// The table of the configuration: pools, their servers, and how these are asked and tried again.
#include <array>

#include "files.hpp"
#include "sections.hpp"
#include "special_values.hpp"
#include "texts.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

namespace {

const SectionOf<Server>& server_section() {
    static constexpr std::uint32_t max_weight = 65'535;
    static const auto section = [] {
        auto made = make_section<Server>(
            {"server", "a server", "pools.NAME.servers[]",
             "One server of a pool. A plain `HOST:PORT` is short for `{address: HOST:PORT}`."},
            {
                computed_key<Server, ServerAddress>(
                    "address", server_address(),
                    [](const Server& server) { return ServerAddress{server.host, server.port, server.unix_path}; },
                    [](Server& server, ServerAddress address) {
                        server.host = std::move(address.host);
                        server.port = address.port;
                        server.unix_path = std::move(address.unix_path);
                    },
                    "Where the server is: a host name or an IP address, and a port; or a unix socket.")
                    .required_as("nsboot-1:80"),
                key("name", &Server::name, text("text", check_label), "What logs, metrics and the admin API call it.")
                    .default_is("the address"),
                key("weight", &Server::weight, integer<std::uint32_t>(0, max_weight),
                    "Its share of the traffic, relative to the others'; honoured by every balancer. 0 = no new "
                    "traffic."),
                key("max_connections", &Server::max_connections, integer<std::uint32_t>(0, 1'000'000),
                    "How many requests it is given at once; more wait in the pool's queue. 0 = no limit."),
                key("backup", &Server::backup, boolean(), "Used only when no server that is no backup is available."),
            },
            [](const Node&, Server& server, Reader&) {
                if (server.name.empty() && (server.port != 0 || !server.unix_path.empty()))
                    server.name = server.address();
            });
        made.shorthand = "address";
        return made;
    }();
    return section;
}

const SectionOf<Cookie>& cookie_section() {
    static const auto section = make_section<Cookie>(
        {"cookie", "cookie", "pools.NAME.cookie", "The cookie of `balance: cookie-sticky`."},
        {
            key("name", &Cookie::name,
                text("a token",
                     [](std::string_view name) -> std::optional<base::UnitError> {
                         if (is_token(name)) return std::nullopt;
                         return base::UnitError{"'" + std::string(name) + "' is no cookie name",
                                                "use letters, digits, '-' and '_'"};
                     }),
                "Its name."),
            key("max_age", &Cookie::max_age, optional_of(whole_seconds()), "How long clients keep it.")
                .default_is("none: until the client's session ends"),
            key("domain", &Cookie::domain, text_or_empty("a domain", check_cookie_domain),
                "Its Domain. Empty = the host that was asked."),
            key("path", &Cookie::path, text("a path", check_cookie_path), "Its Path."),
            key("secure", &Cookie::secure, boolean(), "Whether clients send it over TLS only."),
            key("http_only", &Cookie::http_only, boolean(), "Whether scripts cannot see it."),
            key("same_site", &Cookie::same_site, choice<SameSite>({SameSite::lax, SameSite::strict, SameSite::none}),
                "Its SameSite."),
            key("key_file", &Cookie::key_file, key_file(),
                "A file with the secret that keys the cookie's value, the same on every load balancer of a site. Empty "
                "= "
                "keyed by the names of pool and server."),
            key("fallback", &Cookie::fallback, policy(),
                "The policy that picks on a first visit, or when the cookie's server is gone."),
        },
        [](const Node& node, Cookie& cookie, Reader& reader) {
            if (cookie.fallback == Policy::cookie_sticky)
                reader.problems().error(node.find("fallback")->mark,
                                        "fallback: cookie-sticky cannot fall back on itself",
                                        "write such as least-conn");
            if (cookie.same_site == SameSite::none && !cookie.secure)
                reader.problems().warning(node.find("same_site")->mark,
                                          "browsers refuse a cookie with 'same_site: none' that is not secure",
                                          "add secure: true");
        });
    return section;
}

const SectionOf<HealthCheck>& health_check_section() {
    static const auto section = make_section<HealthCheck>(
        {"health_check", "health_check", "pools.NAME.health_check",
         "Active checks: each server is asked on its own, traffic or none."},
        {
            key("path", &HealthCheck::path,
                text("a request target",
                     [](std::string_view target) { return check_sent_path(target.substr(0, target.find('?'))); }),
                "What to ask for."),
            key("type", &HealthCheck::type, choice<CheckType>({CheckType::http, CheckType::tcp}),
                "`http`: a request and its answer; `tcp`: that a connection is accepted."),
            key("method", &HealthCheck::method, text("a method", check_method), "The request's method."),
            key("host", &HealthCheck::host, text_or_empty("a host", check_authority),
                "The request's Host. Empty = the server's address."),
            key("interval", &HealthCheck::interval, duration(10ms), "The time from one check to the next."),
            key("timeout", &HealthCheck::timeout, duration(), "How long a check may take in all."),
            key("rise", &HealthCheck::rise, integer<std::uint32_t>(1, 1000),
                "How many successes in a row bring a server back."),
            key("fall", &HealthCheck::fall, integer<std::uint32_t>(1, 1000),
                "How many failures in a row take a server out."),
            key("expect_status", &HealthCheck::expect_status, list_of(status_range(), 1),
                "The statuses that count as success."),
            key("expect_body", &HealthCheck::expect_body, free_text("text"),
                "Text that must be in the answer's body. Empty = any body."),
            key("port", &HealthCheck::port, integer<std::uint16_t>(), "The port to ask. 0 = the server's own."),
        },
        [](const Node& node, HealthCheck& check, Reader& reader) {
            if (check.method == "HEAD" && !check.expect_body.empty())
                reader.problems().error(node.find("expect_body")->mark, "expect_body: an answer to HEAD has no body",
                                        "write method: GET");
        });
    return section;
}

const SectionOf<PassiveHealth>& passive_health_section() {
    static const auto section = make_section<PassiveHealth>(
        {"passive_health", "passive_health", "pools.NAME.passive_health",
         "What live traffic says of a server's health."},
        {
            key("max_fails", &PassiveHealth::max_fails, integer<std::uint32_t>(0, 1'000'000),
                "So many failures within `fail_timeout` take a server out. 0 = off."),
            key("fail_timeout", &PassiveHealth::fail_timeout, duration(),
                "The time within which failures add up, and for which the server stays out."),
        });
    return section;
}

const SectionOf<Keepalive>& keepalive_section() {
    static const auto section = make_section<Keepalive>(
        {"keepalive", "keepalive", "pools.NAME.keepalive", "Idle connections to servers, kept for the next request."},
        {
            key("max_idle", &Keepalive::max_idle, integer<std::uint32_t>(0, 1'000'000),
                "How many are kept per server, in all. 0 = none."),
            key("idle_timeout", &Keepalive::idle_timeout, duration(), "How long one may stay idle."),
            key("max_requests", &Keepalive::max_requests, integer<std::uint64_t>(0, max_size),
                "How many requests one connection carries. 0 = no limit."),
            key("max_lifetime", &Keepalive::max_lifetime, duration(0ms),
                "How old a connection may get. 0s = no limit."),
        });
    return section;
}

const SectionOf<PoolTimeouts>& pool_timeouts_section() {
    static const auto section = make_section<PoolTimeouts>(
        {"pool_timeouts", "timeouts", "pools.NAME.timeouts", "How long a server is waited for."},
        {
            key("connect", &PoolTimeouts::connect, duration(), "Until a connection is made."),
            key("response", &PoolTimeouts::response, duration(), "From the request's end to the response's header."),
            key("idle", &PoolTimeouts::idle, duration(), "Between two reads or two writes of a body."),
            key("tunnel_idle", &PoolTimeouts::tunnel_idle, duration(),
                "Of an upgraded connection (WebSocket) on which nothing moves in either direction."),
            key("queue", &PoolTimeouts::queue, duration(0ms),
                "For a free slot, where `max_connections` binds. 0s = do not wait."),
        });
    return section;
}

std::vector<RetryCause> causes_of(const Retries& retries) {
    std::vector<RetryCause> causes;
    if (retries.on_connect_failure) causes.push_back({RetryCause::Kind::connect_failure, 0});
    if (retries.on_reset) causes.push_back({RetryCause::Kind::reset, 0});
    for (const int status : retries.on_status) causes.push_back({RetryCause::Kind::status, status});
    return causes;
}

void set_causes(Retries& retries, const std::vector<RetryCause>& causes) {
    retries.on_connect_failure = retries.on_reset = false;
    retries.on_status.clear();
    for (const auto& cause : causes) {
        if (cause.kind == RetryCause::Kind::connect_failure) retries.on_connect_failure = true;
        if (cause.kind == RetryCause::Kind::reset) retries.on_reset = true;
        if (cause.kind == RetryCause::Kind::status) retries.on_status.push_back(cause.status);
    }
}

const SectionOf<Retries>& retries_section() {
    static const auto section = make_section<Retries>(
        {"retries", "retries", "pools.NAME.retries",
         "Further tries of a request at another server. Only requests that are safe to send again are tried again, and "
         "none of which the client has seen a byte of the response."},
        {
            key("attempts", &Retries::attempts, integer<std::uint32_t>(0, 100),
                "How many tries after the first. 0 = none."),
            computed_key<Retries, std::vector<RetryCause>>("on", list_of(retry_cause()), causes_of, set_causes,
                                                           "What makes a request be tried again."),
            key("budget", &Retries::budget, percentage(1.0),
                "The share that retries which reached a server may add to the pool's requests; `0%` forbids them."),
        });
    return section;
}

/// `protocol` has one value so far, and so no member.
KeyOf<Pool> protocol_key() {
    static constexpr std::string_view http_1 = "http/1.1";
    static constexpr std::array<std::string_view, 1> known{http_1};
    const auto check = [](std::string_view text) -> std::optional<base::UnitError> {
        if (text == "h2") return base::UnitError{"'h2' is not available in this version", "write http/1.1"};
        return text == http_1 ? std::nullopt : std::optional(unknown_word(text, known));
    };
    return computed_key<Pool, std::string>(
        "protocol", text(std::string(http_1), check, schema_words(known)),
        [](const Pool&) { return std::string(http_1); }, [](Pool&, const std::string&) {},
        "The protocol spoken to the servers.");
}

}  // namespace

const SectionOf<Pool>& pool_section() {
    static const auto section = make_section<Pool>(
        {"pool", "a pool", "pools.NAME", "A named set of servers, and how requests are spread over them."},
        {
            key("balance", &Pool::balance, policy(), "The policy that picks a server for each request."),
            key("servers", &Pool::servers, list_of(nested(server_section()), 1), "The servers.")
                .required_as("[nsboot-1:80, nsboot-2:80]"),
            key("resolve_interval", &Pool::resolve_interval, duration(10ms),
                "How often servers' names are resolved again; every address of a name becomes a server."),
            key("cookie", &Pool::cookie, nested(cookie_section()), "The cookie of `balance: cookie-sticky`."),
            key("health_check", &Pool::health_check, optional_of(nested(health_check_section())), "Active checks.")
                .default_is("none: servers are not asked"),
            key("passive_health", &Pool::passive_health, nested(passive_health_section()), "Checks on live traffic."),
            key("slow_start", &Pool::slow_start, duration(0ms),
                "Over this time the share of a recovered or new server grows to its full size. 0s = at once."),
            key("keepalive", &Pool::keepalive, nested(keepalive_section()), "Idle connections to the servers."),
            key("timeouts", &Pool::timeouts, nested(pool_timeouts_section()), "How long a server is waited for."),
            key("retries", &Pool::retries, nested(retries_section()), "Further tries at other servers."),
            key("queue_size", &Pool::queue_size, integer<std::uint32_t>(0, 10'000'000),
                "How many requests may wait for a free slot, where `max_connections` binds; more are answered 503."),
            later_key<Pool>("tls", "TLS to the servers."),
            protocol_key(),
        });
    return section;
}

}  // namespace nsboot_lb::config
