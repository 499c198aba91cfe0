/// The table of the configuration: every section, every key, its type, limits and text; defaults are those of the
/// structs in config.hpp. Parsing, checking, printing, the reference and the JSON Schema all come from here.
#include "schema.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "files.hpp"
#include "special_values.hpp"
#include "texts.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

namespace {

constexpr std::uint64_t max_size = 1ULL << 60;

Codec<Policy> policy() {
    return choice<Policy>({Policy::round_robin, Policy::weighted, Policy::least_conn, Policy::ip_hash,
                           Policy::cookie_sticky, Policy::random_two, Policy::uri_hash});
}

/// `workers`: a number, or auto, which is 0.
Codec<std::uint32_t> worker_count() {
    static constexpr std::uint32_t max_workers = 1024;
    auto codec = integer<std::uint32_t>(1, max_workers);
    codec.type.words = "auto, or a whole number, 1 to " + std::to_string(max_workers);
    codec.type.schema = Node::map().set(
        "anyOf",
        Node::sequence().push(Node::map().set("const", Node::of_text("auto"))).push(std::move(codec.type.schema)));
    codec.read = [read = codec.read](const Node& node, std::uint32_t& value, Reader& reader) {
        if (node.is_scalar() && node.text == "auto")
            value = 0;
        else if (node.is_scalar() && node.text == "0")
            reader.error(node, "'0' is too small", "write auto for as many as there are CPUs");
        else if (node.is_scalar() && !base::parse_whole_number(node.text))
            reader.error(node, "'" + node.text + "' is neither auto nor a whole number",
                         "write auto for as many as there are CPUs");
        else
            read(node, value, reader);
    };
    codec.write = [write = codec.write](const std::uint32_t& value) {
        return value == 0 ? Node::of_text("auto") : write(value);
    };
    return codec;
}

/// Printed only where it is not the address, since listeners on any free port may share that one.
KeyOf<Listener> listener_name_key() {
    auto made = key("name", &Listener::name, text("text", check_label), "What logs and metrics call it.")
                    .default_is("the address");
    made.write = [write = std::move(made.write)](const void* object) {
        const auto& listener = *static_cast<const Listener*>(object);
        const bool is_address = !listener.addresses.empty() && listener.name == listener.addresses.front().text();
        return is_address ? Node{} : write(object);
    };
    return made;
}

const SectionOf<Listener>& listener_section() {
    static const auto section = make_section<Listener>(
        {"listener", "a listener", "listeners[]", "A bound address where clients connect."},
        {
            key("address", &Listener::addresses, list_of(bind_address(), 1),
                "Where to listen: an IP address and a port, a unix socket, or a list of these. Port 0 takes any free "
                "one.")
                .required_as("0.0.0.0:80"),
            listener_name_key(),
            key("proxy_protocol", &Listener::proxy_protocol, proxy_protocol(),
                "Accept PROXY protocol v1 and v2: from every peer (true), or from these address ranges."),
            later_key<Listener>("tls", "TLS on this listener."),
        },
        [](const Node& node, Listener& listener, Reader& reader) {
            if (listener.name.empty() && !listener.addresses.empty()) listener.name = listener.addresses.front().text();
            const auto* at = node.find("address");
            const Reader::InKey in_key(reader, "address");
            for (const auto& address : listener.addresses)
                if (!address.unix_path.empty()) check_socket_path(at ? *at : node, address.unix_path, reader);
        });
    return section;
}

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
                "The share that retries may add to the pool's requests; `0%` forbids them."),
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

const SectionOf<HeaderCondition>& header_condition_section() {
    static const auto section =
        make_section<HeaderCondition>(
            {"header_condition", "a header condition", "routes[].match.header.NAME",
             "What a header field must be, where it is not an exact value."},
            {
                key("regex", &HeaderCondition::regex, optional_of(text("a regular expression", check_regex)),
                    "The value matches this (RE2) in full."),
                key("present", &HeaderCondition::present, optional_of(boolean()),
                    "true: the field is there, whatever its value; false: it is not."),
            })
            .with_choice({{"regex", "present"}, true, "give exactly one"});
    return section;
}

/// `path`, `path_prefix`, `path_glob` and `path_regex` are one member, told apart by the patterns' kind.
KeyOf<Match> path_key(std::string name, PathMatch kind, std::string text) {
    return computed_key<Match, std::vector<PathPattern>>(
        std::move(name), path_patterns(kind),
        [kind](const Match& match) {
            std::vector<PathPattern> patterns;
            for (const auto& pattern : match.path)
                if (pattern.kind == kind) patterns.push_back(pattern);
            return patterns;
        },
        [](Match& match, std::vector<PathPattern> patterns) {
            match.path.insert(match.path.end(), std::make_move_iterator(patterns.begin()),
                              std::make_move_iterator(patterns.end()));
        },
        std::move(text));
}

Codec<std::vector<std::string>> host_patterns() {
    auto pattern = text("a host", check_host_pattern);
    pattern.read = [read = std::move(pattern.read)](const Node& node, std::string& value, Reader& reader) {
        read(node, value, reader);
        std::ranges::transform(value, value.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    };
    return omit_empty(list_of(std::move(pattern), 1));
}

const SectionOf<Match>& match_section() {
    static const auto section =
        make_section<Match>(
            {"match", "match", "routes[].match",
             "Which requests a route takes. All that are given must hold; of the entries of one list, any one. Absent: "
             "every "
             "request. At most one of the four ways to write a path."},
            {
                key("host", &Match::host, host_patterns(),
                    "The request's host, without its port; `*.example.com` takes every name below example.com."),
                path_key("path", PathMatch::exact, "The whole path."),
                path_key("path_prefix", PathMatch::prefix,
                         "The path's beginning, in whole segments: /ws takes /ws and /ws/x, not /wsx."),
                path_key("path_glob", PathMatch::glob,
                         "The whole path, where `*` stands for anything but /, and `**` for anything, such as "
                         "/boot/*.ipxe."),
                path_key("path_regex", PathMatch::regex,
                         "A regular expression (RE2) for the whole path; write .* at an end that does not matter."),
                key("method", &Match::method, omit_empty(list_of(text("a method", check_method), 1)), "The method."),
                key("header", &Match::header, header_matches(header_condition_section()),
                    "Header fields: an exact value, `{regex: ...}`, or `{present: true}`."),
                key("websocket", &Match::websocket, optional_of(boolean()),
                    "Whether it is an `Upgrade: websocket` request.")
                    .default_is("either"),
                key("client", &Match::client, omit_empty(list_of(cidr(), 1)), "The client's address."),
            })
            // Whether two of them mean "and" or "or", readers would have to guess.
            .with_choice(
                {{"path", "path_prefix", "path_glob", "path_regex"}, false, "give one of them, or write two routes"});
    return section;
}

Codec<int> status(int min, int max) {
    const auto wide = whole_number(static_cast<std::uint64_t>(min), static_cast<std::uint64_t>(max));
    return {wide.type,
            [wide](const Node& node, int& value, Reader& reader) {
                auto number = static_cast<std::uint64_t>(value);
                wide.read(node, number, reader);
                value = static_cast<int>(number);
            },
            [](const int& value) { return Node::of_literal(std::to_string(value)); }};
}

const SectionOf<Redirect>& redirect_section() {
    static const auto section = make_section<Redirect>(
        {"redirect", "redirect", "routes[].redirect", "Answers with a redirect."},
        {
            key("to", &Redirect::to, template_text({"host", "uri", "path", "query", "scheme"}), "The Location.")
                .required_as("\"https://{host}{uri}\""),
            key("status", &Redirect::status, status(301, 308), "301, 302, 303, 307 or 308."),
        },
        [](const Node& node, Redirect& redirect, Reader& reader) {
            if (redirect.status > 303 && redirect.status < 307)
                reader.problems().error(node.find("status")->mark,
                                        "status: " + std::to_string(redirect.status) + " is no redirect",
                                        "write 301, 302, 303, 307 or 308");
            if (redirect.to.empty() && node.find("to") != nullptr && node.find("to")->is_scalar() &&
                node.find("to")->text.empty())
                reader.problems().error(node.find("to")->mark, "to: the target is empty",
                                        "write such as \"https://{host}{uri}\"");
        });
    return section;
}

const SectionOf<Respond>& respond_section() {
    static const auto section = make_section<Respond>(
        {"respond", "respond", "routes[].respond", "Answers by itself."},
        {
            key("status", &Respond::status, status(200, 599), "The status."),
            key("body", &Respond::body, free_text("text"), "The body."),
            key("headers", &Respond::headers, fields(printable_text("a value")), "Header fields of the answer."),
        },
        [](const Node& node, Respond& respond, Reader& reader) {
            // RFC 9110 15.3.5, 15.4.5: these statuses have no body.
            if ((respond.status == 204 || respond.status == 304) && !respond.body.empty())
                reader.problems().error(node.find("body")->mark,
                                        "body: an answer of status " + std::to_string(respond.status) + " has no body",
                                        "remove it, or write status: 200");
        });
    return section;
}

const SectionOf<Bandwidth>& bandwidth_section() {
    static const auto section = make_section<Bandwidth>(
        {"bandwidth", "bandwidth", "routes[].bandwidth", "Limits how fast responses are sent."},
        {
            key("per_client", &Bandwidth::per_client, omit_empty(byte_rate()), "For each client address.")
                .default_is("none"),
            key("total", &Bandwidth::total, omit_empty(byte_rate()), "For all clients of the route.")
                .default_is("none"),
        });
    return section;
}

const SectionOf<BasicAuth>& basic_auth_section() {
    static const auto section = make_section<BasicAuth>(
        {"basic_auth", "basic_auth", "routes[].basic_auth", "Asks for a user name and a password."},
        {
            key("file", &BasicAuth::file, password_file(), "A file of users, as htpasswd makes it.")
                .required_as("/etc/nsboot-lb/htpasswd"),
            key("realm", &BasicAuth::realm, text("text", check_realm), "What the user is told this is for."),
        },
        [](const Node& node, BasicAuth&, Reader& reader) {
            if (const auto* file = node.find("file"); file != nullptr && file->is_scalar() && file->text.empty())
                reader.problems().error(file->mark, "file: the path is empty", "name a file");
        });
    return section;
}

const SectionOf<Rewrite>& rewrite_section() {
    static const auto section = make_section<Rewrite>(
        {"rewrite", "rewrite", "routes[].rewrite", "Changes the path that the server is asked for."},
        {
            key("strip_prefix", &Rewrite::strip_prefix, omit_empty(text_or_empty("a path", check_sent_path)),
                "Taken away from the path's beginning, where it is there."),
            key("add_prefix", &Rewrite::add_prefix, omit_empty(text_or_empty("a path", check_sent_path)),
                "Put in front of the path, after the other was taken away."),
        });
    return section;
}

Codec<std::string> header_value() {
    return template_text({"client_ip", "host", "uri", "scheme", "request_id"});
}

const SectionOf<HeaderChanges>& header_changes_section() {
    static const auto section = make_section<HeaderChanges>(
        {"header_changes", "header changes", "routes[].request_headers and routes[].response_headers",
         "Changes to header fields, in the order remove, set, add. Values may hold `{client_ip}`, `{host}`, `{uri}`, "
         "`{scheme}` and `{request_id}`. Fields that frame the message (Content-Length, Transfer-Encoding, Connection "
         "and their like) cannot be changed."},
        {
            key("set", &HeaderChanges::set, fields(header_value()),
                "Fields to replace, or to add where they are not there."),
            key("add", &HeaderChanges::add, fields(header_value()), "Fields to add to what is there."),
            key("remove", &HeaderChanges::remove, omit_empty(list_of(text("a field name", check_changeable_field))),
                "Fields to remove."),
        });
    return section;
}

const SectionOf<RouteTimeouts>& route_timeouts_section() {
    const auto limit = [] { return optional_of(duration()); };
    static const auto section = make_section<RouteTimeouts>(
        {"route_timeouts", "timeouts", "routes[].timeouts", "Replaces the pool's timeouts; what is absent stays."},
        {
            key("connect", &RouteTimeouts::connect, limit(), "As the pool's.").default_is("the pool's"),
            key("response", &RouteTimeouts::response, limit(), "As the pool's.").default_is("the pool's"),
            key("idle", &RouteTimeouts::idle, limit(), "As the pool's.").default_is("the pool's"),
            key("tunnel_idle", &RouteTimeouts::tunnel_idle, limit(), "As the pool's.").default_is("the pool's"),
            key("queue", &RouteTimeouts::queue, optional_of(duration(0ms)), "As the pool's.").default_is("the pool's"),
        });
    return section;
}

const SectionOf<Route>& route_section() {
    static const auto section =
        make_section<Route>(
            {"route", "a route", "routes[]", "A match and what to do. The first route that matches takes the request."},
            {
                key("name", &Route::name, text("text", check_label), "What logs and metrics call it.")
                    .default_is("route-N, counted from 1"),
                key("match", &Route::match, nested(match_section()), "Which requests it takes.")
                    .default_is("every request"),
                key("pool", &Route::pool, omit_empty(printable_text("the name of a pool")), "The pool that answers."),
                key("redirect", &Route::redirect, optional_of(nested(redirect_section())), "Answers with a redirect."),
                key("respond", &Route::respond, optional_of(nested(respond_section())), "Answers by itself."),
                key("balance", &Route::balance, optional_of(policy()),
                    "Another policy on this route; servers, health and counts stay the pool's.")
                    .default_is("the pool's"),
                key("allow", &Route::allow, omit_empty(list_of(cidr())), "Client addresses that may; others get 403.")
                    .default_is("everybody"),
                key("deny", &Route::deny, omit_empty(list_of(cidr())), "Client addresses that may not; they get 403.")
                    .default_is("nobody"),
                later_key<Route>("rate_limit", "Rate limits that hold here."),
                later_key<Route>("cache", "The cache that answers here."),
                key("max_body", &Route::max_body, optional_of(size_bytes(0, max_size)),
                    "The largest request body; more gets 413.")
                    .default_is("no limit"),
                key("bandwidth", &Route::bandwidth, nested(bandwidth_section()), "How fast responses are sent.")
                    .default_is("no limit"),
                key("basic_auth", &Route::basic_auth, optional_of(nested(basic_auth_section())), "Asks for a password.")
                    .default_is("none"),
                key("reject_content_type", &Route::reject_content_type,
                    omit_empty(list_of(text("a media type", check_media_type))),
                    "A response of one of these types becomes a 502 (an index page where a kernel was asked for).")
                    .default_is("none"),
                key("timeouts", &Route::timeouts, nested(route_timeouts_section()), "Replaces the pool's timeouts.")
                    .default_is("the pool's"),
                key("rewrite", &Route::rewrite, nested(rewrite_section()), "Changes the path.").default_is("none"),
                key("request_headers", &Route::request_headers, nested(header_changes_section()),
                    "Changes to what the server gets.")
                    .default_is("none"),
                key("response_headers", &Route::response_headers, nested(header_changes_section()),
                    "Changes to what the client gets.")
                    .default_is("none"),
                later_key<Route>("cors", "Cross-origin resource sharing."),
            })
            .with_choice({{"pool", "redirect", "respond"}, true, "give exactly one"});
    return section;
}

const SectionOf<Admin>& admin_section() {
    static const auto section = make_section<Admin>(
        {"admin", "admin", "admin", "The listener of metrics, health, dashboard and API."},
        {
            key("address", &Admin::address, bind_address(),
                "Where to listen: an IP address and a port, or a unix socket.")
                .required_as("127.0.0.1:8404"),
            key("allow", &Admin::allow, list_of(cidr()), "Client addresses that may ask."),
            key("token_file", &Admin::token_file, token_file(),
                "A file with a token; changes then need `Authorization: Bearer`. Empty = they do not."),
        },
        [](const Node& node, Admin& admin, Reader& reader) {
            const Reader::InKey in_key(reader, "address");
            if (!admin.address.unix_path.empty())
                check_socket_path(*node.find("address"), admin.address.unix_path, reader);
        });
    return section;
}

const SectionOf<Limits>& limits_section() {
    static const auto section = make_section<Limits>(
        {"limits", "limits", "limits", "What clients may use."},
        {
            key("connections", &Limits::connections, integer<std::uint64_t>(0, 100'000'000),
                "Client connections in all. 0 = as many as the open-files limit (RLIMIT_NOFILE) leaves room for."),
            key("connections_per_client", &Limits::connections_per_client, integer<std::uint64_t>(0, 100'000'000),
                "Connections of one client address. 0 = no limit."),
            key("header_size", &Limits::header_size, size_bytes(256, 16ULL << 20),
                "Of a request's header; more gets 431."),
            key("uri_size", &Limits::uri_size, size_bytes(16, 16ULL << 20), "Of a request's target; more gets 414."),
            key("header_count", &Limits::header_count, integer<std::uint64_t>(1, 100'000),
                "Header fields of a request; more gets 431."),
        });
    return section;
}

const SectionOf<ClientTimeouts>& client_timeouts_section() {
    static const auto section = make_section<ClientTimeouts>(
        {"client_timeouts", "timeouts", "timeouts", "How long a client is waited for."},
        {
            key("header", &ClientTimeouts::header, duration(), "From a request's first byte to the end of its header."),
            key("idle", &ClientTimeouts::idle, duration(), "From one request to the next (keep-alive)."),
            key("body", &ClientTimeouts::body, duration(), "Between two reads of a request body."),
            key("send", &ClientTimeouts::send, duration(), "A client that takes nothing for this long is cut off."),
            key("min_rate", &ClientTimeouts::min_rate, byte_rate(),
                "Of a body in either direction, over 30 s, tunnels exempt; what is slower is cut off. 0 = off."),
        });
    return section;
}

const SectionOf<Forwarded>& forwarded_section() {
    static const auto section = make_section<Forwarded>(
        {"forwarded", "forwarded", "forwarded", "Proxies in front of this one."},
        {
            key("trust", &Forwarded::trust, list_of(cidr()),
                "Addresses of proxies whose X-Forwarded-For is believed. From others it is replaced."),
        });
    return section;
}

/// json, combined, or a template, which is told by its braces. The placeholders are those of observe/access_log.hpp.
Codec<std::string> access_format() {
    static constexpr std::array<std::string_view, 2> words{"json", "combined"};
    static constexpr std::array<std::string_view, 20> placeholders{
        "time",       "client",         "method",     "host",       "uri",    "protocol",
        "status",     "bytes_received", "bytes_sent", "duration",   "server", "upstream_duration",
        "attempts",   "cache",          "route",      "request_id", "tls",    "reason",
        "user_agent", "referer"};
    return text("json, combined or a template", [](std::string_view format) -> std::optional<base::UnitError> {
        if (format.contains('{')) return check_log_template(format, placeholders);
        if (std::ranges::find(words, format) != words.end()) return std::nullopt;
        return base::UnitError{"unknown format '" + std::string(format) + "'",
                               did_you_mean(format, words, "write json, combined or a template with {placeholders}")};
    });
}

const SectionOf<AccessLog>& access_log_section() {
    static const auto section = make_section<AccessLog>(
        {"access_log", "access", "logging.access", "The access log: one line for each request."},
        {
            key("target", &AccessLog::target, log_target(), "stdout, stderr or a file."),
            key("format", &AccessLog::format, access_format(),
                "`json`, `combined`, or a template such as `{client} {method} {uri} {status}`."),
        });
    return section;
}

const SectionOf<Logging>& logging_section() {
    static const auto section = make_section<Logging>(
        {"logging", "logging", "logging", "What is logged, and where to."},
        {
            key("level", &Logging::level,
                choice<LogLevel>(
                    {LogLevel::trace, LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error, LogLevel::off}),
                "The least severity that is logged."),
            key("target", &Logging::target, log_target(), "stderr, stdout or a file."),
            key("access", &Logging::access, optional_of(nested(access_log_section())), "The access log.")
                .default_is("none"),
        });
    return section;
}

const SectionOf<Shutdown>& shutdown_section() {
    static const auto section =
        make_section<Shutdown>({"shutdown", "shutdown", "shutdown", "How the daemon stops."},
                               {
                                   key("drain_timeout", &Shutdown::drain_timeout, duration(0ms),
                                       "How long requests in flight may take to finish after SIGTERM. Then WebSocket "
                                       "clients are told to connect anew (close code 1001), and the rest is cut off."),
                               });
    return section;
}

/// Followed before the table is asked (include.cpp), and so gone from the effective configuration.
KeyOf<Config> include_key() {
    auto made = computed_key<Config, std::vector<std::string>>(
        "include", list_of(printable_text("a pattern of files")),
        [](const Config&) { return std::vector<std::string>(); }, [](Config&, const std::vector<std::string>&) {},
        "Files to read too, such as conf.d/*.yaml, relative to this file. Maps merge, lists append.");
    made.write = [](const void*) { return Node{}; };
    return made;
}

}  // namespace

const Section& root_section() {
    static const auto section = make_section<Config>(
        {"configuration", "the configuration", "", "The top level of the file."},
        {
            include_key(),
            key("workers", &Config::workers, worker_count(), "Event-loop threads. auto = one for each usable CPU."),
            key("listeners", &Config::listeners, list_of(nested(listener_section()), 1), "Where clients connect.")
                .required_as("[{address: 0.0.0.0:80}]"),
            key("pools", &Config::pools, named(nested(pool_section()), check_name), "The servers.")
                .required_as("{nsboot: {servers: [nsboot-1:80]}}"),
            key("routes", &Config::routes, list_of(nested(route_section()), 1), "Which request goes where.")
                .required_as("[{pool: nsboot}]"),
            later_key<Config>("rate_limits", "Named rate limits."),
            later_key<Config>("caches", "Named caches."),
            key("admin", &Config::admin, optional_of(nested(admin_section())), "Metrics, health, dashboard and API.")
                .default_is("none: no admin listener"),
            key("limits", &Config::limits, nested(limits_section()), "What clients may use."),
            key("timeouts", &Config::timeouts, nested(client_timeouts_section()), "How long a client is waited for."),
            key("forwarded", &Config::forwarded, nested(forwarded_section()), "Proxies in front of this one."),
            key("logging", &Config::logging, nested(logging_section()), "What is logged, and where to."),
            key("shutdown", &Config::shutdown, nested(shutdown_section()), "How the daemon stops."),
        },
        [](const Node&, Config& config, Reader&) {
            for (std::size_t i = 0; i < config.routes.size(); ++i)
                if (config.routes[i].name.empty()) config.routes[i].name = "route-" + std::to_string(i + 1);
        });
    return section;
}

}  // namespace nsboot_lb::config
