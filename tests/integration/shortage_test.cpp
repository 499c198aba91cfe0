/// A daemon that runs out of descriptors: what it cannot do it says, nobody else is blamed, and when there are some
/// again it goes on as before.
#include <chrono>
#include <filesystem>
#include <set>
#include <signal.h>
#include <string>
#include <sys/resource.h>

#include <gmock/gmock.h>

#include "daemon.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {
namespace {

using testing::HasSubstr;

class ShortageTest : public testing::Test {
  protected:
    void SetUp() override { ::prlimit(daemon_.pid(), RLIMIT_NOFILE, nullptr, &before_); }
    static std::string config(const std::string& format, const std::string& interval = "20ms") {
        return substitute(R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  servers:
    servers: [{address: "$origin", name: s1}]
    health_check: {interval: $interval, timeout: 5s, fall: 1, rise: 1}
routes: [{pool: servers}]
logging: {access: {target: $dir/access.log, format: "$format"}}
admin: {address: "unix:$dir/admin.sock"}
)",
                          {{"$format", format}, {"$interval", interval}});
    }
    /// From now on it may open that many descriptors more than it has.
    void leave(std::size_t count) {
        std::set<rlim_t> open;
        const auto directory = "/proc/" + std::to_string(daemon_.pid()) + "/fd";
        for (const auto& entry : std::filesystem::directory_iterator{directory})
            open.insert(std::stoul(entry.path().filename().string()));
        rlim_t limit = 0;
        for (std::size_t free = 0; free < count || open.contains(limit); ++limit)
            if (!open.contains(limit)) ++free;
        set_limit({limit, before_.rlim_max});
    }
    void leave_enough() { set_limit(before_); }
    /// A line of the metrics over a connection that is there already.
    double metric(const std::string& name_and_labels) {
        const auto text = admin_.exchange(get("/metrics", "localhost")).body;
        const auto at = text.find(name_and_labels + " ");
        return at == std::string::npos ? -1 : std::stod(text.substr(at + name_and_labels.size()));
    }
    double checks(const std::string& result) {
        return metric("nsboot_lb_health_checks_total{pool=\"servers\",server=\"s1\",result=\"" + result + "\"}");
    }
    void await_checks(const std::string& result, double count) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (checks(result) < count) ASSERT_LT(std::chrono::steady_clock::now(), deadline) << result;
    }

    Origin origin_;
    Daemon daemon_{config("{uri}"), {{"$origin", origin_.address()}}};
    Client admin_{(daemon_.directory() / "admin.sock").string()};

  private:
    void set_limit(const rlimit& limit) {
        if (::prlimit(daemon_.pid(), RLIMIT_NOFILE, &limit, nullptr) != 0) throw Failure("cannot set the limit");
    }
    rlimit before_{};
};

TEST_F(ShortageTest, AReloadIsRefusedAndTheNextOneIsNot) {
    const auto reload = [&](const std::string& format, const char* result) {
        const auto before = daemon_.log_position();
        daemon_.rewrite_config(config(format, "1h"));  // checks would take and leave descriptors meanwhile
        daemon_.signal(SIGHUP);
        daemon_.await_log(result, before);
        ASSERT_TRUE(daemon_.running());
    };
    reload("{uri}", "configuration reloaded");
    for (const std::size_t left : {1, 0}) {
        leave(left);
        reload("{uri} " + std::to_string(left), "configuration refused");
        leave_enough();
    }
    reload("{uri} again", "configuration reloaded");
    EXPECT_EQ(daemon_.connect().exchange(get("/")).status(), 200);
}

TEST_F(ShortageTest, IsNoFailureOfTheServersThatAreChecked) {
    await_checks("success", 1);
    // A check that was under way leaves its descriptor to the next.
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (checks("void") < 3) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        leave(0);
    }
    EXPECT_EQ(metric("nsboot_lb_upstream_up{pool=\"servers\",server=\"s1\"}"), 1);
    EXPECT_THAT(daemon_.log(), HasSubstr("health checks cannot be made"));
    leave_enough();
    await_checks("success", checks("success") + 1);
    EXPECT_EQ(checks("failure"), 0);
}

}  // namespace
}  // namespace nsboot_lb::test
