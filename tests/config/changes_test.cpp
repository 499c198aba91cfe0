#include "nsboot_lb/config/changes.hpp"

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsboot_lb/config/load.hpp"
#include "schema.hpp"
#include "yaml.hpp"

namespace nsboot_lb::config {

void PrintTo(const Change& change, std::ostream* out) {
    *out << to_string(change.kind) << " " << change.key << " from=" << change.from << " to=" << change.to;
}

namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

/// What each test changes something of; every section that may be absent is there.
constexpr auto base_text = R"(
workers: 2
listeners:
  - {name: front, address: "127.0.0.1:1"}
pools:
  p:
    servers:
      - {name: a, address: "127.0.0.1:81"}
      - {name: b, address: "127.0.0.1:82"}
    health_check: {path: /health}
  q: {servers: ["127.0.0.1:83"]}
routes:
  - name: r
    match: {path: /a, header: {X-A: {regex: a}, X-B: {present: true}}}
    pool: p
    basic_auth: {file: /etc/users}
    bandwidth: {per_client: 2MiB/s, total: 2MiB/s}
    rewrite: {strip_prefix: /a/b, add_prefix: /c}
    request_headers: {set: {X-S: s}, add: {X-T: t}}
    response_headers: {remove: [X-R]}
    timeouts: {connect: 1s, response: 1s, idle: 1s, tunnel_idle: 1s, queue: 1s}
  - {name: g, match: {path_glob: "/g/*"}, pool: q}
  - {name: e, match: {path_regex: "/e.*"}, pool: q}
  - {name: x, match: {path_prefix: /x}, pool: q}
  - {name: away, match: {path: /away}, redirect: {to: "https://{host}/"}}
  - {name: own, match: {path: /own}, respond: {status: 200}}
admin: {address: "127.0.0.1:3"}
logging: {access: {format: json}}
)";

Node tree_of(const std::string& text) {
    Problems problems;
    Budget budget;
    auto root = parse_yaml(text, problems.add_file("t.yaml"), budget, problems);
    EXPECT_EQ(problems.error_count(), 0U) << text;
    return root;
}

Config loaded(const std::string& text) {
    auto result = load_text(text, "t.yaml", {.touch_files = false});
    EXPECT_TRUE(result.ok()) << text << (result.problems.empty() ? "" : result.problems.front().text());
    return result.ok() ? std::move(*result.config) : Config{};
}

/// The base with one value put in: `path` leads there, members of lists by their number.
Config with(const std::string& path, const std::string& value) {
    auto root = tree_of(base_text);
    auto* node = &root;
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find('.', at), path.size());
        const auto name = path.substr(at, end - at);
        at = end + 1;
        if (node->is_sequence()) {
            node = &node->items.at(std::stoul(name));
            continue;
        }
        if (node->find(name) == nullptr) node->set(name, Node::map());
        node = node->find(name);
    }
    *node = *tree_of("v: " + value).find("v");
    return loaded(to_yaml(root));
}

/// A key of the table, where it stands in the base, another value for it, and how its change is called.
struct Case {
    std::string key;  ///< "section.key", the section by its name in the table
    std::string path;
    std::string value;
    std::string named;  ///< empty: as `path`
};

void PrintTo(const Case& one, std::ostream* out) {
    *out << one.key;
}

const std::vector<Case> cases{
    {"configuration.workers", "workers", "3", ""},
    {"listener.name", "listeners.0.name", "back", "listeners.back"},
    {"listener.address", "listeners.0.address", "['127.0.0.1:1', '127.0.0.1:2']", "listeners.front.address"},
    {"listener.proxy_protocol", "listeners.0.proxy_protocol", "[10.0.0.0/8]", "listeners.front.proxy_protocol"},
    {"pool.balance", "pools.p.balance", "ip-hash", ""},
    {"pool.resolve_interval", "pools.p.resolve_interval", "31s", ""},
    {"pool.slow_start", "pools.p.slow_start", "1s", ""},
    {"pool.queue_size", "pools.p.queue_size", "7", ""},
    {"server.address", "pools.p.servers.0.address", "127.0.0.1:91", "pools.p.servers.a.address"},
    {"server.name", "pools.p.servers.0.name", "c", "pools.p.servers.c"},
    {"server.weight", "pools.p.servers.0.weight", "3", "pools.p.servers.a.weight"},
    {"server.max_connections", "pools.p.servers.1.max_connections", "3", "pools.p.servers.b.max_connections"},
    {"server.backup", "pools.p.servers.1.backup", "true", "pools.p.servers.b.backup"},
    {"cookie.name", "pools.p.cookie.name", "c", ""},
    {"cookie.max_age", "pools.p.cookie.max_age", "1h", ""},
    {"cookie.domain", "pools.p.cookie.domain", "example.com", ""},
    {"cookie.path", "pools.p.cookie.path", "/a", ""},
    {"cookie.secure", "pools.p.cookie.secure", "true", ""},
    {"cookie.http_only", "pools.p.cookie.http_only", "false", ""},
    {"cookie.same_site", "pools.p.cookie.same_site", "strict", ""},
    {"cookie.key_file", "pools.p.cookie.key_file", "/etc/key", ""},
    {"cookie.fallback", "pools.p.cookie.fallback", "ip-hash", ""},
    {"health_check.path", "pools.p.health_check.path", "/up", ""},
    {"health_check.type", "pools.p.health_check.type", "tcp", ""},
    {"health_check.method", "pools.p.health_check.method", "HEAD", ""},
    {"health_check.host", "pools.p.health_check.host", "example.com", ""},
    {"health_check.interval", "pools.p.health_check.interval", "4s", ""},
    {"health_check.timeout", "pools.p.health_check.timeout", "2s", ""},
    {"health_check.rise", "pools.p.health_check.rise", "4", ""},
    {"health_check.fall", "pools.p.health_check.fall", "4", ""},
    {"health_check.expect_status", "pools.p.health_check.expect_status", "[200, 204]", ""},
    {"health_check.expect_body", "pools.p.health_check.expect_body", "well", ""},
    {"health_check.port", "pools.p.health_check.port", "8080", ""},
    {"passive_health.max_fails", "pools.p.passive_health.max_fails", "4", ""},
    {"passive_health.fail_timeout", "pools.p.passive_health.fail_timeout", "4s", ""},
    {"keepalive.max_idle", "pools.p.keepalive.max_idle", "4", ""},
    {"keepalive.idle_timeout", "pools.p.keepalive.idle_timeout", "4s", ""},
    {"keepalive.max_requests", "pools.p.keepalive.max_requests", "4", ""},
    {"keepalive.max_lifetime", "pools.p.keepalive.max_lifetime", "4s", ""},
    {"pool_timeouts.connect", "pools.p.timeouts.connect", "7s", ""},
    {"pool_timeouts.response", "pools.p.timeouts.response", "7s", ""},
    {"pool_timeouts.idle", "pools.p.timeouts.idle", "7s", ""},
    {"pool_timeouts.tunnel_idle", "pools.p.timeouts.tunnel_idle", "7s", ""},
    {"pool_timeouts.queue", "pools.p.timeouts.queue", "7s", ""},
    {"retries.attempts", "pools.p.retries.attempts", "7", ""},
    {"retries.on", "pools.p.retries.on", "[reset]", ""},
    {"retries.budget", "pools.p.retries.budget", "7.25%", ""},
    {"route.name", "routes.0.name", "s", "routes.s"},
    {"route.pool", "routes.0.pool", "q", "routes.r.pool"},
    {"route.balance", "routes.0.balance", "ip-hash", "routes.r.balance"},
    {"route.allow", "routes.0.allow", "[10.0.0.0/8]", "routes.r.allow"},
    {"route.deny", "routes.0.deny", "[10.0.0.0/8]", "routes.r.deny"},
    {"route.max_body", "routes.0.max_body", "1KiB", "routes.r.max_body"},
    {"route.reject_content_type", "routes.0.reject_content_type", "[text/html]", "routes.r.reject_content_type"},
    {"match.host", "routes.0.match.host", "[a.example]", "routes.r.match.host"},
    {"match.path", "routes.0.match.path", "/b", "routes.r.match.path"},
    {"match.path_glob", "routes.1.match.path_glob", "'/h/*'", "routes.g.match.path_glob"},
    {"match.path_regex", "routes.2.match.path_regex", "'/f.*'", "routes.e.match.path_regex"},
    {"match.path_prefix", "routes.3.match.path_prefix", "/y", "routes.x.match.path_prefix"},
    {"match.method", "routes.0.match.method", "[GET]", "routes.r.match.method"},
    {"match.header", "routes.0.match.header.X-C", "c", "routes.r.match.header.X-C"},
    {"match.websocket", "routes.0.match.websocket", "true", "routes.r.match.websocket"},
    {"match.client", "routes.0.match.client", "[10.0.0.0/8]", "routes.r.match.client"},
    {"header_condition.regex", "routes.0.match.header.X-A.regex", "b", "routes.r.match.header.X-A.regex"},
    {"header_condition.present", "routes.0.match.header.X-B.present", "false", "routes.r.match.header.X-B.present"},
    {"redirect.to", "routes.4.redirect.to", "https://b/", "routes.away.redirect.to"},
    {"redirect.status", "routes.4.redirect.status", "301", "routes.away.redirect.status"},
    {"respond.status", "routes.5.respond.status", "201", "routes.own.respond.status"},
    {"respond.body", "routes.5.respond.body", "b", "routes.own.respond.body"},
    {"respond.headers", "routes.5.respond.headers", "{X-A: b}", "routes.own.respond.headers"},
    {"bandwidth.per_client", "routes.0.bandwidth.per_client", "1MiB/s", "routes.r.bandwidth.per_client"},
    {"bandwidth.total", "routes.0.bandwidth.total", "1MiB/s", "routes.r.bandwidth.total"},
    {"basic_auth.file", "routes.0.basic_auth.file", "/etc/others", "routes.r.basic_auth.file"},
    {"basic_auth.realm", "routes.0.basic_auth.realm", "b", "routes.r.basic_auth.realm"},
    {"rewrite.strip_prefix", "routes.0.rewrite.strip_prefix", "/a", "routes.r.rewrite.strip_prefix"},
    {"rewrite.add_prefix", "routes.0.rewrite.add_prefix", "/b", "routes.r.rewrite.add_prefix"},
    {"header_changes.set", "routes.0.request_headers.set", "{X-S: b}", "routes.r.request_headers.set.X-S"},
    {"header_changes.add", "routes.0.request_headers.add", "{X-T: b}", "routes.r.request_headers.add.X-T"},
    {"header_changes.remove", "routes.0.response_headers.remove", "[X-A]", "routes.r.response_headers.remove"},
    {"route_timeouts.connect", "routes.0.timeouts.connect", "7s", "routes.r.timeouts.connect"},
    {"route_timeouts.response", "routes.0.timeouts.response", "7s", "routes.r.timeouts.response"},
    {"route_timeouts.idle", "routes.0.timeouts.idle", "7s", "routes.r.timeouts.idle"},
    {"route_timeouts.tunnel_idle", "routes.0.timeouts.tunnel_idle", "7s", "routes.r.timeouts.tunnel_idle"},
    {"route_timeouts.queue", "routes.0.timeouts.queue", "7s", "routes.r.timeouts.queue"},
    {"admin.address", "admin.address", "127.0.0.1:4", ""},
    {"admin.allow", "admin.allow", "[127.0.0.1]", ""},
    {"admin.token_file", "admin.token_file", "/etc/token", ""},
    {"admin.hosts", "admin.hosts", "[lb.example.com]", ""},
    {"limits.connections", "limits.connections", "7", ""},
    {"limits.connections_per_client", "limits.connections_per_client", "7", ""},
    {"limits.header_size", "limits.header_size", "7KiB", ""},
    {"limits.uri_size", "limits.uri_size", "7KiB", ""},
    {"limits.header_count", "limits.header_count", "7", ""},
    {"limits.socket_buffer", "limits.socket_buffer", "70KiB", ""},
    {"client_timeouts.header", "timeouts.header", "7s", ""},
    {"client_timeouts.idle", "timeouts.idle", "7s", ""},
    {"client_timeouts.body", "timeouts.body", "7s", ""},
    {"client_timeouts.send", "timeouts.send", "7s", ""},
    {"client_timeouts.half_closed", "timeouts.half_closed", "7s", ""},
    {"client_timeouts.handshake", "timeouts.handshake", "7s", ""},
    {"client_timeouts.min_rate", "timeouts.min_rate", "7B/s", ""},
    {"forwarded.trust", "forwarded.trust", "[10.0.0.0/8]", ""},
    {"logging.level", "logging.level", "debug", ""},
    {"logging.target", "logging.target", "/var/log/a", ""},
    {"access_log.target", "logging.access.target", "/var/log/b", ""},
    {"access_log.format", "logging.access.format", "combined", ""},
    {"shutdown.drain_timeout", "shutdown.drain_timeout", "7s", ""},
};

/// Keys of one value, or of none: `include` is followed before the table is asked, `protocol` knows one.
const std::set<std::string> unchangeable{"configuration.include", "pool.protocol"};

TEST(Changes, EveryKeyOfTheTableIsTriedBelow) {
    std::set<std::string> tried;
    for (const auto& one : cases) EXPECT_TRUE(tried.insert(one.key).second) << one.key << " is there twice";
    std::set<std::string> known;
    for (const auto* section : all_sections(root_section())) {
        for (const auto& key : section->keys) {
            const auto name = section->name + "." + key.name;
            const bool is_section = key.type.section != nullptr && name != "match.header";  // its keys are tried
            if (!key.later && !is_section && !unchangeable.contains(name)) known.insert(name);
        }
    }
    EXPECT_EQ(tried, known);
}

class EveryKey : public testing::TestWithParam<Case> {};

TEST_P(EveryKey, IsSeenToChange) {
    const auto& one = GetParam();
    const auto before = loaded(base_text);
    const auto after = with(one.path, one.value);
    const auto named = one.named.empty() ? one.path : one.named;
    const auto there = changes(before, after);
    EXPECT_THAT(there, Contains(Field(&Change::key, named)));
    const bool renames = one.key.ends_with(".name") && one.key != "cookie.name";
    EXPECT_EQ(there.size(), renames ? 2U : 1U);

    const auto back = changes(after, before);
    ASSERT_EQ(back.size(), there.size());
    EXPECT_THAT(back, Contains(Field(&Change::key, named)));
    for (const auto& change : there) {
        const auto undone = std::ranges::find(back, change.key, &Change::key);
        ASSERT_NE(undone, back.end());
        EXPECT_EQ(undone->from, change.to);
        EXPECT_EQ(undone->to, change.from);
        EXPECT_EQ(undone->kind == ChangeKind::added, change.kind == ChangeKind::removed);
        EXPECT_EQ(undone->kind == ChangeKind::removed, change.kind == ChangeKind::added);
    }
}

INSTANTIATE_TEST_SUITE_P(Changes, EveryKey, testing::ValuesIn(cases), [](const auto& info) {
    auto name = info.param.key;
    std::ranges::replace(name, '.', '_');
    return name;
});

Change changed(std::string key, std::string from, std::string to) {
    return {ChangeKind::changed, std::move(key), std::move(from), std::move(to)};
}
Change added(std::string key, std::string to = {}) {
    return {ChangeKind::added, std::move(key), {}, std::move(to)};
}
Change removed(std::string key, std::string from = {}) {
    return {ChangeKind::removed, std::move(key), std::move(from), {}};
}

/// What a change of the routes, written as a list in flow style, comes to.
std::vector<Change> route_changes(const std::string& before, const std::string& after) {
    const std::string head = "listeners: [{address: '127.0.0.1:1'}]\npools: {p: {servers: ['127.0.0.1:2']}}\nroutes: ";
    return changes(loaded(head + before + "\n"), loaded(head + after + "\n"));
}

std::vector<Change> server_changes(const std::string& before, const std::string& after) {
    const std::string head = "listeners: [{address: '127.0.0.1:1'}]\nroutes: [{pool: p}]\npools: {p: {servers: ";
    return changes(loaded(head + before + "}}\n"), loaded(head + after + "}}\n"));
}

TEST(Changes, AreNoneBetweenEqualConfigurations) {
    EXPECT_THAT(changes(loaded(base_text), loaded(base_text)), IsEmpty());
    EXPECT_THAT(changes(Config{}, Config{}), IsEmpty());
}

TEST(Changes, SayHowAValueWasAndIs) {
    EXPECT_THAT(server_changes("[{name: a, address: '10.0.0.1:80'}]", "[{name: a, address: '10.0.0.1:80', weight: 3}]"),
                ElementsAre(changed("pools.p.servers.a.weight", "1", "3")));
    EXPECT_THAT(route_changes("[{name: r, pool: p}]", "[{name: r, pool: p, max_body: 1MiB}]"),
                ElementsAre(added("routes.r.max_body", "1MiB")));
    EXPECT_THAT(
        route_changes("[{name: r, pool: p, allow: [10.0.0.0/8]}]", "[{name: r, pool: p, allow: [10.0.0.0/8, '::1']}]"),
        ElementsAre(changed("routes.r.allow", "[10.0.0.0/8]", "[10.0.0.0/8, \"::1\"]")));
}

TEST(Changes, NameMembersThatComeAndGo) {
    EXPECT_THAT(route_changes("[{name: r, pool: p}]", "[{name: l, match: {path: /l}, pool: p}, {name: r, pool: p}]"),
                ElementsAre(added("routes.l")));
    EXPECT_THAT(server_changes("['10.0.0.1:80', '10.0.0.2:80']", "['10.0.0.1:80', '10.0.0.3:80']"),
                ElementsAre(removed("pools.p.servers.10.0.0.2:80"), added("pools.p.servers.10.0.0.3:80")));
}

TEST(Changes, OfASectionThatComesAreOneChange) {
    EXPECT_THAT(route_changes("[{name: r, pool: p}]", "[{name: r, redirect: {to: /x}}]"),
                ElementsAre(removed("routes.r.pool", "p"), added("routes.r.redirect")));
}

TEST(Changes, OfTheOrderAreChangesOfTheList) {
    EXPECT_THAT(route_changes("[{name: a, match: {path: /a}, pool: p}, {name: b, match: {path: /b}, pool: p}]",
                              "[{name: b, match: {path: /b}, pool: p}, {name: n, match: {path: /n}, pool: p}, {name: "
                              "a, match: {path: /a}, pool: p}]"),
                ElementsAre(changed("routes", "[a, b]", "[b, a]"), added("routes.n")));
}

TEST(Changes, TellListenersOnAnyPortApart) {
    const std::string rest = "pools: {p: {servers: ['127.0.0.1:2']}}\nroutes: [{pool: p}]\nlisteners: ";
    const auto one = loaded(rest + "[{address: '127.0.0.1:0'}, {address: '127.0.0.1:0'}]\n");
    const auto other = loaded(rest + "[{address: '127.0.0.1:0'}, {address: '127.0.0.1:0', proxy_protocol: true}]\n");
    EXPECT_THAT(changes(one, other), ElementsAre(changed("listeners.127.0.0.1:0#2.proxy_protocol", "false", "true")));
}

TEST(Changes, DoNotShowCredentials) {
    const auto there = route_changes(
        "[{name: r, pool: p, request_headers: {set: {Authorization: 'Bearer one', X-Role: a, X-Api-Key: k}}}]",
        "[{name: r, pool: p, request_headers: {set: {Authorization: 'Bearer two', X-Role: b}, add: {Cookie: c}}}]");
    EXPECT_THAT(there, ElementsAre(changed("routes.r.request_headers.set.Authorization", "(hidden)", "(hidden)"),
                                   changed("routes.r.request_headers.set.X-Role", "a", "b"),
                                   removed("routes.r.request_headers.set.X-Api-Key", "(hidden)"),
                                   added("routes.r.request_headers.add")));
    EXPECT_THAT(route_changes("[{name: r, pool: p, match: {header: {Authorization: {regex: a}}}}]",
                              "[{name: r, pool: p, match: {header: {Authorization: {regex: b}}}}]"),
                ElementsAre(changed("routes.r.match.header.Authorization.regex", "(hidden)", "(hidden)")));
    // Whoever knows what a route asks for may send it.
    EXPECT_THAT(route_changes("[{name: r, pool: p, match: {header: {X-Role: admin}}}]",
                              "[{name: r, pool: p, match: {header: {X-Role: root}}}]"),
                ElementsAre(changed("routes.r.match.header.X-Role", "(hidden)", "(hidden)")));
}

TEST(PrintForOthers, HidesWhatMayLetSomebodyInAndNothingElse) {
    const std::string routes = R"(
- {name: exact, match: {header: {X-Role: apple, X-Number: "4711"}}, pool: p}
- {name: regex, match: {header: {X-Role: {regex: banana.*}}}, pool: p}
- {name: there, match: {header: {X-Role: {present: false}}}, pool: p}
- name: changing
  request_headers: {set: {X-Api-Key: cherry, Authorization: damson, X-Host: elderberry}, add: {X-Auth: feijoa}}
  respond: {body: grape, headers: {Set-Cookie: hazelnut}}
)";
    const auto config =
        loaded("listeners: [{address: '127.0.0.1:0'}]\npools: {p: {servers: ['127.0.0.1:2']}}\nroutes:" + routes);
    const auto text = print_for_others(config);
    for (const auto* secret : {"apple", "4711", "banana", "cherry", "damson", "feijoa", "hazelnut"})
        EXPECT_EQ(text.find(secret), std::string::npos) << secret << " in\n" << text;
    for (const auto* open : {"elderberry", "grape", "present: false", "X-Role: \"(hidden)\"", "regex: \"(hidden)\""})
        EXPECT_NE(text.find(open), std::string::npos) << open << " not in\n" << text;
    EXPECT_NE(print(config).find("cherry"), std::string::npos) << "the file's owner sees it all";
}

TEST(Changes, CutLongValuesBetweenCharacters) {
    std::string body(max_change_value_bytes - 1, 'x');
    const auto route = [](const std::string& text) { return "[{name: r, respond: {body: '" + text + "'}}]"; };
    const auto there = route_changes(route(body + "é one"), route(body + "é two"));
    EXPECT_THAT(there, ElementsAre(changed("routes.r.respond.body", body + "...", body + "...")));
}

std::vector<Config> good_configurations() {
    std::vector<Config> configurations;
    const auto directory = std::filesystem::path(NSBOOT_LB_SOURCE_DIR) / "tests/golden/config/ok";
    ::setenv("NSBOOT_LB_TEST_SERVER", "nsboot-1", 1);
    ::setenv("NSBOOT_LB_TEST_SIZE", "12", 1);
    ::setenv("NSBOOT_LB_TEST_EMPTY", "", 1);
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() != ".yaml") continue;
        auto result = load(entry.path());
        EXPECT_TRUE(result.ok()) << entry.path();
        if (result.ok()) configurations.push_back(std::move(*result.config));
    }
    return configurations;
}

TEST(Changes, AreThereExactlyWherePrintedConfigurationsDiffer) {
    const auto all = good_configurations();
    ASSERT_GE(all.size(), 20U);
    for (const auto& a : all) {
        for (const auto& b : all) {
            EXPECT_EQ(changes(a, b).empty(), print(a) == print(b)) << print(a) << print(b);
            EXPECT_EQ(changes(a, b).size(), changes(b, a).size());
        }
    }
}

}  // namespace
}  // namespace nsboot_lb::config
