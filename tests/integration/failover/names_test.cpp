/// Servers that are given by name, while what the name stands for changes. The daemon's resolver is the system's own,
/// with a hosts file that Debian's libnss-wrapper gives to this process alone.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>

#include "client.hpp"
#include "cluster.hpp"
#include "image.hpp"
#include "server_status.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::MatchesRegex;

/// A hosts file. Each change has a time of its own: the library looks at whole seconds.
class HostsFile {
  public:
    HostsFile() { write({}); }

    void write(const std::vector<std::string>& addresses) {
        std::string text;
        for (const auto& address : addresses) text += address + " nsboot.test\n";
        const auto draft = directory_.write("hosts.new", text);
        time_ += 10s;
        std::filesystem::last_write_time(draft, time_);
        std::filesystem::rename(draft, path());
    }
    /// For a process that is to resolve names by it, and never to ask the network.
    std::vector<std::string> environment() const {
        return {"LD_PRELOAD=libnss_wrapper.so", "NSS_WRAPPER_HOSTS=" + path().string(),
                "NSS_WRAPPER_DISABLE_DEEPBIND=1", "RES_OPTIONS=attempts:0", thread_sanitizer_options()};
    }

  private:
    /// The library locks behind the thread sanitizer's back, which then sees it unlock what nobody had locked.
    std::string thread_sanitizer_options() const {
        const auto file = directory_.write("suppressions", "called_from_lib:libnss_wrapper\nmutex:libnss_wrapper\n");
        const char* const own = std::getenv("TSAN_OPTIONS");
        return "TSAN_OPTIONS=" + (own == nullptr ? std::string{} : std::string{own} + ":") +
               "suppressions=" + file.string();
    }
    std::filesystem::path path() const { return directory_.path() / "hosts"; }
    TemporaryDirectory directory_;
    std::filesystem::file_time_type time_ = std::filesystem::file_time_type::clock::now();
};

/// Two servers at two addresses with one port, so that one name can stand for both.
class Named : public testing::Test {
  protected:
    static constexpr const char* first_address = "127.0.0.21";
    static constexpr const char* second_address = "127.0.0.22";

    void SetUp() override {
        constexpr int most_tries = 20;  // somebody may have the first one's port at the other's address
        for (int tries = 0; !second_; ++tries) {
            first_ = std::make_unique<StandIn>("first", first_address);
            try {
                second_ =
                    std::make_unique<StandIn>("second", second_address, std::vector<std::string>{}, first_->port());
            } catch (const Failure&) {
                if (tries == most_tries) throw;
            }
        }
    }
    void start_daemon(const std::string& servers) {
        daemon_ = std::make_unique<Daemon>(substitute(R"(
workers: 2
listeners:
  - {address: "127.0.0.1:0"}
pools:
  nsboot: {balance: round-robin, servers: [$servers], resolve_interval: 100ms}
routes:
  - pool: nsboot
admin: {address: "127.0.0.1:0"}
)",
                                                      {{"$servers", servers}, {"$port", first_->port()}}),
                                           Substitutions{}, hosts_.environment());
    }
    const Daemon& daemon() const { return *daemon_; }

    /// Who answers each of `count` requests.
    std::multiset<std::string> answers(int count) const {
        Client client = daemon().connect();
        std::multiset<std::string> servers;
        for (int i = 0; i < count; ++i) {
            const Message answer = client.exchange(get("/api/system/info"));
            EXPECT_EQ(answer.status(), 200);
            servers.insert(answer.field("X-Served-By"));
        }
        return servers;
    }
    /// Returns when the name stands for these addresses.
    void await_endpoints(const std::set<std::string>& hosts) const {
        std::set<std::string> wanted;
        for (const auto& host : hosts) wanted.insert(host + ":" + first_->port());
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (true) {
            std::set<std::string> seen;
            const auto pools = boost::json::parse(daemon().admin_get("/api/v1/pools").body);
            for (const auto& server : pools.at(0).at("servers").as_array())
                if (server.at("name") == "named") seen.emplace(server.at("address").as_string());
            if (seen == wanted) return;
            if (std::chrono::steady_clock::now() > deadline)
                throw Failure("the name stands for " + testing::PrintToString(seen));
        }
    }

    HostsFile hosts_;
    std::unique_ptr<StandIn> first_;
    std::unique_ptr<StandIn> second_;
    std::unique_ptr<Daemon> daemon_;
};

constexpr const char* by_name = R"({address: "nsboot.test:$port", name: named})";

TEST_F(Named, AChangedAnswerAddsEndpointsAndLetsOthersFinish) {
    constexpr std::size_t image_bytes = 64 * 1024 * 1024;
    hosts_.write({first_address});
    start_daemon(by_name);
    EXPECT_EQ(answers(10).count("first"), 10U);
    Client download = Client::with_small_buffer(daemon().port());
    download.send(get("/images/large?size=" + std::to_string(image_bytes)));
    EXPECT_EQ(download.response_head().status(), 200);
    const std::string begin = download.receive_exactly(1'000'000);

    hosts_.write({first_address, second_address});
    await_endpoints({first_address, second_address});
    const auto both = answers(20);
    EXPECT_EQ(both.count("first"), 10U);
    EXPECT_EQ(both.count("second"), 10U);

    hosts_.write({second_address});
    await_endpoints({second_address});
    EXPECT_EQ(answers(20).count("second"), 20U);
    std::string expected(image_bytes, '\0');
    standin::Image{"large", image_bytes}.read(0, std::as_writable_bytes(std::span{expected}));
    EXPECT_TRUE(begin + download.receive_exactly(image_bytes - begin.size()) == expected);
}

TEST_F(Named, AFailedLookUpKeepsTheLastAnswer) {
    hosts_.write({first_address});
    start_daemon(by_name);
    const auto before = daemon().log_position();
    hosts_.write({});
    daemon().await_log("cannot be resolved host=nsboot.test", before);
    EXPECT_EQ(answers(20).count("first"), 20U);
    hosts_.write({second_address});
    await_endpoints({second_address});
    EXPECT_EQ(answers(20).count("second"), 20U);
}

TEST_F(Named, ANameThatCannotBeResolvedAtStartIsAWarningAndJoinsLater) {
    start_daemon(by_name);
    daemon().await_log("cannot be resolved host=nsboot.test");
    EXPECT_EQ(daemon().admin_get("/readyz").status(), 503);
    const Message nobody = daemon().connect().exchange(get("/api/system/info"));
    EXPECT_EQ(nobody.status(), 503);
    EXPECT_THAT(nobody.field("Retry-After"), MatchesRegex("[1-9][0-9]*"));
    await_endpoints({"nsboot.test"});
    const auto server = boost::json::parse(daemon().admin_get("/api/v1/pools").body).at(0).at("servers").at(0);
    EXPECT_EQ(server.at("standing"), "unresolved");
    EXPECT_FALSE(server.at("up").as_bool());
    EXPECT_EQ(daemon().metric("nsboot_lb_upstream_up", {{"pool", "nsboot"}, {"server", "named"}}), 0);
    const auto* const drain = R"({"state": "drain"})";
    EXPECT_EQ(daemon().admin_post("/api/v1/pools/nsboot/servers/named", drain).status(), 409);
    EXPECT_EQ(daemon().admin_post("/api/v1/pools/nsboot/servers/nobody", drain).status(), 404);

    hosts_.write({first_address});
    await_endpoints({first_address});
    EXPECT_EQ(answers(10).count("first"), 10U);
    EXPECT_EQ(daemon().admin_get("/readyz").status(), 200);
    EXPECT_EQ(daemon().metric("nsboot_lb_upstream_up", {{"pool", "nsboot"}, {"server", "named"}}), 1);
    const auto log = daemon().log();
    EXPECT_EQ(log.find("cannot be resolved"), log.rfind("cannot be resolved")) << log;
}

TEST_F(Named, ANameThatCannotBeResolvedLeavesTheOtherServersServing) {
    start_daemon(R"({address: "127.0.0.21:$port", name: literal}, )" + std::string{by_name});
    daemon().await_log("cannot be resolved host=nsboot.test");
    EXPECT_EQ(answers(10).count("first"), 10U);
    hosts_.write({second_address});
    await_endpoints({second_address});
    EXPECT_EQ(answers(20).count("second"), 10U);
}

}  // namespace
}  // namespace nsboot_lb::test
