/// A disk that takes no more bytes holds up the threads that write logs, a resolver that does not answer holds up the
/// reload that asks it, and nothing else is held up.
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <signal.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A directory where writing hangs, and a name whose look-up does, whenever they are told to.
class Hanging {
  public:
    static constexpr const char* host = "slow.test";

    Hanging() {
        std::filesystem::create_directory(disk());
        lock_ = ::open(lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock_ < 0) throw Failure("cannot make the lock");
    }
    Hanging(const Hanging&) = delete;
    Hanging& operator=(const Hanging&) = delete;
    ~Hanging() { ::close(lock_); }

    void hang() const { ::flock(lock_, LOCK_EX); }
    void go_on() const { ::flock(lock_, LOCK_UN); }
    std::filesystem::path disk() const { return directory_.path() / "disk"; }
    std::filesystem::path file(const std::string& name) const { return disk() / name; }
    std::vector<std::string> environment() const {
        return {"LD_PRELOAD=" NSBOOT_HANGING, "HANGING_LOCK=" + lock().string(), "HANGING_DISK=" + disk().string(),
                std::string{"HANGING_NAME="} + host, "HANGING_ASKED=" + asked().string()};
    }
    void forget_look_ups() const { std::filesystem::remove(asked()); }
    void await_look_up() const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!exists(asked()))
            if (std::chrono::steady_clock::now() > deadline) throw Failure("nobody looks the name up");
    }

  private:
    std::filesystem::path lock() const { return directory_.path() / "lock"; }
    std::filesystem::path asked() const { return directory_.path() / "asked"; }

    TemporaryDirectory directory_;
    int lock_ = -1;
};

class HangingDiskTest : public testing::Test {
  protected:
    void TearDown() override { disk_.go_on(); }
    static std::string config(const std::string& version) {
        return substitute(R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {servers: {servers: ["127.0.0.1:81"]}}
routes: [{match: {path: /pool}, pool: servers}, {name: version, respond: {body: $version}}]
logging: {target: $disk/event.log, access: {target: $disk/access.log, format: "{uri}"}}
admin: {address: "127.0.0.1:0"}
)",
                          {{"$version", version}});
    }
    /// Has the control thread log a line.
    void make_an_event(const std::string& level) const {
        const std::string body = R"({"level": ")" + level + "\"}";
        const auto answer = daemon_.ask_admin("PUT /api/v1/log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                                              std::to_string(body.size()) + "\r\n\r\n" + body);
        ASSERT_EQ(answer.status(), 200);
    }
    double lost_lines() const { return daemon_.metric("nsboot_lb_event_log_lost_lines_total"); }

    Hanging disk_;
    Daemon daemon_{config("one"), {{"$disk", disk_.disk().string()}}, disk_.environment(), disk_.file("event.log")};
};

TEST_F(HangingDiskTest, HoldsUpNeitherRequestsNorTheAdminListenerNorAReload) {
    disk_.hang();
    Client client = daemon_.connect();
    for (int i = 0; i < 3; ++i) {
        make_an_event("info");
        EXPECT_EQ(client.exchange(get("/v" + std::to_string(i))).status(), 200);
    }
    std::filesystem::rename(disk_.file("event.log"), disk_.file("event.log.1"));
    daemon_.signal(SIGUSR1);
    daemon_.rewrite_config(config("two"));
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 200);
    EXPECT_EQ(client.exchange(get("/v")).body, "two");
    EXPECT_EQ(read_file(disk_.file("access.log")), "");
    EXPECT_THAT(read_file(disk_.file("event.log.1")), Not(HasSubstr("level changed")));

    disk_.go_on();
    await_file_contains(disk_.file("access.log"), "/v0\n/v1\n/v2\n/v\n");
    await_file_contains(disk_.file("event.log.1"), "level changed");
    make_an_event("debug");
    await_file_contains(disk_.file("event.log"), "level=debug\n");
    EXPECT_THAT(read_file(disk_.file("event.log.1")) + read_file(disk_.file("event.log")), HasSubstr("changed key="));
    EXPECT_EQ(lost_lines(), 0);
}

TEST_F(HangingDiskTest, MovingTheAccessLogHoldsUpNobody) {
    disk_.hang();
    Client client = daemon_.connect();
    EXPECT_EQ(client.exchange(get("/old")).status(), 200);
    daemon_.rewrite_config(substitute(config("two"), {{"$disk/access.log", "$dir/access.log"}}));
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 200);
    // The worker was the last to let go of the old one.
    EXPECT_EQ(client.exchange(get("/new")).body, "two");
    await_file_contains(daemon_.directory() / "access.log", "/new\n");

    disk_.go_on();
    await_file_contains(disk_.file("access.log"), "/old\n");
}

TEST_F(HangingDiskTest, LosesTheOldestEventsOnceTooManyWait) {
    constexpr int events = 1500;
    disk_.hang();
    for (int i = 0; i < events; ++i) make_an_event(i + 1 < events ? "info" : "debug");
    const auto lost = lost_lines();
    // One line may be in the hands of the thread that writes, and 1024 wait.
    EXPECT_GE(lost, events - 1025);
    EXPECT_LE(lost, events - 1024);

    disk_.go_on();
    await_file_contains(disk_.file("event.log"), "level=debug\n");
    const auto text = read_file(disk_.file("event.log"));
    std::size_t written = 0;
    for (auto at = text.find("level changed"); at != text.npos; at = text.find("level changed", at + 1)) ++written;
    EXPECT_EQ(written + static_cast<std::size_t>(lost), events);
    EXPECT_EQ(lost_lines(), lost);
}

class HangingNameTest : public testing::Test {
  protected:
    void TearDown() override { names_.go_on(); }
    static std::string config(const std::string& server) {
        return substitute(R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {servers: {servers: [{address: "$server", name: s1}], passive_health: {max_fails: 0}}}
routes: [{pool: servers}]
admin: {address: "127.0.0.1:0"}
)",
                          {{"$server", server}});
    }
    /// Has it reloaded with a server of the name, and gives the answer to come when it looks the name up.
    std::future<Message> reload() {
        daemon_.rewrite_config(config(std::string{Hanging::host} + ":" + port()));
        auto answer = std::async(std::launch::async, [this] { return daemon_.admin_post("/api/v1/reload"); });
        names_.await_look_up();
        return answer;
    }
    std::string port() const { return origin_.address().substr(origin_.address().rfind(':') + 1); }
    void await_server(const std::string& text) const {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (daemon_.admin_get("/api/v1/pools").body.find(text) == std::string::npos)
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
    static bool is_over(const std::future<Message>& answer) {
        return answer.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
    }

    Hanging names_;
    const Origin origin_;
    Daemon daemon_{config(origin_.address()), {}, names_.environment()};
};

TEST_F(HangingNameTest, HoldsUpTheReloadAloneAndThoseAfterIt) {
    names_.hang();
    auto answer = reload();
    for (int i = 0; i < 5; ++i) {
        daemon_.signal(SIGHUP);
        EXPECT_EQ(daemon_.admin_get("/healthz").status(), 200);
        EXPECT_EQ(daemon_.connect().exchange(get("/")).status(), 200);
    }
    EXPECT_EQ(daemon_.metric("nsboot_lb_config_reloads_total"), 1);
    EXPECT_FALSE(is_over(answer));

    names_.go_on();
    EXPECT_EQ(answer.get().status(), 200);
    await_server("\"address\":\"127.0.0.1:" + port() + "\"");
    EXPECT_EQ(daemon_.connect().exchange(get("/")).status(), 200);
    // Of five signals, some of which the kernel may have made one of, two reloads at most are left.
    daemon_.await_log("nothing changed");
    daemon_.admin_post("/api/v1/reload");
    const auto reloads = daemon_.metric("nsboot_lb_config_reloads_total");
    EXPECT_GE(reloads, 4);
    EXPECT_LE(reloads, 5);
}

TEST_F(HangingNameTest, IsNotWaitedForLongAndItsServerJoinsLater) {
    names_.hang();
    EXPECT_EQ(reload().get().status(), 200);
    await_server("\"standing\":\"unresolved\"");
    EXPECT_EQ(daemon_.connect().exchange(get("/")).status(), 503);
    // It is not new any more, and another name is not kept waiting by it.
    daemon_.rewrite_config(substitute(config(std::string{Hanging::host} + ":" + port()),
                                      {{"name: s1}", "name: s1}, {address: \"localhost:" + port() + "\"}"}}));
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 200);
    await_server("\"standing\":\"unresolved\"");
    EXPECT_EQ(daemon_.connect().exchange(get("/")).status(), 200);

    names_.go_on();
    await_server("\"name\":\"s1\",\"address\":\"127.0.0.1:" + port() + "\"");
}

TEST_F(HangingNameTest, IsForgottenWhereTheReloadIsRefused) {
    const Origin occupied;
    const auto wanted = substitute(config(std::string{Hanging::host} + ":" + port()),
                                   {{"passive_health:", "resolve_interval: 1h, passive_health:"}});
    const auto more = R"({address: "127.0.0.1:0"}, {address: ")" + occupied.address() + "\"}";
    daemon_.rewrite_config(substitute(wanted, {{R"({address: "127.0.0.1:0"}])", more + "]"}}));
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 422);
    names_.await_look_up();
    names_.forget_look_ups();

    // A name that is still known would not be asked for.
    daemon_.rewrite_config(wanted);
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 200);
    names_.await_look_up();
}

TEST_F(HangingNameTest, AnswersAreUsedWhateverHasBecomeOfTheConfigurationsFiles) {
    const TemporaryDirectory directory;
    const auto users = directory.write("users", "operator:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n");
    names_.hang();
    daemon_.rewrite_config(substitute(
        config(std::string{Hanging::host} + ":" + port()),
        {{"{pool: servers}",
          "{match: {path: /secret}, pool: servers, basic_auth: {file: " + users.string() + "}}, {pool: servers}"}}));
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 200);
    std::filesystem::remove(users);
    names_.go_on();
    await_server("\"address\":\"127.0.0.1:" + port() + "\"");
    EXPECT_EQ(daemon_.connect().exchange(get("/")).status(), 200);
}

TEST_F(HangingNameTest, AReloadThatStillWaitsWhenTheDaemonIsToStopIsRefused) {
    // The download keeps the daemon draining.
    const Event<> finish;
    Origin slow;
    slow.script([finish](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        finish.wait();
        connection.send("cd");
        connection.close();
    });
    daemon_.rewrite_config(config(slow.address()));
    EXPECT_EQ(daemon_.admin_post("/api/v1/reload").status(), 200);
    Client client = daemon_.connect();
    client.send(get("/"));
    EXPECT_EQ(client.response_head().status(), 200);

    names_.hang();
    auto answer = reload();
    daemon_.signal(SIGTERM);
    daemon_.await_log("draining");
    names_.go_on();
    EXPECT_EQ(answer.get().status(), 422);
    EXPECT_EQ(daemon_.admin_get("/healthz").status(), 503);
    finish.set();
    EXPECT_EQ(client.receive_exactly(4), "abcd");
    EXPECT_EQ(daemon_.wait_exit(patience), 0);
}

TEST_F(HangingNameTest, AHotUpgradeWaitsForTheReload) {
    names_.hang();
    auto answer = reload();
    for (int i = 0; i < 2; ++i) {
        daemon_.signal(SIGUSR2);
        EXPECT_EQ(daemon_.admin_get("/healthz").status(), 200);
    }
    daemon_.await_log("not upgrading: an upgrade is going on");
    EXPECT_THAT(daemon_.log(), Not(HasSubstr("the new process starts")));

    names_.go_on();
    EXPECT_EQ(answer.get().status(), 200);
    const auto line = daemon_.await_log("upgraded: ");
    const auto log = daemon_.log();
    EXPECT_LT(log.find("configuration reloaded"), log.find("the new process starts"));
    ::kill(std::stoi(line.substr(line.rfind('=') + 1)), SIGTERM);
    EXPECT_EQ(daemon_.wait_exit(patience), 0);
}

TEST_F(HangingNameTest, NeitherHoldsUpTheEndOfTheDaemon) {
    names_.hang();
    auto answer = reload();
    daemon_.signal(SIGTERM);
    EXPECT_EQ(daemon_.wait_exit(patience), 0);
    EXPECT_NE(answer.get().status(), 200);
}

}  // namespace
}  // namespace nsboot_lb::test
