/// Routes from outside: every match and action of CONFIG.md that this version has. How paths and hosts are compared in
/// detail is the business of tests/route; here it is that each key has its effect on the wire.
#include <chrono>

#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

/// Each route answers by its name, so that a test sees which one was taken.
class RouteMatchesTest : public SharedProxy<RouteMatchesTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers: {servers: ["$origin"]}
routes:
  - {match: {host: [shop.example.com, "*.cdn.example.com"]}, respond: {body: host}}
  - {match: {path: [/exact, /other]}, respond: {body: path}}
  - {match: {path_prefix: /prefix}, respond: {body: prefix}}
  - {match: {path_glob: "/images/*.img"}, respond: {body: glob}}
  - {match: {path_regex: "/v[0-9]+/.*"}, respond: {body: regex}}
  - {match: {path: /method, method: [POST, PUT]}, respond: {body: method}}
  - {match: {header: {X-Role: admin}}, respond: {body: header}}
  - {match: {header: {X-Agent: {regex: "curl/.*"}}}, respond: {body: header-regex}}
  - {match: {header: {X-Debug: {present: true}}}, respond: {body: header-present}}
  - {match: {client: [127.0.0.8, 127.0.4.0/24]}, respond: {body: client}}
  - {match: {websocket: true}, respond: {body: websocket}}
  - {match: {path_prefix: /both, method: [GET], host: both.example.com}, respond: {body: both}}
  - {match: {path_prefix: /default}, respond: {body: default}}
)";

  protected:
    static std::string taken(std::string_view request, const std::string& source = "") {
        Client client = daemon().connect(source);
        const Message response = client.exchange(request);
        return response.status() == 200 ? response.body : std::to_string(response.status());
    }
    static std::string with(std::string_view lines) {
        return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string{lines} + "\r\n";
    }
};

TEST_F(RouteMatchesTest, ByHost) {
    EXPECT_EQ(taken(get("/", "shop.example.com")), "host");
    EXPECT_EQ(taken(get("/", "SHOP.Example.com:8080")), "host");
    EXPECT_EQ(taken(get("/", "a.cdn.example.com")), "host");
    EXPECT_EQ(taken(get("/", "cdn.example.com")), "404");
    EXPECT_EQ(taken(get("/", "xshop.example.com")), "404");
}

TEST_F(RouteMatchesTest, ByPath) {
    EXPECT_EQ(taken(get("/exact")), "path");
    EXPECT_EQ(taken(get("/other?query")), "path");
    EXPECT_EQ(taken(get("/exact/x")), "404");
    EXPECT_EQ(taken(get("/prefix")), "prefix");
    EXPECT_EQ(taken(get("/prefix/x/y?z")), "prefix");
    EXPECT_EQ(taken(get("/prefixed")), "404");
    EXPECT_EQ(taken(get("/images/a.img")), "glob");
    EXPECT_EQ(taken(get("/images/a/b.img")), "404");
    EXPECT_EQ(taken(get("/v12/x")), "regex");
    EXPECT_EQ(taken(get("/a/v12/x")), "404");
}

TEST_F(RouteMatchesTest, ByMethod) {
    EXPECT_EQ(taken("PUT /method HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), "method");
    EXPECT_EQ(taken("POST /method HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), "method");
    EXPECT_EQ(taken(get("/method")), "404");
}

TEST_F(RouteMatchesTest, ByHeader) {
    EXPECT_EQ(taken(with("X-Role: admin\r\n")), "header");
    EXPECT_EQ(taken(with("x-role: admin\r\n")), "header");
    EXPECT_EQ(taken(with("X-Role: administrator\r\n")), "404");
    EXPECT_EQ(taken(with("X-Agent: curl/8.0\r\n")), "header-regex");
    EXPECT_EQ(taken(with("X-Agent: wget\r\n")), "404");
    EXPECT_EQ(taken(with("X-Debug:\r\n")), "header-present");
}

TEST_F(RouteMatchesTest, ByClient) {
    EXPECT_EQ(taken(get("/"), "127.0.0.8"), "client");
    EXPECT_EQ(taken(get("/"), "127.0.4.200"), "client");
    EXPECT_EQ(taken(get("/"), "127.0.0.9"), "404");
}

TEST_F(RouteMatchesTest, ByWebSocket) {
    EXPECT_EQ(taken(with("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n")), "websocket");
    EXPECT_EQ(taken(with("Upgrade: websocket\r\n")), "404");
    EXPECT_EQ(taken(with("Connection: Upgrade\r\nUpgrade: foo\r\n")), "404");
}

TEST_F(RouteMatchesTest, AllThatIsGivenMustHoldAndTheFirstThatMatchesWins) {
    EXPECT_EQ(taken(get("/both/x", "both.example.com")), "both");
    EXPECT_EQ(taken(get("/both/x", "a")), "404");
    EXPECT_EQ(taken("DELETE /both HTTP/1.1\r\nHost: both.example.com\r\n\r\n"), "404");
    EXPECT_EQ(taken(get("/prefix", "shop.example.com")), "host");
    EXPECT_EQ(taken(get("/default")), "default");
}

TEST_F(RouteMatchesTest, NoRouteIsA404WithAShortText) {
    const Message response = exchange(get("/nowhere"));
    EXPECT_EQ(response.status(), 404);
    EXPECT_THAT(response.field("Content-Type"), HasSubstr("text/plain"));
    EXPECT_GT(response.body.size(), 0U);
    EXPECT_LT(response.body.size(), 200U);
}

class RouteActionsTest : public SharedProxy<RouteActionsTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers: {servers: ["$origin"]}
routes:
  - {match: {path_prefix: /redirect}, redirect: {to: "https://{host}{uri}"}}
  - {match: {path_prefix: /moved}, redirect: {to: "{scheme}://new.example.com/a?p={path}&q={query}", status: 301}}
  - {match: {path: /respond}, respond: {status: 202, body: "healthy\n", headers: {Content-Type: text/markdown, X-A: b}}}
  - {match: {path: /empty}, respond: {status: 204}}
  - {match: {path_prefix: /allow}, pool: servers, allow: [127.0.0.1, 127.0.5.0/24], deny: [127.0.5.66]}
  - {match: {path_prefix: /deny}, pool: servers, deny: [127.0.0.66]}
  - {match: {path_prefix: /denied-answer}, respond: {body: no}, deny: [127.0.0.66]}
  - {match: {path_prefix: /old}, pool: servers, rewrite: {strip_prefix: /old, add_prefix: /new}}
  - {match: {path_prefix: /strip}, pool: servers, rewrite: {strip_prefix: /strip}}
  - {match: {path_prefix: /add}, pool: servers, rewrite: {add_prefix: /under}}
  - name: headers
    match: {path_prefix: /headers}
    pool: servers
    request_headers:
      set: {X-Set: "{client_ip} {host} {uri} {scheme} {request_id}", Host: inner.example.com}
      add: {X-Add: two}
      remove: [X-Secret, Cookie]
    response_headers:
      set: {X-Frame-Options: DENY, Server: front, X-Id: "{request_id}"}
      add: {X-More: two}
      remove: [X-Powered-By]
  - {match: {path_prefix: /slow}, pool: servers, bandwidth: {per_client: 100KiB/s}}
  - {match: {path_prefix: /kernels}, pool: servers, reject_content_type: [text/html, application/json]}
  - {match: {path_prefix: /patient}, pool: servers, timeouts: {response: 400ms}}
  - {match: {path_prefix: /limited}, pool: servers, max_body: 10}
)";

  protected:
    static Message from(const std::string& source, std::string_view request) {
        Client client = daemon().connect(source);
        return client.exchange(request);
    }
};

TEST_F(RouteActionsTest, Redirects) {
    const Message plain = exchange(get("/redirect/a%20b?c=d", "shop.example.com:8080"));
    EXPECT_EQ(plain.status(), 308);
    EXPECT_EQ(plain.field("Location"), "https://shop.example.com/redirect/a%20b?c=d");
    const Message moved = exchange(get("/moved/x?y=z"));
    EXPECT_EQ(moved.status(), 301);
    EXPECT_EQ(moved.field("Location"), "http://new.example.com/a?p=/moved/x&q=y=z");
    EXPECT_TRUE(origin().requests().empty());
}

TEST_F(RouteActionsTest, Responds) {
    Client client = connect();
    const Message response = client.exchange(get("/respond"));
    EXPECT_EQ(response.status(), 202);
    EXPECT_EQ(response.body, "healthy\n");
    EXPECT_THAT(response.values("Content-Type"), ElementsAre("text/markdown"));
    EXPECT_EQ(response.field("X-A"), "b");
    EXPECT_EQ(response.field("Content-Length"), "8");
    EXPECT_TRUE(response.has("Date"));

    const Message head = client.exchange("HEAD /respond HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(head.status(), 202);
    EXPECT_EQ(head.field("Content-Length"), "8");
    const Message empty = client.exchange(get("/empty"));
    EXPECT_EQ(empty.status(), 204);
    EXPECT_FALSE(empty.has("Content-Length"));
    EXPECT_EQ(client.exchange(get("/respond")).body, "healthy\n");
}

TEST_F(RouteActionsTest, AnAnswerOfItsOwnReadsTheRequestsBody) {
    Client client = connect();
    EXPECT_EQ(client.exchange("POST /respond HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nGET /x HTTP/1.1\r\n\r\n ")
                  .status(),
              202);
    EXPECT_EQ(client.exchange(get("/respond")).status(), 202);
}

TEST_F(RouteActionsTest, AllowsAndDenies) {
    EXPECT_EQ(from("127.0.0.1", get("/allow")).status(), 200);
    EXPECT_EQ(from("127.0.5.1", get("/allow")).status(), 200);
    EXPECT_EQ(from("127.0.5.66", get("/allow")).status(), 403);
    EXPECT_EQ(from("127.0.0.2", get("/allow")).status(), 403);
    EXPECT_EQ(from("127.0.0.66", get("/deny")).status(), 403);
    EXPECT_EQ(from("127.0.0.67", get("/deny")).status(), 200);
    EXPECT_EQ(from("127.0.0.66", get("/denied-answer")).status(), 403);
    EXPECT_EQ(origin().requests().size(), 3U);
}

TEST_F(RouteActionsTest, RewritesPaths) {
    EXPECT_EQ(exchange(get("/old/a%2Fb?c")).status(), 200);
    EXPECT_EQ(exchange(get("/old?c")).status(), 200);
    EXPECT_EQ(exchange(get("/strip")).status(), 200);
    EXPECT_EQ(exchange(get("/strip/x")).status(), 200);
    EXPECT_EQ(exchange(get("/add/x")).status(), 200);
    std::vector<std::string> targets;
    for (const auto& request : origin().requests()) targets.push_back(request.target());
    EXPECT_THAT(targets, ElementsAre("/new/a%2Fb?c", testing::AnyOf("/new?c", "/new/?c"), "/", "/x", "/under/add/x"));
}

TEST_F(RouteActionsTest, ChangesRequestFields) {
    Client client = daemon().connect("127.0.0.9");
    client.exchange(
        "GET /headers?x HTTP/1.1\r\nHost: outer.example.com:81\r\nX-Set: client\r\nX-Add: one\r\nX-Secret: a\r\n"
        "Cookie: b\r\nx-secret: c\r\nX-Kept: d\r\n\r\n");
    const Message request = origin().await_request();
    EXPECT_THAT(request.values("X-Set"),
                ElementsAre(MatchesRegex("127\\.0\\.0\\.9 outer\\.example\\.com /headers\\?x http [0-9a-zA-Z-]+")));
    EXPECT_TRUE(request.field("X-Set").ends_with(" " + request.field("X-Request-ID")));
    EXPECT_THAT(request.values("X-Add"), ElementsAre("one", "two"));
    EXPECT_THAT(request.values("X-Secret"), IsEmpty());
    EXPECT_THAT(request.values("Cookie"), IsEmpty());
    EXPECT_EQ(request.field("X-Kept"), "d");
    EXPECT_THAT(request.values("Host"), ElementsAre("inner.example.com"));
}

TEST_F(RouteActionsTest, ChangesResponseFields) {
    origin().answer(
        "HTTP/1.1 200 OK\r\nServer: inner\r\nX-More: one\r\nX-Powered-By: x\r\nX-Kept: y\r\nContent-Length: 0\r\n\r\n");
    const Message response = exchange(get("/headers"));
    EXPECT_THAT(response.values("Server"), ElementsAre("front"));
    EXPECT_THAT(response.values("X-Frame-Options"), ElementsAre("DENY"));
    EXPECT_THAT(response.values("X-More"), ElementsAre("one", "two"));
    EXPECT_THAT(response.values("X-Powered-By"), IsEmpty());
    EXPECT_EQ(response.field("X-Kept"), "y");
    EXPECT_EQ(response.field("X-Id"), origin().await_request().field("X-Request-ID"));
}

// A template's value is what the client wrote, which must not become a line of its own.
TEST_F(RouteActionsTest, TemplatesCannotBeUsedToInjectLines) {
    exchange(get("/headers?a%0d%0aX-Evil:%20b"));
    const Message request = origin().await_request();
    EXPECT_FALSE(request.has("X-Evil"));
    EXPECT_THAT(request.field("X-Set"), HasSubstr("%0d%0aX-Evil"));
}

TEST(RouteAuth, BasicAuthenticationLetsUsersInAndTellsOthersToLogIn) {
    const Origin origin;
    const TemporaryDirectory directory;
    // openssl passwd -6 -salt saltsalt secret
    const auto file =
        directory.write("htpasswd",
                        "# "
                        "people\nadmin:$6$saltsalt$"
                        "TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1\n");
    const Daemon daemon{R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  servers: {servers: ["$origin"]}
routes:
  - {pool: servers, basic_auth: {file: $file, realm: Front door}}
)",
                        {{"$origin", origin.address()}, {"$file", file.string()}}};
    const auto with = [](std::string_view authorization) {
        return "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: " + std::string{authorization} + "\r\n\r\n";
    };
    Client client = daemon.connect();

    const Message asked = client.exchange(get("/"));
    EXPECT_EQ(asked.status(), 401);
    EXPECT_THAT(asked.field("WWW-Authenticate"), HasSubstr("Basic realm=\"Front door\""));
    EXPECT_EQ(client.exchange(with("Basic YWRtaW46d3Jvbmc=")).status(), 401);  // admin:wrong
    EXPECT_EQ(client.exchange(with("Basic b3RoZXI6c2VjcmV0")).status(), 401);  // other:secret
    EXPECT_EQ(client.exchange(with("Basic not base64!")).status(), 401);
    EXPECT_EQ(client.exchange(with("Bearer YWRtaW46c2VjcmV0")).status(), 401);
    EXPECT_EQ(client.exchange(with("Basic")).status(), 401);
    EXPECT_TRUE(origin.requests().empty());
    EXPECT_EQ(client.exchange(with("Basic YWRtaW46c2VjcmV0")).status(), 200);  // admin:secret
    EXPECT_EQ(client.exchange(with("basic YWRtaW46c2VjcmV0")).status(), 200);
}

TEST_F(RouteActionsTest, LimitsTheBandwidthOfAResponse) {
    origin().answer("HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n" + std::string(150'000, 'x'));
    const auto began = std::chrono::steady_clock::now();
    const Message response = exchange(get("/slow"));
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_EQ(response.body.size(), 150'000U);
    EXPECT_GE(took, 300ms);  // 1.5 s less whatever burst is granted
    EXPECT_LT(took, 4s);
}

TEST_F(RouteActionsTest, RejectsContentTypes) {
    const auto answer = [](std::string_view type) {
        origin().answer("HTTP/1.1 200 OK\r\nContent-Type: " + std::string{type} + "\r\nContent-Length: 4\r\n\r\nbody");
        return exchange(get("/kernels/vmlinuz"));
    };
    for (const auto* type : {"text/html", "TEXT/HTML; charset=utf-8", "application/json"}) {
        const Message response = answer(type);
        EXPECT_EQ(response.status(), 502) << type;
        EXPECT_NE(response.body, "body");
    }
    EXPECT_EQ(answer("application/octet-stream").body, "body");
    EXPECT_EQ(answer("text/htmlx").body, "body");
    origin().answer("HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nnone");
    const Message missing = exchange(get("/kernels/x"));
    EXPECT_EQ(missing.status(), 404);
    EXPECT_EQ(missing.body, "none");
    origin().answer(Origin::ok_answer());
    EXPECT_EQ(exchange(get("/kernels/x")).body, "ok");
}

TEST_F(RouteActionsTest, OverridesTimeouts) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.await_end();
    });
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(exchange(get("/patient")).status(), 504);
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_GE(took, 350ms);
    EXPECT_LT(took, 3s);
}

TEST_F(RouteActionsTest, LimitsBodies) {
    EXPECT_EQ(exchange("POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world").status(), 413);
    EXPECT_EQ(exchange("POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello worl").status(), 200);
    EXPECT_EQ(origin().requests().size(), 1U);
}

TEST(RouteBalance, ARouteMayBalanceItsPoolInAnotherWay) {
    const Origin one;
    const Origin two;
    const Daemon daemon{R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  pair: {servers: ["$one", "$two"], balance: round-robin}
routes:
  - {match: {path_prefix: /hashed}, pool: pair, balance: ip-hash}
  - {match: {path_prefix: /plain}, pool: pair}
)",
                        {{"$one", one.address()}, {"$two", two.address()}}};
    Client client = daemon.connect();
    for (int i = 0; i < 6; ++i) EXPECT_EQ(client.exchange(get("/hashed")).status(), 200);
    EXPECT_THAT(one.requests().size(), testing::AnyOf(0U, 6U));
    EXPECT_EQ(one.requests().size() + two.requests().size(), 6U);
    const auto before = one.requests().size();
    for (int i = 0; i < 6; ++i) EXPECT_EQ(client.exchange(get("/plain")).status(), 200);
    EXPECT_EQ(one.requests().size(), before + 3);
}

}  // namespace
}  // namespace nsboot_lb::test
