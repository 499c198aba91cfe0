/// The daemon's life from outside: start, signals, reload, drain.
#include <chrono>
#include <filesystem>
#include <memory>
#include <signal.h>
#include <string>
#include <sys/stat.h>
#include <vector>

#include <gmock/gmock.h>

#include "address.hpp"
#include "client.hpp"
#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* drain_config = R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0"}
pools:
  servers: {servers: ["$origin"], retries: {attempts: 0}}
routes:
  - {match: {path: /version}, respond: {body: "1"}}
  - pool: servers
admin: {address: "127.0.0.1:0"}
shutdown: {drain_timeout: $drain}
)";

/// One request that has reached the origin and is answered when `release` is set.
class RequestInFlight {
  public:
    RequestInFlight(Origin& origin, const Daemon& daemon) : client_(daemon.connect()) {
        origin.script([release = release_](OriginConnection& connection) {
            connection.receive();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfir");
            release.wait();
            connection.send("st!");
        });
        client_.send(get("/in-flight"));
        origin.await_request();
        head_ = client_.response_head();
        EXPECT_EQ(client_.receive_exactly(3), "fir");
    }
    RequestInFlight(const RequestInFlight&) = delete;
    RequestInFlight& operator=(const RequestInFlight&) = delete;
    ~RequestInFlight() { release_.set(); }
    void finish() {
        release_.set();
        EXPECT_EQ(client_.receive_exactly(3), "st!");
    }
    Client& client() { return client_; }

  private:
    Event<> release_;
    Client client_;
    Message head_;
};

/// Refused, or closed without an answer because the daemon let go of its listener in between. A connection that is
/// taken by the kernel and then left hanging is not refused: its client would wait for nothing.
bool refuses_connections(const Daemon& daemon) {
    try {
        Client client = daemon.connect();
        client.send(get("/version"));
        return client.readable_within(200ms) && client.response().status() == 0;
    } catch (const Failure&) {
        return true;
    }
}

/// Until the daemon has begun to stop.
void await_refusal(const Daemon& daemon) {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (!refuses_connections(daemon)) {
        if (std::chrono::steady_clock::now() > deadline)
            throw Failure("the daemon still takes connections:\n" + daemon.log());
    }
}

TEST(Stop, FinishesWhatIsInFlightAndTakesNothingNew) {
    for (const int number : {SIGTERM, SIGINT}) {
        SCOPED_TRACE(number);
        Origin origin;
        Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "20s"}}};
        Client idle = daemon.connect();
        EXPECT_EQ(idle.exchange(get("/")).status(), 200);
        origin.start_over();
        RequestInFlight in_flight{origin, daemon};

        daemon.signal(number);

        EXPECT_EQ(idle.await_end(), End::closed);
        await_refusal(daemon);
        EXPECT_TRUE(daemon.running());
        in_flight.finish();
        EXPECT_EQ(daemon.wait_exit(patience), 0);
        EXPECT_EQ(in_flight.client().await_end(), End::closed);
    }
}

TEST(Stop, AnswersThatBeginWhileDrainingSayClose) {
    Origin origin;
    Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "20s"}}};
    const Event<> release;
    origin.script([release](OriginConnection& connection) {
        connection.receive();
        release.wait();
        connection.send(Origin::ok_answer());
    });
    Client client = daemon.connect();
    client.send(get("/"));
    origin.await_request();
    daemon.signal(SIGTERM);
    await_refusal(daemon);
    release.set();
    const Message response = client.response();
    EXPECT_EQ(response.body, "ok");
    EXPECT_EQ(response.field("Connection"), "close");
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(daemon.wait_exit(patience), 0);
}

TEST(Stop, ASecondSignalStopsAtOnce) {
    Origin origin;
    Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "60s"}}};
    RequestInFlight in_flight{origin, daemon};
    daemon.signal(SIGTERM);
    await_refusal(daemon);
    EXPECT_TRUE(daemon.running());
    daemon.signal(SIGTERM);
    EXPECT_TRUE(daemon.wait_exit(2s).has_value());
    EXPECT_NE(in_flight.client().await_end(), End::open);
}

TEST(Stop, DoesNotWaitLongerThanTheDrainTimeout) {
    Origin origin;
    Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "300ms"}}};
    RequestInFlight in_flight{origin, daemon};
    const auto began = std::chrono::steady_clock::now();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait_exit(patience), 0);
    EXPECT_GE(std::chrono::steady_clock::now() - began, 250ms);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
    // What is cut off must not look whole.
    EXPECT_EQ(in_flight.client().await_end(), End::reset);
}

TEST(Stop, SignalsThatComeWhileItLeavesChangeNothing) {
    const Origin origin;
    for (int i = 0; i < 10; ++i) {
        Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "1ms"}}};
        std::optional<int> status;
        for (const int number : {SIGTERM, SIGHUP, SIGUSR1, SIGTERM}) daemon.signal(number);
        while (!(status = daemon.wait_exit(1ms))) daemon.signal(i % 2 == 0 ? SIGTERM : SIGHUP);
        EXPECT_EQ(status, 0);
    }
}

TEST(Stop, WithNothingInFlightIsQuick) {
    const Origin origin;
    Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "60s"}}};
    const Client idle = daemon.connect();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait_exit(2s), 0);
}

TEST(Stop, AReloadMeanwhileIsRefused) {
    Origin origin;
    Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "20s"}}};
    RequestInFlight in_flight{origin, daemon};
    daemon.signal(SIGTERM);
    await_refusal(daemon);
    daemon.signal(SIGHUP);
    daemon.await_log("the daemon is draining");
    EXPECT_TRUE(refuses_connections(daemon));
    in_flight.finish();
    EXPECT_EQ(daemon.wait_exit(patience), 0);
}

TEST(Stop, HealthzSaysThatTheDaemonIsLeaving) {
    Origin origin;
    Daemon daemon{drain_config, {{"$origin", origin.address()}, {"$drain", "20s"}}};
    EXPECT_EQ(daemon.admin_get("/healthz").status(), 200);
    RequestInFlight in_flight{origin, daemon};
    daemon.signal(SIGTERM);
    await_refusal(daemon);
    EXPECT_EQ(daemon.admin_get("/healthz").status(), 503);
    in_flight.finish();
    EXPECT_EQ(daemon.wait_exit(patience), 0);
}

constexpr const char* reload_config = R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0"}
pools:
  servers: {servers: ["$server"]}
routes:
  - {match: {path: /version}, respond: {body: "$version"}}
  - pool: servers
admin: {address: "127.0.0.1:0"}
)";

/// Asks until the daemon answers with `version`; each answer must be an old or a new one, none an error.
void await_version(Client& client, const std::string& version, const std::string& before) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        const Message response = client.exchange(get("/version"));
        ASSERT_EQ(response.status(), 200);
        if (response.body == version) return;
        ASSERT_EQ(response.body, before);
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
}

TEST(Reload, SwapsTheConfigurationWhileADownloadGoesOn) {
    Origin first;
    const Origin second;
    Daemon daemon{substitute(reload_config, {{"$server", first.address()}, {"$version", "one"}})};
    Client client = daemon.connect();
    EXPECT_EQ(client.exchange(get("/version")).body, "one");
    RequestInFlight download{first, daemon};

    daemon.rewrite_config(substitute(reload_config, {{"$server", second.address()}, {"$version", "two"}}));
    daemon.signal(SIGHUP);
    await_version(client, "two", "one");

    EXPECT_EQ(client.exchange(get("/to-the-new-server")).status(), 200);
    EXPECT_EQ(second.requests().size(), 1U);
    EXPECT_EQ(first.requests().size(), 1U);
    download.finish();
    await_version(download.client(), "two", "one");  // its worker may be the one that swaps last
    EXPECT_EQ(download.client().exchange(get("/the-connection-goes-on")).status(), 200);
    EXPECT_EQ(second.requests().size(), 2U);
    daemon.await_metric("nsboot_lb_config_last_reload_successful", {}, 1);
}

TEST(Reload, HoldsForAllThatComesAfterItsAnswer) {
    const auto config = [](const std::string& version, const std::string& listener) {
        return substitute(reload_config, {{"workers: 2", "workers: 4"},
                                          {"$server", "127.0.0.1:1"},
                                          {"$version", version},
                                          {"pools:", listener + "pools:"}});
    };
    Daemon daemon{config("first", "")};
    const auto path = (daemon.directory() / "other.sock").string();
    std::vector<Client> clients;  // of all workers, none of which has sent anything when the first reload comes
    for (int i = 0; i < 16; ++i) clients.push_back(daemon.connect());
    for (int i = 0; i < 50; ++i) {
        const auto version = std::to_string(i);
        const bool listens = i % 2 == 0;
        daemon.rewrite_config(config(version, listens ? "  - {address: \"unix:$dir/other.sock\"}\n" : ""));
        ASSERT_EQ(daemon.admin_post("/api/v1/reload").status(), 200);
        for (auto& client : clients) client.send(get("/version"));
        for (auto& client : clients) EXPECT_EQ(client.response().body, version);
        if (listens)
            EXPECT_EQ(Client{path}.exchange(get("/version")).body, version);
        else
            EXPECT_THROW(Client{path}, Failure);
    }
}

TEST(Reload, ABadFileIsLoggedWithItsLineAndTheOldOneGoesOn) {
    const Origin origin;
    const std::string good = substitute(reload_config, {{"$server", origin.address()}, {"$version", "one"}});
    Daemon daemon{good};
    Client client = daemon.connect();
    EXPECT_EQ(client.exchange(get("/version")).body, "one");

    for (const auto* bad : {"listeners: nonsense\n", "routes:\n  - pool: nobody\n", "{", "unknown_key: 1\n"}) {
        SCOPED_TRACE(bad);
        const auto before = daemon.log_position();
        daemon.rewrite_config(bad);
        daemon.signal(SIGHUP);
        EXPECT_THAT(daemon.await_log("nsboot-lb.yaml:", before),
                    testing::ContainsRegex("nsboot-lb\\.yaml:[0-9]+:[0-9]+: error: "));
        EXPECT_EQ(client.exchange(get("/version")).body, "one");
        EXPECT_EQ(client.exchange(get("/")).status(), 200);
    }
    daemon.await_metric("nsboot_lb_config_last_reload_successful", {}, 0);

    daemon.rewrite_config(substitute(reload_config, {{"$server", origin.address()}, {"$version", "two"}}));
    daemon.signal(SIGHUP);
    await_version(client, "two", "one");
    daemon.await_metric("nsboot_lb_config_last_reload_successful", {}, 1);
}

TEST(Reload, AFileThatIsGoneChangesNothing) {
    const Origin origin;
    Daemon daemon{substitute(reload_config, {{"$server", origin.address()}, {"$version", "one"}})};
    const auto before = daemon.log_position();
    std::filesystem::remove(daemon.config_file());
    daemon.signal(SIGHUP);
    daemon.await_log("nsboot-lb.yaml", before);
    EXPECT_EQ(daemon.connect().exchange(get("/version")).body, "one");
}

TEST(Reload, DoesNotWaitForAFileThatIsAFifo) {
    const Origin origin;
    const auto config = substitute(reload_config, {{"$server", origin.address()}, {"$version", "one"}});
    Daemon daemon{config};
    const auto before = daemon.log_position();
    ASSERT_EQ(::mkfifo((daemon.directory() / "parts").c_str(), 0600), 0);
    daemon.rewrite_config(config + "include: [parts]\n");
    daemon.signal(SIGHUP);
    daemon.await_log("parts: cannot read the file: it is a FIFO", before);
    EXPECT_EQ(daemon.connect().exchange(get("/version")).body, "one");
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait_exit(patience), 0);
}

TEST(Logs, AreReopenedForLogrotate) {
    const Origin origin;
    Daemon daemon{R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  servers: {servers: ["$origin"]}
routes:
  - pool: servers
logging: {access: {target: $dir/access.log, format: "{uri}"}}
)",
                  {{"$origin", origin.address()}}};
    const auto file = daemon.directory() / "access.log";
    const auto rotated = daemon.directory() / "access.log.1";
    Client client = daemon.connect();
    client.exchange(get("/before"));
    await_file_contains(file, "/before\n");
    std::filesystem::rename(file, rotated);
    daemon.signal(SIGUSR1);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (read_file(file).find("/after\n") == std::string::npos) {
        ASSERT_EQ(client.exchange(get("/after")).status(), 200);
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
    EXPECT_THAT(read_file(rotated), HasSubstr("/before\n"));
    EXPECT_THAT(read_file(file), testing::Not(HasSubstr("/before")));
}

TEST(Start, FailsWithAReasonWhereItCannotBind) {
    const Origin taken;
    const TemporaryDirectory directory;
    const auto file = directory.write("nsboot-lb.yaml", substitute(R"(
listeners:
  - {address: "$taken"}
pools:
  servers: {servers: ["$taken"]}
routes:
  - pool: servers
)",
                                                                   {{"$taken", taken.address()}}));
    const Completed completed = run({daemon_binary(), "--config", file.string()});
    EXPECT_EQ(completed.status, 1);
    EXPECT_THAT(completed.error, HasSubstr(taken.address()));
    EXPECT_THAT(completed.error, HasSubstr("in use"));
    EXPECT_THAT(completed.error, testing::Not(HasSubstr(" ready\n")));
}

TEST(Start, FailsWithEveryProblemOfABadFile) {
    const TemporaryDirectory directory;
    const auto file =
        directory.write("nsboot-lb.yaml", "listeners:\n  - {adress: x}\nroutes:\n  - pool: nobody\nx: y\n");
    const Completed completed = run({daemon_binary(), "--config", file.string()});
    EXPECT_EQ(completed.status, 1);
    EXPECT_THAT(completed.error, HasSubstr(file.string() + ":2:"));
    EXPECT_THAT(completed.error, HasSubstr(file.string() + ":5:"));
}

TEST(Start, WithSeveralWorkersServesManyClients) {
    const Origin origin;
    const Daemon daemon{
        "workers: 4\nlisteners: [{address: \"127.0.0.1:0\"}]\npools: {p: {servers: [\"$origin\"]}}\nroutes: [{pool: "
        "p}]\n",
        {{"$origin", origin.address()}}};
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(std::make_unique<Client>(daemon.port()));
    for (int round = 0; round < 3; ++round) {
        for (const auto& client : clients) client->send(get("/"));
        for (const auto& client : clients) EXPECT_EQ(client->response().body, "ok");
    }
    EXPECT_EQ(origin.requests().size(), 150U);
}

}  // namespace
}  // namespace nsboot_lb::test
