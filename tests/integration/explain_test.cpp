/// What `nsboot-lb explain` says is what the daemon does: for many requests on a configuration with many routes, the
/// route, the server, the status, and every byte of the head that the server gets. And its command line.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "address.hpp"
#include "daemon.hpp"
#include "origin.hpp"
#include "process.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

#ifdef NSBOOT_LB_SANITIZE
constexpr int request_count = 60;
#else
constexpr int request_count = 250;
#endif

struct Asked {
    std::string method = "GET";
    std::string host = "a.example.com";
    std::string target = "/";
    std::string from = "127.0.0.1";
    std::vector<std::string> headers{};
    std::string body{};  ///< sent only if a Content-Length or chunked coding announces it

    std::string text() const {
        std::string text = method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n";
        for (const auto& header : headers) text += header + "\r\n";
        return text + "\r\n" + body;
    }
    /// As a user would write it.
    std::vector<std::string> arguments() const {
        std::vector<std::string> words{method, "http://" + host + target, "--from", from};
        for (const auto& header : headers) words.insert(words.end(), {"-H", header});
        return words;
    }
};

/// What explain said, or what the daemon did.
struct Outcome {
    std::string route;
    std::string server;
    int status = 0;    ///< of the daemon's own answer; 0: a server's
    std::string head;  ///< that the server gets

    bool operator==(const Outcome&) const = default;
};

void PrintTo(const Outcome& outcome, std::ostream* out) {
    *out << "route " << outcome.route << ", server " << outcome.server << ", status " << outcome.status << "\n"
         << outcome.head;
}

std::string explained_text(const std::string& file, const Asked& asked) {
    std::vector<std::string> arguments{daemon_binary(), "--config", file, "explain"};
    std::ranges::copy(asked.arguments(), std::back_inserter(arguments));
    const auto completed = run(arguments);
    EXPECT_EQ(completed.status, 0) << completed.error << asked.text();
    return completed.output;
}

Outcome explained(const std::string& text) {
    Outcome outcome;
    std::istringstream lines(text);
    bool in_head = false;
    for (std::string line; std::getline(lines, line);) {
        const auto value = [&](std::string_view word) -> std::optional<std::string> {
            if (!line.starts_with(word)) return std::nullopt;
            return line.substr(word.size());
        };
        if (const auto detail = value("  "); detail && in_head) outcome.head += *detail + "\r\n";
        if (line.starts_with("  ")) continue;
        in_head = line == "request to the server:";
        if (const auto route = value("route: ")) outcome.route = *route;
        if (const auto server = value("server: ")) outcome.server = *server;
        if (const auto status = value("answer: ")) outcome.status = std::stoi(*status);
    }
    return outcome;
}

/// Routes of every kind. Pools of several servers go by what a request says, so that no pick depends on those before.
constexpr const char* many_routes = R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0"}
pools:
  clients:
    balance: ip-hash
    servers: [{name: c1, address: "$o1", weight: 2}, {name: c2, address: "$o2"}, {name: c3, address: "$o3"}]
  paths:
    balance: uri-hash
    servers: [{name: p1, address: "$o1"}, {name: p2, address: "$o2"}, {name: p3, address: "$o3", weight: 3}]
  sessions:
    balance: cookie-sticky
    cookie: {name: sid, fallback: ip-hash}
    servers: [{name: s1, address: "$o1"}, {name: s2, address: "$o2"}, {name: s3, address: "$o3", weight: 0}]
  one: {servers: [{name: o1, address: "$o1"}, {name: spare, address: "$o2", backup: true}]}
  drained: {servers: [{name: d1, address: "$o1", weight: 0}]}
routes:
  - {name: exact, match: {path: [/exact, "/b/exact"]}, pool: one}
  - {name: exact-post, match: {path: /form, method: [POST, PUT]}, pool: one, max_body: 10B}
  - {name: role, match: {header: {X-Role: admin}, path_prefix: /b}, pool: clients}
  - {name: role-regex, match: {header: {X-Role: {regex: "op.*"}}}, pool: paths, balance: ip-hash}
  - {name: no-agent, match: {header: {X-Agent: {present: false}}, path_prefix: /agent}, respond: {status: 403, body: "who?"}}
  - {name: ws, match: {path_prefix: /ws, websocket: true}, pool: sessions}
  - {name: no-ws, match: {path_prefix: /ws}, respond: {status: 426}}
  - {name: inner, match: {host: inner.example.com}, pool: clients, allow: [127.0.0.0/30]}
  - {name: below, match: {host: "*.inner.example.com", path_prefix: /b}, redirect: {to: "https://{host}{uri}", status: 301}}
  - {name: near, match: {client: [127.0.0.2, 127.0.0.4/31], path_prefix: /near}, pool: paths}
  - {name: glob, match: {path_glob: "/g/*/x"}, pool: paths, rewrite: {strip_prefix: /g}}
  - {name: deep-glob, match: {path_glob: "/g/**"}, pool: one, rewrite: {add_prefix: /deep}}
  - {name: regex, match: {path_regex: "/r[0-9]+(/.*)?", method: GET}, pool: clients}
  - {name: secret, match: {path_prefix: /secret}, pool: one, basic_auth: {file: $users}}
  - {name: drained, match: {path_prefix: /drained}, pool: drained}
  - {name: old, match: {path_prefix: /old}, redirect: {to: "/new{path}?{query}"}}
  - {name: sticky, match: {path_prefix: /app}, pool: sessions, deny: [127.0.0.3]}
  - name: changed
    match: {path_prefix: /changed}
    pool: paths
    rewrite: {strip_prefix: /changed, add_prefix: /c}
    request_headers:
      set: {X-Client: "{client_ip} {request_id}", Host: "store.internal", X-Forwarded-Proto: https}
      add: {X-Uri: "{scheme}://{host}{uri}"}
      remove: [Cookie, X-Agent]
    response_headers: {set: {X-Seen: "{request_id}"}, remove: [Server]}
  - {name: upload, match: {path_prefix: /up, method: [POST, PUT]}, pool: clients, max_body: 20B, reject_content_type: [text/html]}
  - {name: b, match: {path_prefix: /b}, pool: paths}
forwarded: {trust: [127.0.0.5]}
admin: {address: "127.0.0.1:0"}
logging: {access: {target: $dir/access.log, format: json}}
)";

class Requests {
  public:
    explicit Requests(std::uint32_t seed) : random_(seed) {}

    Asked next(int number) {
        Asked asked;
        asked.method = one_of({"GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD", "get", "OPTIONS", "TRACE"});
        asked.host =
            one_of({"a.example.com", "A.Example.com:8080", "inner.example.com", "x.inner.example.com", "[::1]:80"});
        asked.target = one_of({"/",           "/exact",   "/b/exact",    "/form",  "/b",     "/b/x",
                               "/bx",         "/agent/x", "/ws",         "/ws/x",  "/wsx",   "/near/a",
                               "/g/a/x",      "/g/a/b/x", "/g",          "/r1",    "/r22/x", "/rx",
                               "/secret/%41", "/drained", "/old/x",      "/app/1", "/app/2", "/changed/a",
                               "/changed",    "/up/a",    "/b/../exact", "//b//x", "/%62/x", "/x/../changed/./y",
                               "/a%00b",      "/near%2fb"}) +
                       "?n=" + std::to_string(number);
        asked.from = one_of({"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.9"});
        add_fields(asked);
        add_body(asked);
        return asked;
    }

  private:
    std::string one_of(std::vector<std::string> choices) {
        return choices[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(random_)];
    }
    bool once_in(int times) { return std::uniform_int_distribution<int>(1, times)(random_) == 1; }

    void add_fields(Asked& asked) {
        if (once_in(4)) asked.headers.push_back("X-Role: " + one_of({"admin", "operator", "nobody"}));
        if (once_in(4)) asked.headers.push_back("X-Agent: " + one_of({"boot", ""}));
        if (once_in(3))
            asked.headers.push_back("X-Forwarded-For: " + one_of({"127.0.0.2", "203.0.113.9, 127.0.0.3", "x"}));
        if (once_in(5)) asked.headers.push_back("X-Request-ID: mine");
        if (once_in(5)) asked.headers.push_back("Max-Forwards: " + one_of({"0", "3"}));
        if (once_in(3))
            asked.headers.push_back("Cookie: a=b; sid=" + one_of({session("s1"), session("s2"), session("s3"), "x"}));
        if (once_in(3)) asked.headers.push_back("Authorization: Basic " + one_of({right, wrong}));
        if (asked.target.starts_with("/ws") && once_in(2))
            asked.headers.insert(asked.headers.end(), {"Connection: keep-alive, Upgrade", "Upgrade: websocket"});
        if (once_in(12))
            asked.headers.push_back(one_of({"Expect: more", "Transfer-Encoding: x, chunked", "Connection: X-Role"}));
    }

    void add_body(Asked& asked) {
        if (asked.method != "POST" && asked.method != "PUT") return;
        if (once_in(3)) {
            asked.headers.emplace_back("Transfer-Encoding: chunked");
            asked.body = "5\r\nhello\r\n0\r\n\r\n";
        } else {
            asked.body = std::string(static_cast<std::size_t>(std::uniform_int_distribution<int>(0, 25)(random_)), 'x');
            asked.headers.push_back("Content-Length: " + std::to_string(asked.body.size()));
        }
    }

    /// The cookie's values, which depend on the names of pool and server alone.
    static std::string session(const std::string& server) {
        static const std::map<std::string, std::string> values{{"s1", "6cdc00ac1ac8b045c41f535a3e399194"},
                                                               {"s2", "180071917d6e7201db5f1407659d58bd"},
                                                               {"s3", "731c8cd3de4990681013a283d66bbaf7"}};
        return values.at(server);
    }

    static constexpr const char* right = "b3BlcmF0b3I6Y29ycmVjdCBob3JzZQ==";  // operator:correct horse
    static constexpr const char* wrong = "b3BlcmF0b3I6d3JvbmcgaG9yc2U=";      // operator:wrong horse
    std::mt19937 random_;
};

/// The daemon with its origins, and what has become of each request.
class Site {
  public:
    Site() : users_(directory_.write("users", users)), daemon_(many_routes, substitutions()) {
        for (auto& origin : origins_)
            origin.script([](OriginConnection& connection) {
                const auto request = connection.receive();
                const auto answer = Origin::ok_answer();
                connection.send(request.method() == "HEAD" ? answer.substr(0, answer.find("\r\n\r\n") + 4) : answer);
            });
    }

    std::string config_file() const { return daemon_.config_file().string(); }

    /// Sends it; the status of the answer. What was in flight is over then, or uri-hash would go around its server.
    int send(const Asked& asked) {
        Client client = daemon_.connect(asked.from);
        client.send(asked.text());
        const int status = client.response_head().status();
        daemon_.await_metric("nsboot_lb_upstream_connections_active", {}, 0);
        return status;
    }

    /// By the number in their targets, once all of them are in the access log.
    std::map<int, Outcome> outcomes(std::size_t count) const {
        std::map<int, std::string> heads;
        for (const auto& origin : origins_)
            for (const auto& request : origin.requests()) heads[number_of(request.target())] = request.head;
        std::map<int, Outcome> all;
        for (const auto& line : access_log(count)) {
            const auto record = boost::json::parse(line).as_object();
            const auto text = [&](const char* key) { return std::string(record.at(key).as_string()); };
            const int number = number_of(text("uri"));
            Outcome outcome{.route = text("route"), .server = text("server"), .status = 0, .head = {}};
            if (outcome.server.empty())
                outcome.status = static_cast<int>(record.at("status").as_int64());
            else
                outcome.head = with_names(heads[number], text("request_id"));
            all[number] = std::move(outcome);
        }
        return all;
    }

  private:
    Substitutions substitutions() const {
        return {{"$o1", origins_[0].address()},
                {"$o2", origins_[1].address()},
                {"$o3", origins_[2].address()},
                {"$users", users_.string()}};
    }

    static int number_of(const std::string& target) { return std::stoi(target.substr(target.find("n=") + 2)); }

    std::vector<std::string> access_log(std::size_t count) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        std::vector<std::string> lines;
        while (lines.size() < count) {
            if (std::chrono::steady_clock::now() > deadline) throw Failure("lines are missing in the access log");
            lines.clear();
            std::istringstream text(read_file(daemon_.directory() / "access.log"));
            for (std::string line; std::getline(text, line) && !text.eof();) lines.push_back(line);
        }
        return lines;
    }

    /// What differs from one request and one daemon to the next goes by the names that explain gives it.
    static std::string with_names(std::string head, const std::string& id) {
        static const std::regex made_id("[0-9a-f]{32}");
        static const std::regex pseudonym("nsboot-lb-[0-9a-f]{8}");
        if (std::regex_match(id, made_id)) head = substitute(head, {{id, "{request_id}"}});
        head = std::regex_replace(head, pseudonym, "nsboot-lb-{instance}");
        return head.substr(0, head.size() - 2);
    }

    // "correct horse", made by `openssl passwd -5`.
    static constexpr const char* users = "operator:$5$rounds=1000$salt$qOfjCda6YN/JiGzcA4MkoJaIXdhJzf.qd.KJPQZ7TA/\n";

    TemporaryDirectory directory_;
    std::filesystem::path users_;
    std::array<Origin, 3> origins_;
    Daemon daemon_;
};

TEST(Explain, SaysWhatTheDaemonDoes) {
    Site site;
    Requests requests{5};
    std::map<int, Asked> asked;
    for (int i = 0; i < request_count; ++i) {
        asked[i] = requests.next(i);
        EXPECT_NE(site.send(asked[i]), 0);
    }
    const auto outcomes = site.outcomes(asked.size());
    ASSERT_EQ(outcomes.size(), asked.size());
    std::set<std::string> routes;
    std::set<int> statuses;
    for (const auto& [number, request] : asked) {
        const auto text = explained_text(site.config_file(), request);
        EXPECT_EQ(explained(text), outcomes.at(number)) << request.text() << "from " << request.from << "\n" << text;
        routes.insert(outcomes.at(number).route);
        statuses.insert(outcomes.at(number).status);
    }
    // A test that saw little would show little.
    EXPECT_GE(routes.size(), request_count >= 250 ? 21U : 15U) << testing::PrintToString(routes);
    EXPECT_GE(statuses.size(), request_count >= 250 ? 14U : 8U) << testing::PrintToString(statuses);
}

/// The first request to a fresh daemon of one worker goes where explain says, whatever the policy.
class FirstPick : public testing::TestWithParam<const char*> {};

TEST_P(FirstPick, IsForeseen) {
    const std::array<Origin, 3> origins;
    const Daemon daemon{R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  p:
    balance: $policy
    servers: [{name: a, address: "$a"}, {name: b, address: "$b", weight: 3}, {name: c, address: "$c", weight: 2}]
routes: [{pool: p}]
logging: {access: {target: $dir/access.log, format: "picked {server} for {uri}"}}
)",
                        {{"$policy", GetParam()},
                         {"$a", origins[0].address()},
                         {"$b", origins[1].address()},
                         {"$c", origins[2].address()}}};
    EXPECT_EQ(daemon.connect().exchange(get("/some/where")).status(), 200);
    const auto outcome =
        explained(explained_text(daemon.config_file().string(), {.host = "example.com", .target = "/some/where"}));
    EXPECT_NE(outcome.server, "");
    await_file_contains(daemon.directory() / "access.log", "picked " + outcome.server + " for /some/where\n");
}

INSTANTIATE_TEST_SUITE_P(Explain, FirstPick,
                         testing::Values("round-robin", "weighted", "least-conn", "ip-hash", "cookie-sticky",
                                         "random-two", "uri-hash"),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

Completed run_explain(std::vector<std::string> words) {
    std::vector<std::string> arguments{daemon_binary()};
    std::ranges::move(words, std::back_inserter(arguments));
    return run(std::move(arguments));
}

constexpr const char* smallest =
    "listeners: [{address: \"127.0.0.1:0\"}]\npools: {p: {servers: [\"127.0.0.1:81\"]}}\nroutes: [{pool: p}]\n";

TEST(ExplainCommand, TakesItsOptionsInAnyOrder) {
    const TemporaryDirectory directory;
    const auto file = directory.write("c.yaml", smallest).string();
    const auto wanted = run_explain({"--config", file, "explain", "GET", "/", "-H", "Host: a", "--from", "10.0.0.1"});
    EXPECT_EQ(wanted.status, 0) << wanted.error;
    EXPECT_THAT(wanted.output, AllOf(HasSubstr("\n  client 10.0.0.1\n"), HasSubstr("\n  Host: a\n")));
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"explain", "GET", "/", "--from", "10.0.0.1", "-H", "Host: a", "-c", file},
          {"explain", "--header", "Host: a", "--from=10.0.0.1", "GET", "/", "--config=" + file},
          {"-c", file, "explain", "-H", "Host: a", "--from", "10.0.0.1", "--", "GET", "/"}}) {
        const auto completed = run_explain(words);
        EXPECT_EQ(completed.status, 0) << completed.error;
        EXPECT_EQ(completed.output, wanted.output);
    }
}

TEST(ExplainCommand, NeedsAMethodAndAUrl) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"explain"},
                                                  {"explain", "GET"},
                                                  {"explain", "GET", "/", "/more"},
                                                  {"explain", "GET", "/", "--from"},
                                                  {"explain", "GET", "/", "--no-such-option"},
                                                  {"--check", "explain", "GET", "/"},
                                                  {"explain", "GET", "/", "--print-config"}}) {
        const auto completed = run_explain(words);
        EXPECT_GT(completed.status, 1) << testing::PrintToString(words);
        EXPECT_EQ(completed.output, "");
        EXPECT_THAT(completed.error, HasSubstr("Run with --help for more information."));
    }
}

TEST(ExplainCommand, IsInTheHelp) {
    const auto general = run_explain({"--help"});
    EXPECT_EQ(general.status, 0);
    EXPECT_THAT(general.output, HasSubstr("explain"));
    const auto own = run_explain({"explain", "--help"});
    EXPECT_EQ(own.status, 0);
    EXPECT_THAT(own.output, AllOf(HasSubstr("METHOD"), HasSubstr("URL"), HasSubstr("--from"), HasSubstr("--header"),
                                  HasSubstr("--config")));
}

TEST(ExplainCommand, BindsNothingAndAsksNobody) {
    const Origin taken;
    const TemporaryDirectory directory;
    const auto file =
        directory.write("c.yaml", "listeners: [{address: \"" + taken.address() + "\"}]\npools: {p: {servers: [\"" +
                                      taken.address() + "\"], health_check: {}}}\nroutes: [{pool: p}]\n");
    const auto completed = run_explain({"-c", file.string(), "explain", "GET", "/"});
    EXPECT_EQ(completed.status, 0) << completed.error;
    EXPECT_THAT(completed.output, HasSubstr("server: " + taken.address()));
    EXPECT_EQ(taken.connections(), 0);
}

/// What loads can be started: all that a start makes of a configuration, explain makes too.
TEST(ExplainCommand, KnowsEveryConfigurationThatLoads) {
    const auto directory = std::filesystem::path(NSBOOT_LB_SOURCE_DIR) / "tests/golden/config/ok";
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.path().extension() != ".yaml") continue;
        ++files;
        const auto completed =
            run({daemon_binary(), "explain", "GET", "http://a.example.com/x", "-c", entry.path().string()},
                {"NSBOOT_LB_TEST_SERVER=127.0.0.1", "NSBOOT_LB_TEST_SIZE=12", "NSBOOT_LB_TEST_EMPTY="});
        EXPECT_EQ(completed.status, 0) << entry.path() << "\n" << completed.error;
        EXPECT_THAT(completed.output, HasSubstr("\nroute: "));
    }
    EXPECT_GE(files, 20U);
}

}  // namespace
}  // namespace nsboot_lb::test
