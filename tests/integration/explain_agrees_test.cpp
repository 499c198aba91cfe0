/// What `nsboot-lb explain` says is what the running daemon does: the same requests to both, and the same route, server
/// and status out of both. The server decides by a hash where the two could differ otherwise.
#include <random>
#include <regex>
#include <set>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

#include "client.hpp"
#include "daemon.hpp"
#include "origin.hpp"
#include "process.hpp"
#include "wire.hpp"

namespace nsboot_lb::test {
namespace {

constexpr const char* config = R"yaml(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  hashed:
    balance: ip-hash
    servers: [{address: $a, name: s1}, {address: $b, name: s2}, {address: $c, name: s3}]
  paths:
    balance: uri-hash
    servers: [{address: $a, name: s1}, {address: $b, name: s2}, {address: $c, name: s3, weight: 2}]
  sticky:
    balance: cookie-sticky
    cookie: {fallback: ip-hash}
    servers: [{address: $a, name: s1}, {address: $b, name: s2}]
  resting: {servers: [{address: $a, name: s1, weight: 0}]}
routes:
  - {name: moved, match: {path_prefix: /old}, redirect: {to: "https://{host}{uri}", status: 308}}
  - {name: fixed, match: {path: [/fixed, /same]}, respond: {status: 404, body: nothing}}
  - {name: inside, match: {path_prefix: /inside}, pool: hashed, allow: [127.0.8.0/24], deny: [127.0.8.7/32]}
  - {name: small, match: {path_prefix: /small, method: [PUT, POST]}, pool: paths, max_body: 10}
  - {name: role, match: {header: {X-Role: {regex: "(admin|root)"
}
}
}
, pool : paths
}
  - {name: host, match: {host: ["*.boot.example", boot.example], path_glob: "/b/*.ipxe"}, pool: paths}
  - {name: socket, match: {websocket: true}, pool: hashed}
  - {name: stuck, match: {path_regex: "/s[0-9]+"}, pool: sticky, rewrite: {add_prefix: /new}}
  - {name: nobody, match: {path_prefix: /nobody}, pool: resting}
  - {name: clients, match: {client: [127.0.9.0/24]}, pool: hashed}
  - {name: images, match: {path_prefix: [/images, /boot]}, pool: paths}
logging: {access: {target: stdout, format: json}}
)yaml";

struct Asked {
    std::string method;
    std::string path;
    std::string host;
    std::string client;
    std::vector<std::string> fields;
    std::string body;

    std::string text() const {
        std::string head = method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n";
        for (const auto& field : fields) head += field + "\r\n";
        return head + "\r\n" + body;
    }
};

struct Outcome {
    std::string route;
    std::string server;
    int status = 0;
    bool operator==(const Outcome&) const = default;
    friend void PrintTo(const Outcome& outcome, std::ostream* out) {
        *out << outcome.route << ' ' << outcome.server << ' ' << outcome.status;
    }
};

/// Every combination that matters comes up sooner or later.
class Requests {
  public:
    Asked next() {
        Asked asked;
        asked.method = any({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"});
        asked.path = any({"/old/x?y=1", "/fixed", "/same", "/inside/a", "/inside", "/small/1", "/small", "/b/x.ipxe",
                          "/b/x/y.ipxe", "/s12", "/s12x", "/nobody", "/images/a", "/images/%62", "/boot/../fixed",
                          "//fixed", "/boot/k?size=1", "/", "/none"});
        asked.host = any({"boot.example", "a.boot.example", "other.example", "BOOT.example:80"});
        asked.client = "127.0." + std::to_string(7 + draw(3)) + "." + std::to_string(1 + draw(20));
        if (draw(4) == 0) asked.fields.push_back("X-Role: " + any({"admin", "root", "guest"}));
        if (draw(6) == 0) asked.fields.push_back("Cookie: nsboot-session=" + any({"forged", ""}));
        if (asked.method == "PUT" || asked.method == "POST") {
            asked.body.assign(draw(2) == 0 ? 5 : 15, 'x');
            asked.fields.push_back("Content-Length: " + std::to_string(asked.body.size()));
        }
        return asked;
    }

  private:
    std::size_t draw(std::size_t below) { return std::uniform_int_distribution<std::size_t>{0, below - 1}(random_); }
    std::string any(std::vector<std::string> words) { return words[draw(words.size())]; }
    std::mt19937 random_{20};  // the same requests each time
};

/// What the access log says of the first `count` requests, in their order: there is one worker, and one after the other
/// they came.
std::vector<Outcome> logged(const Daemon& daemon, std::size_t count) {
    std::vector<Outcome> all;
    for (std::size_t from = 0; all.size() < count; from = daemon.output().find('\n', from) + 1) {
        const auto line = boost::json::parse(daemon.await_output("\n", from)).as_object();
        all.push_back({std::string{line.at("route").as_string()}, std::string{line.at("server").as_string()},
                       static_cast<int>(line.at("status").as_int64())});
    }
    return all;
}

std::string after(const std::string& text, const std::string& mark) {
    std::smatch found;
    return std::regex_search(text, found, std::regex{"(?:^|\n)" + mark + ": ([^\n]*)"}) ? found[1].str() : "";
}

/// A request that explain passes on is answered by the origins, which say 200.
Outcome explained(const Daemon& daemon, const Asked& asked) {
    std::vector<std::string> arguments{daemon_binary(), "explain",    asked.method, "http://" + asked.host + asked.path,
                                       "--from",        asked.client, "--config",   daemon.config_file().string()};
    for (const auto& field : asked.fields) arguments.insert(arguments.end(), {"-H", field});
    const auto completed = run(arguments);
    if (completed.status != 0) throw Failure("explain failed: " + completed.error);
    const auto answer = after(completed.output, "answer");
    auto route = after(completed.output, "route");
    if (route.empty()) route = "none";
    return {route, after(completed.output, "server"), answer.empty() ? 200 : std::stoi(answer)};
}

TEST(Explain, SaysWhatTheDaemonDoes) {
    Origin a;
    Origin b;
    Origin c;
    const Daemon daemon{config, {{"$a", a.address()}, {"$b", b.address()}, {"$c", c.address()}}};
    Requests requests;
    std::vector<Asked> asked;
    for (int i = 0; i < 150; ++i) {
        asked.push_back(requests.next());
        Client client = daemon.connect(asked.back().client);
        client.send(asked.back().text());
        ASSERT_NE((asked.back().method == "HEAD" ? client.response_to_head() : client.response()).status(), 0);
    }
    const auto done = logged(daemon, asked.size());
    std::set<std::string> routes;
    std::set<int> statuses;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        SCOPED_TRACE(escaped(asked[i].text()) + " from " + asked[i].client);
        ASSERT_EQ(explained(daemon, asked[i]), done[i]);
        routes.insert(done[i].route);
        statuses.insert(done[i].status);
    }
    // The requests did reach what there is to be explained.
    EXPECT_GE(routes.size(), 10U) << testing::PrintToString(routes);
    EXPECT_GE(statuses.size(), 6U) << testing::PrintToString(statuses);
}

}  // namespace
}  // namespace nsboot_lb::test
