/// A daemon that may open few files, or finds no local port: that is its own affair, and no server's.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "client.hpp"
#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"
#include "server_status.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  servers:
    servers: [{address: "$origin", name: s1}]
    passive_health: {max_fails: 1}
    retries: {attempts: 0}
    timeouts: {connect: 10s}
routes: [{match: {path: /here}, respond: {body: here}}, {pool: servers}]
limits: {connections: 1000}
admin: {address: "127.0.0.1:0"}
)";

/// As long as it lives, a daemon that is started may open no more files than that.
class FewDescriptors {
  public:
    explicit FewDescriptors(int most) {
        const auto script = directory_.write(
            "nsboot-lb", "#!/bin/sh\nulimit -n " + std::to_string(most) + "\nexec '" + daemon_binary() + "' \"$@\"\n");
        std::filesystem::permissions(script, std::filesystem::perms::owner_all);
        const char* const before = std::getenv(variable);
        if (before != nullptr) before_ = before;
        ::setenv(variable, script.c_str(), 1);
    }
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;
    ~FewDescriptors() {
        if (before_)
            ::setenv(variable, before_->c_str(), 1);
        else
            ::unsetenv(variable);
    }

  private:
    static constexpr const char* variable = "NSBOOT_LB_BINARY";
    TemporaryDirectory directory_;
    std::optional<std::string> before_;
};

class DescriptorsTest : public testing::Test {
  protected:
    void SetUp() override {
        const FewDescriptors few{200};
        daemon_ = std::make_unique<Daemon>(config, Substitutions{{"$origin", origin_.address()}});
    }
    void expect_nobody_blamed() const {
        EXPECT_EQ(server_seen(*daemon_, "s1").standing, "available");
        EXPECT_EQ(daemon_->metric("nsboot_lb_upstream_failures_total"), 0);
        EXPECT_THAT(daemon_->log(), Not(HasSubstr("ejected")));
    }
    std::vector<std::unique_ptr<Client>> connect(int count) const {
        std::vector<std::unique_ptr<Client>> clients;
        for (int i = 0; i < count; ++i) clients.push_back(std::make_unique<Client>(daemon_->port()));
        return clients;
    }

    Origin origin_;
    std::unique_ptr<Daemon> daemon_;
};

/// Sixty requests need twice as many descriptors, and idle clients have most of the rest.
TEST_F(DescriptorsTest, AreTakenFromIdleClientsForServers) {
    const Event<> go_on;
    origin_.script([go_on](OriginConnection& connection) {
        connection.receive();
        go_on.wait();
        connection.send(Origin::ok_answer());
    });
    const auto idle = connect(80);
    for (const auto& client : idle) client->send(get("/here"));
    for (const auto& client : idle) {
        if (client->readable_within(patience)) client->response();
    }
    const auto busy = connect(60);
    for (const auto& client : busy) client->send(get("/slow"));
    std::size_t refused = 0;
    for (std::size_t i = 0; i < busy.size() && refused == 0; ++i) {
        // Each arrives at the server, unless somebody is told at once that it cannot.
        for (const auto& client : busy) refused += client->has_input() ? 1 : 0;
        if (refused == 0) origin_.await_request(i);
    }
    go_on.set();
    std::size_t served = 0;
    for (const auto& client : busy) served += client->response().status() == 200 ? 1 : 0;
    EXPECT_EQ(served, busy.size());
    expect_nobody_blamed();
}

/// More at work at once than there are descriptors for: who cannot be served waits or goes, and no server is blamed.
TEST_F(DescriptorsTest, ThatAreNotEnoughAreNoFaultOfTheServers) {
    const Event<> go_on;
    origin_.script([go_on](OriginConnection& connection) {
        connection.receive();
        go_on.wait();
        connection.send(Origin::ok_answer());
    });
    const auto busy = connect(150);
    for (const auto& client : busy) client->send(get("/slow"));
    origin_.await_request(20);
    go_on.set();
    std::size_t served = 0;
    std::size_t bad_gateways = 0;
    for (const auto& client : busy) {
        ASSERT_TRUE(client->readable_within(patience / 2)) << "neither served nor told";
        const int status = client->response().status();
        served += status == 200 ? 1 : 0;
        bad_gateways += status == 502 ? 1 : 0;
    }
    EXPECT_EQ(bad_gateways, 0U);
    EXPECT_GT(served, 20U);
    expect_nobody_blamed();
    EXPECT_EQ(daemon_->connect().exchange(get("/afterwards")).status(), 200);
}

/// Ports are used up towards one address at a time: another server may still be reached, and no client need make room.
TEST(LocalPortsTest, ThatAreUsedUpTowardsAServerLeaveTheOthers) {
    const Origin lacking;
    const Origin other;
    const auto port = lacking.address().substr(lacking.address().find(':') + 1);
    Daemon daemon{R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  both:
    balance: round-robin
    servers: [{address: "$lacking", name: s1}, {address: "$other", name: s2}]
    passive_health: {max_fails: 1}
  one: {servers: [{address: "$lacking", name: s3}], passive_health: {max_fails: 1}}
routes: [{match: {path: /one}, pool: one}, {pool: both}]
admin: {address: "127.0.0.1:0"}
)",
                  {{"$lacking", lacking.address()}, {"$other", other.address()}},
                  {"LD_PRELOAD=" NSBOOT_HANGING, "LACKING_PORTS_TO=" + port}};
    Client idle = daemon.connect();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(idle.exchange(get("/both")).status(), 200);
    Client asking = daemon.connect();
    EXPECT_EQ(asking.exchange(get("/one")).status(), 503);
    EXPECT_EQ(other.requests().size(), 4U);
    for (const auto* server : {"s1", "s3"}) EXPECT_EQ(server_seen(daemon, server).standing, "available");
    EXPECT_EQ(daemon.metric("nsboot_lb_upstream_failures_total"), 0);
    EXPECT_EQ(idle.exchange(get("/both")).status(), 200);  // on the connection that was idle meanwhile
}

}  // namespace
}  // namespace nsboot_lb::test
