/// A disk that takes no more bytes holds up the threads that write logs, and nobody else.
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

#include "daemon.hpp"

namespace nsboot_lb::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A directory where writing hangs whenever it is told to.
class HangingDisk {
  public:
    HangingDisk() {
        std::filesystem::create_directory(path());
        lock_ = ::open((path().string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock_ < 0) throw Failure("cannot make the lock of the disk");
    }
    HangingDisk(const HangingDisk&) = delete;
    HangingDisk& operator=(const HangingDisk&) = delete;
    ~HangingDisk() { ::close(lock_); }

    void hang() const { ::flock(lock_, LOCK_EX); }
    void go_on() const { ::flock(lock_, LOCK_UN); }
    std::filesystem::path path() const { return directory_.path() / "disk"; }
    std::filesystem::path file(const std::string& name) const { return path() / name; }
    std::vector<std::string> environment() const {
        return {"LD_PRELOAD=" NSBOOT_HANGING_DISK, "HANGING_DISK=" + path().string()};
    }

  private:
    TemporaryDirectory directory_;
    int lock_ = -1;
};

class HangingDiskTest : public testing::Test {
  protected:
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
        const auto answer = daemon_.ask_admin("PUT /api/v1/log-level HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                                              std::to_string(body.size()) + "\r\n\r\n" + body);
        ASSERT_EQ(answer.status(), 200);
    }
    double lost_lines() const { return daemon_.metric("nsboot_lb_event_log_lost_lines_total"); }

    HangingDisk disk_;
    Daemon daemon_{config("one"), {{"$disk", disk_.path().string()}}, disk_.environment(), disk_.file("event.log")};
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
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (client.exchange(get("/v")).body != "two") ASSERT_LT(std::chrono::steady_clock::now(), deadline);
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

}  // namespace
}  // namespace nsboot_lb::test
