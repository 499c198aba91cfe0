#pragma once
/// What most integration tests begin with: one daemon and one origin that all tests of a suite share, so that a suite
/// costs one start. A suite derives from SharedProxy<itself> and has a `config` in which "$origin" is the origin's
/// address. A daemon that died in one test is started anew for the next. GoogleTest's thread alone uses it.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "client.hpp"
#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {

/// One worker, one listener, one server, everything else as it comes.
inline constexpr const char* plain_config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers:
    servers: [{address: "$origin", name: s1}]
routes:
  - {name: all, pool: servers}
admin: {address: "127.0.0.1:0"}
)";

/// The fields that the daemon adds to what it passes on, in either direction.
inline const std::vector<std::string_view> added_fields{
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "X-Request-ID", "Via", "Date"};

/// The head as it came, but for the fields that the daemon adds itself.
inline std::string own_head(const Message& message) {
    return message.head_without(added_fields);
}

template <typename Suite>
class SharedProxy : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        origin_ = std::make_unique<Origin>();
        start();
    }
    static void TearDownTestSuite() {
        daemon_.reset();
        origin_.reset();
    }
    void SetUp() override {
        if (!daemon_ || !daemon_->running()) start();
        origin().start_over();
    }
    void TearDown() override {
        for (const auto& failure : origin().failures()) ADD_FAILURE() << "in the origin's script: " << failure;
        if (!daemon().running()) ADD_FAILURE() << "the daemon died; its log:\n" << daemon().log();
    }

    static Origin& origin() { return *origin_; }
    static Daemon& daemon() { return *daemon_; }
    static Client connect() { return daemon().connect(); }

    /// Returns when no client is connected any more: whatever earlier tests did is in the counters then.
    static void await_quiet() { daemon().await_metric("nsboot_lb_client_connections", {}, 0); }

    /// Sends one request on a connection of its own.
    static Message exchange(std::string_view request) {
        Client client = connect();
        return client.exchange(request);
    }

    /// The request is answered with that status by the daemon itself, which then closes without reading what follows.
    static void expect_refused(std::string_view request, int status) {
        expect_refused(request, std::vector<int>{status});
    }
    static void expect_refused(std::string_view request, const std::vector<int>& statuses) {
        SCOPED_TRACE("request: " + escaped(request));
        Client client = connect();
        client.send(request);
        client.send("GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n");
        const Message response = client.response();
        bool expected = false;
        for (const int status : statuses) expected = expected || response.status() == status;
        EXPECT_TRUE(expected) << testing::PrintToString(response);
        EXPECT_EQ(response.field("Connection"), "close");
        EXPECT_TRUE(response.complete);
        EXPECT_EQ(client.await_end(), End::closed);
        EXPECT_EQ(escaped(client.pending()), "");
    }

    /// The origin has seen nothing of what was sent so far. A last request proves that it would have.
    static void expect_nothing_forwarded() {
        EXPECT_EQ(exchange(get("/the-only-one")).status(), 200);
        origin().settle();
        const auto seen = origin().requests();
        for (const Message& request : seen) {
            if (request.target() != "/the-only-one") ADD_FAILURE() << "forwarded: " << testing::PrintToString(request);
        }
        EXPECT_EQ(seen.size(), 1U);
    }

  private:
    static void start() {
        daemon_.reset();
        daemon_ = std::make_unique<Daemon>(Suite::config, Substitutions{{"$origin", origin_->address()}});
    }

    static inline std::unique_ptr<Origin> origin_;
    static inline std::unique_ptr<Daemon> daemon_;
};

}  // namespace nsboot_lb::test
