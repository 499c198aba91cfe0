#include "nsboot_lb/config/load.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <regex>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::config {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr auto minimal = R"(
listeners:
  - address: 0.0.0.0:80
pools:
  nsboot:
    servers: [nsboot-1:80, nsboot-2:80, nsboot-3:80]
routes:
  - pool: nsboot
)";

std::string problems_of(const std::string& text) {
    std::string out;
    for (const auto& problem : load_text(text, "t.yaml").problems) out += problem.text() + "\n";
    return out;
}

/// The configuration of what stands behind the minimal one.
Config loaded(const std::string& text) {
    auto result = load_text(text, "t.yaml");
    EXPECT_EQ(problems_of(text), "");
    return result.ok() ? std::move(*result.config) : Config{};
}

Pool pool_with(const std::string& keys) {
    auto config = loaded(
        "listeners: [{address: 127.0.0.1:0}]\nroutes: [{pool: p}]\npools:\n  p:\n    servers: [a:1, b:2]\n" + keys);
    return config.pools.empty() ? Pool{} : config.pools.front();
}

Route route_with(const std::string& keys) {
    auto config =
        loaded("listeners: [{address: 127.0.0.1:0}]\npools: {p: {servers: [a:1]}}\nroutes:\n  - pool: p\n" + keys);
    return config.routes.empty() ? Route{} : config.routes.front();
}

TEST(Load, TheSmallestFileHasTheDefaultsOfTheContract) {
    const auto config = loaded(minimal);
    EXPECT_EQ(config.workers, 0U);
    ASSERT_EQ(config.listeners.size(), 1U);
    EXPECT_EQ(config.listeners[0].name, "0.0.0.0:80");
    EXPECT_FALSE(config.listeners[0].proxy_protocol.enabled);
    ASSERT_EQ(config.pools.size(), 1U);
    const auto& pool = config.pools[0];
    EXPECT_EQ(pool.name, "nsboot");
    EXPECT_EQ(pool.balance, Policy::least_conn);
    ASSERT_EQ(pool.servers.size(), 3U);
    EXPECT_EQ(pool.servers[1].name, "nsboot-2:80");
    EXPECT_EQ(pool.servers[1].host, "nsboot-2");
    EXPECT_EQ(pool.servers[1].port, 80);
    EXPECT_EQ(pool.servers[1].weight, 1U);
    EXPECT_EQ(pool.servers[1].max_connections, 0U);
    EXPECT_EQ(pool.resolve_interval, 30s);
    EXPECT_FALSE(pool.health_check.has_value());
    EXPECT_EQ(pool.passive_health.max_fails, 3U);
    EXPECT_EQ(pool.passive_health.fail_timeout, 30s);
    EXPECT_EQ(pool.slow_start, 0s);
    EXPECT_EQ(pool.keepalive.max_idle, 32U);
    EXPECT_EQ(pool.keepalive.idle_timeout, 60s);
    EXPECT_EQ(pool.timeouts.connect, 2s);
    EXPECT_EQ(pool.timeouts.response, 60s);
    EXPECT_EQ(pool.timeouts.idle, 60s);
    EXPECT_EQ(pool.timeouts.tunnel_idle, 1h);
    EXPECT_EQ(pool.timeouts.queue, 4s);
    EXPECT_EQ(pool.retries.attempts, 2U);
    EXPECT_TRUE(pool.retries.on_connect_failure);
    EXPECT_TRUE(pool.retries.on_reset);
    EXPECT_THAT(pool.retries.on_status, ElementsAre(502, 503, 504));
    EXPECT_DOUBLE_EQ(pool.retries.budget, 0.2);
    EXPECT_EQ(pool.queue_size, 1024U);
    ASSERT_EQ(config.routes.size(), 1U);
    EXPECT_EQ(config.routes[0].name, "route-1");
    EXPECT_EQ(config.routes[0].pool, "nsboot");
    EXPECT_FALSE(config.admin.has_value());
    EXPECT_EQ(config.limits.connections, 0U);
    EXPECT_EQ(config.limits.header_size, 32U * 1024);
    EXPECT_EQ(config.limits.uri_size, 8U * 1024);
    EXPECT_EQ(config.limits.header_count, 100U);
    EXPECT_EQ(config.limits.socket_buffer, 256U * 1024);
    EXPECT_EQ(config.timeouts.header, 10s);
    EXPECT_EQ(config.timeouts.idle, 75s);
    EXPECT_EQ(config.timeouts.body, 60s);
    EXPECT_EQ(config.timeouts.send, 60s);
    EXPECT_EQ(config.timeouts.half_closed, 1s);
    EXPECT_EQ(config.timeouts.handshake, 10s);
    EXPECT_EQ(config.timeouts.min_rate, 256U);
    EXPECT_THAT(config.forwarded.trust, IsEmpty());
    EXPECT_EQ(config.logging.level, LogLevel::info);
    EXPECT_EQ(config.logging.target, "stderr");
    EXPECT_FALSE(config.logging.access.has_value());
    EXPECT_EQ(config.shutdown.drain_timeout, 30s);
}

TEST(Load, HostsOfTheAdminListenerAreKeptAsTheyCompare) {
    const auto config = loaded(std::string(minimal) + "admin: {address: 127.0.0.1:0, hosts: [LB.example.com., lb]}\n");
    ASSERT_TRUE(config.admin.has_value());
    EXPECT_THAT(config.admin->hosts, ElementsAre("lb.example.com", "lb"));
}

TEST(Load, ZeroNeedsNoUnit) {
    const auto config = loaded(std::string(minimal) + "timeouts: {half_closed: 0}\n");
    EXPECT_EQ(config.timeouts.half_closed, 0s);
}

TEST(Load, SectionsThatAreGivenEmptyHaveTheirDefaults) {
    const auto config = loaded(std::string(minimal) + "admin: {address: 127.0.0.1:0}\nlogging: {access: {}}\n");
    ASSERT_TRUE(config.admin.has_value());
    EXPECT_THAT(config.admin->allow, ElementsAre(base::Cidr::parse("127.0.0.0/8"), base::Cidr::parse("::1")));
    EXPECT_EQ(config.admin->token_file, "");
    EXPECT_THAT(config.admin->hosts, IsEmpty());
    ASSERT_TRUE(config.logging.access.has_value());
    EXPECT_EQ(config.logging.access->target, "stdout");
    EXPECT_EQ(config.logging.access->format, "json");
    const auto pool = pool_with("    health_check: {}\n");
    ASSERT_TRUE(pool.health_check.has_value());
    EXPECT_EQ(pool.health_check->path, "/health");
    EXPECT_EQ(pool.health_check->type, CheckType::http);
    EXPECT_EQ(pool.health_check->interval, 3s);
    EXPECT_EQ(pool.health_check->timeout, 1s);
    EXPECT_THAT(pool.health_check->expect_status, ElementsAre(StatusRange{200, 399}));
}

TEST(Load, EveryPolicyHasItsName) {
    for (const auto policy : policies)
        EXPECT_EQ(pool_with("    balance: " + std::string(to_string(policy)) + "\n").balance, policy);
}

TEST(Load, ListenerAddresses) {
    const auto config = loaded(
        "listeners: [{address: ['127.0.0.1:8080', '[::]:81', 'unix:/tmp/nsboot-lb-load-test.sock']}]\n"
        "pools: {p: {servers: [a:1]}}\nroutes: [{pool: p}]\n");
    ASSERT_EQ(config.listeners.size(), 1U);
    const auto& addresses = config.listeners[0].addresses;
    EXPECT_THAT(addresses, ElementsAre(BindAddress{"127.0.0.1", 8080, ""}, BindAddress{"::", 81, ""},
                                       BindAddress{"", 0, "/tmp/nsboot-lb-load-test.sock"}));
    EXPECT_EQ(addresses[1].text(), "[::]:81");
    EXPECT_EQ(addresses[2].text(), "unix:/tmp/nsboot-lb-load-test.sock");
}

TEST(Load, PoolsKeepTheOrderOfTheFile) {
    const auto config = loaded(
        "listeners: [{address: 127.0.0.1:0}]\npools: {z: {servers: [a:1]}, a: {servers: [a:1]}}\n"
        "routes: [{match: {path: /z}, pool: z}, {pool: a}]\n");
    ASSERT_EQ(config.pools.size(), 2U);
    EXPECT_EQ(config.pools[0].name, "z");
    EXPECT_EQ(config.pools[1].name, "a");
}

TEST(Load, CausesOfRetries) {
    const auto pool = pool_with("    retries: {on: [reset, 429], budget: 7%}\n");
    EXPECT_FALSE(pool.retries.on_connect_failure);
    EXPECT_TRUE(pool.retries.on_reset);
    EXPECT_THAT(pool.retries.on_status, ElementsAre(429));
    EXPECT_DOUBLE_EQ(pool.retries.budget, 0.07);
}

TEST(Load, MatchesKeepKindAndPosition) {
    const auto route = route_with("    match:\n      path_glob:\n        - /boot/*\n      host: A.Example\n");
    ASSERT_EQ(route.match.path.size(), 1U);
    EXPECT_EQ(route.match.path[0].kind, PathMatch::glob);
    EXPECT_EQ(route.match.path[0].text, "/boot/*");
    EXPECT_EQ(route.match.path[0].position.line, 7);
    EXPECT_EQ(route.match.path[0].position.column, 11);
    EXPECT_THAT(route.match.host, ElementsAre("a.example"));
}

TEST(Load, HeaderConditions) {
    const auto route = route_with("    match: {header: {A: x, B: {regex: y}, C: {present: false}}}\n");
    ASSERT_EQ(route.match.header.size(), 3U);
    EXPECT_EQ(route.match.header[0].test, HeaderTest::exact);
    EXPECT_EQ(route.match.header[0].value, "x");
    EXPECT_EQ(route.match.header[1].test, HeaderTest::regex);
    EXPECT_EQ(route.match.header[1].value, "y");
    EXPECT_EQ(route.match.header[2].test, HeaderTest::present);
    EXPECT_FALSE(route.match.header[2].present);
}

TEST(Load, RouteOptions) {
    const auto route = route_with(
        "    max_body: 10GiB\n    balance: ip-hash\n    timeouts: {response: 7d}\n"
        "    bandwidth: {per_client: 50MiB/s}\n    request_headers: {set: {B: '2', A: '1'}, remove: C}\n");
    EXPECT_EQ(route.max_body, 10ULL << 30);
    EXPECT_EQ(route.balance, Policy::ip_hash);
    EXPECT_EQ(route.timeouts.response, Milliseconds(24h * 7));
    EXPECT_FALSE(route.timeouts.connect.has_value());
    EXPECT_EQ(route.bandwidth.per_client, 50U << 20);
    EXPECT_EQ(route.bandwidth.total, 0U);
    EXPECT_THAT(route.request_headers.set, ElementsAre(Pair("B", "2"), Pair("A", "1")));
    EXPECT_THAT(route.request_headers.remove, ElementsAre("C"));
}

TEST(Load, AMissingFileIsAProblem) {
    const auto result = load("/nonexistent/nsboot-lb.yaml");
    EXPECT_FALSE(result.ok());
    ASSERT_EQ(result.problems.size(), 1U);
    EXPECT_EQ(result.problems[0].text(),
              "/nonexistent/nsboot-lb.yaml:1:1: error: cannot read the file: No such file or directory; make it, or "
              "name another with --config");
}

/// A FIFO whose reader would wait for ever.
class Fifo {
  public:
    explicit Fifo(const std::string& name) : path_(testing::TempDir() + name) {
        std::filesystem::remove(path_);
        EXPECT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    }
    Fifo(const Fifo&) = delete;
    Fifo& operator=(const Fifo&) = delete;
    ~Fifo() { std::filesystem::remove(path_); }
    const std::string& path() const { return path_; }
    /// Whoever waits finds the end of the file.
    void release() const {
        const int writer = ::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (writer >= 0) ::close(writer);
    }

  private:
    std::string path_;
};

/// All problems of loading, which must not wait for the FIFO.
std::string problems_with(const Fifo& fifo, const std::function<LoadResult()>& load) {
    auto loading = std::async(std::launch::async, load);
    while (loading.wait_for(10s) != std::future_status::ready) {
        ADD_FAILURE() << "it waits for a writer";
        fifo.release();
    }
    std::string all;
    for (const auto& problem : loading.get().problems) all += problem.text() + "\n";
    return all;
}

TEST(Load, AFileThatIsAFifoIsRefused) {
    const Fifo fifo("nsboot-lb-load.fifo");
    EXPECT_EQ(problems_with(fifo, [&] { return load(fifo.path()); }),
              fifo.path() + ":1:1: error: cannot read the file: it is a FIFO; name a regular file\n");
}

TEST(Load, EveryFileThatIsNamedMustBeARegularOne) {
    const Fifo fifo("nsboot-lb-load.fifo");
    const auto expect = [&](const std::string& text, const std::string& problem) {
        EXPECT_THAT(
            problems_with(
                fifo,
                [&] { return load_text(std::regex_replace(text, std::regex("\\$fifo"), fifo.path()), "t.yaml"); }),
            HasSubstr(problem + " " + fifo.path() + ": it is a FIFO; name a regular file\n"));
    };
    const std::string server = "listeners: [{address: 127.0.0.1:0}]\n";
    const std::string pool = server + "pools: {p: {servers: [a:1]}}\n";
    expect(pool + "routes: [{pool: p, basic_auth: {file: $fifo}}]\n", "cannot read the password file");
    expect(pool + "routes: [{pool: p}]\nadmin: {address: 127.0.0.1:0, token_file: $fifo}\n",
           "cannot read the token file");
    expect(server + "routes: [{pool: p}]\npools: {p: {servers: [a:1], balance: cookie, cookie: {key_file: $fifo}}}\n",
           "cannot read the key file");
    EXPECT_THAT(problems_with(
                    fifo, [&] { return load_text(std::string(minimal) + "include: " + fifo.path() + "\n", "t.yaml"); }),
                HasSubstr("include: " + fifo.path() + ": cannot read the file: it is a FIFO; name a regular file\n"));
}

TEST(Load, WithoutFilesNothingIsLookedAt) {
    const auto text = std::string(minimal) + "include: /nonexistent/*.yaml\nlogging: {target: /nonexistent/log}\n" +
                      "admin: {address: 'unix:/nonexistent/s', token_file: /nonexistent/token}\n";
    EXPECT_FALSE(load_text(text, "t.yaml").ok());
    EXPECT_TRUE(load_text(text, "t.yaml", {.touch_files = false}).ok());
}

TEST(Load, PathsAreRelativeToTheFileTheyAreWrittenIn) {
    const auto text = std::string(minimal) + "logging: {target: daemon.log, access: {target: x/../access.log}}\n";
    const auto directory = std::filesystem::path(testing::TempDir()).lexically_normal();
    const auto result = load_text(text, (directory / "nsboot-lb.yaml").string());
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result.config->logging.target, (directory / "daemon.log").string());
    EXPECT_EQ(result.config->logging.access->target, (directory / "access.log").string());
}

TEST(Load, TheBenchmarksConfigurationLoads) {
    EXPECT_EQ(problems_of(R"(
workers: 1
listeners:
  - address: 127.0.0.1:8000
pools:
  be:
    balance: least-conn
    servers: ["127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"]
    keepalive: {max_idle: 512, idle_timeout: 1h}
    timeouts: {response: 1h, idle: 1h, tunnel_idle: 1h}
timeouts: {header: 1h, idle: 1h, body: 1h, send: 1h}
routes:
  - pool: be
logging:
  level: warn
)"),
              "");
}

TEST(Print, ValuesFromTheEnvironmentAreNotExpandedAgain) {
    ::setenv("NSBOOT_LB_TEST_DOLLAR", "${HOME} $${x", 1);
    const auto config =
        loaded(std::string("listeners: [{address: 127.0.0.1:0}]\npools: {p: {servers: [a:1]}}\nroutes:\n") +
               "  - {match: {path: /a}, respond: {body: \"${NSBOOT_LB_TEST_DOLLAR}\"}}\n  - pool: p\n");
    ::unsetenv("NSBOOT_LB_TEST_DOLLAR");
    ASSERT_TRUE(config.routes.at(0).respond.has_value());
    EXPECT_EQ(config.routes[0].respond->body, "${HOME} $${x");
    const auto again = load_text(print(config), "printed.yaml");
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again.config->routes[0].respond->body, "${HOME} $${x");
}

TEST(Problems, AreOneLineWhateverTheValue) {
    const auto text = problems_of(std::string(minimal) + "workers: \"a\\nb\\x1b[31m\"\n");
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_LT(problems_of(std::string(minimal) + "workers: " + std::string(100'000, 'x') + "\n").size(), 3000U);
}

TEST(Problems, AreBoundedInNumber) {
    std::string text = minimal;
    for (int i = 0; i < 2000; ++i) text += "  - nonsense_" + std::to_string(i) + ": 1\n    pool: nsboot\n";
    const auto result = load_text(text, "t.yaml");
    EXPECT_FALSE(result.ok());
    EXPECT_EQ(result.problems.size(), 501U);
    EXPECT_THAT(result.problems.back().what, HasSubstr("more problems are not shown"));
}

TEST(Hostile, DeepNestingIsRefused) {
    for (const auto* open : {"[", "{a: ", "- ", "? ", "&a [", "!!x ["})
        for (const int depth : {40, 1000, 100'000}) {
            std::string text;
            for (int i = 0; i < depth; ++i) text += open;
            EXPECT_FALSE(load_text(text, "t.yaml").ok());
        }
}

TEST(Hostile, AliasesCannotMultiply) {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 20; ++i) {
        const auto before = "*a" + std::to_string(i - 1);
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
        for (int j = 1; j < 10; ++j) text += ", " + before;
        text += "]\n";
    }
    EXPECT_THAT(problems_of(text), HasSubstr("too large"));
}

TEST(Hostile, LongTextCannotMultiply) {
    std::string text = "a: &a " + std::string(1 << 20, 'x') + "\nb: [";
    for (int i = 0; i < 100; ++i) text += "*a, ";
    EXPECT_THAT(problems_of(text + "]\n"), HasSubstr("too large"));
}

TEST(Hostile, HugeFilesAreRefused) {
    EXPECT_THAT(problems_of(std::string((4U << 20) + 1, '#')), HasSubstr("the file is too large"));
}

TEST(Include, FilesCannotNestWithoutEnd) {
    const auto directory =
        std::filesystem::path(testing::TempDir()) / ("nsboot-lb-include-" + std::to_string(::getpid()));
    std::filesystem::create_directory(directory);
    for (int i = 0; i < 20; ++i)
        std::ofstream(directory / (std::to_string(i) + ".yaml")) << "include: " << i + 1 << ".yaml\n";
    std::ofstream(directory / "20.yaml") << "workers: 1\n";
    const auto result = load(directory / "0.yaml");
    std::filesystem::remove_all(directory);
    ASSERT_FALSE(result.ok());
    EXPECT_TRUE(std::ranges::any_of(result.problems, [](const Problem& problem) {
        return problem.what == "include: files include each other too deeply";
    }));
}

TEST(Include, APatternThatMatchesNothingIsFine) {
    EXPECT_EQ(problems_of(std::string(minimal) + "include: /nonexistent/*.yaml\n"), "");
}

}  // namespace
}  // namespace nsboot_lb::config
