/// The queue where `max_connections` binds, from outside: who waits, who is turned away, who leaves.
#include <chrono>

#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;
using testing::MatchesRegex;

class QueueTest : public SharedProxy<QueueTest> {
  public:
    static constexpr const char* config = R"(
workers: 3
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  narrow:
    servers: [{address: "$origin", max_connections: 1}]
    queue_size: 2
    timeouts: {queue: 60s}
  impatient:
    servers: [{address: "$origin", max_connections: 1}]
    timeouts: {queue: 200ms}
routes:
  - {match: {path_prefix: /impatient}, pool: impatient}
  - {pool: narrow}
admin: {address: "127.0.0.1:0"}
)";

  protected:
    /// The origin keeps what it gets until release().
    void SetUp() override {
        SharedProxy::SetUp();
        await_quiet();
        origin().script([released = released_](OriginConnection& connection) {
            connection.receive();
            released.wait();
            connection.send(Origin::ok_answer());
        });
    }
    void TearDown() override {
        released_.set();
        SharedProxy::TearDown();
    }
    void release() const { released_.set(); }

    /// A client whose request has the only slot.
    static Client occupant(const std::string& target = "/first") {
        Client client = connect();
        client.send(get(target));
        origin().await_request();
        return client;
    }
    /// A client that is the `place`th in the queue.
    static Client waiting(double place) {
        Client client = connect();
        client.send(get("/waiting"));
        await_queue("narrow", place);
        return client;
    }
    static void await_queue(const std::string& pool, double length) {
        daemon().await_metric("nsboot_lb_queue_length", {{"pool", pool}}, length);
    }
    static double timeouts(const std::string& pool) {
        return daemon().metric("nsboot_lb_queue_timeouts_total", {{"pool", pool}});
    }
    static void expect_come_back_later(const Message& answer) {
        EXPECT_EQ(answer.status(), 503);
        // iPXE obeys an integer alone.
        EXPECT_THAT(answer.field("Retry-After"), MatchesRegex("[1-9][0-9]*"));
        EXPECT_TRUE(answer.complete);
    }

  private:
    const Event<> released_;
};

TEST_F(QueueTest, WhoFindsItFullIsToldWhenToComeBackAndTheOthersAreServed) {
    const double refused = daemon().metric("nsboot_lb_rejected_total", {{"reason", "queue_full"}});
    Client first = occupant();
    Client second = waiting(1);
    Client third = waiting(2);

    for (int i = 0; i < 3; ++i) expect_come_back_later(exchange(get("/one-too-many")));
    await_queue("narrow", 2);
    daemon().await_metric("nsboot_lb_rejected_total", {{"reason", "queue_full"}}, refused + 3);

    release();
    for (Client* client : {&first, &second, &third}) EXPECT_EQ(client->response().body, "ok");
    await_queue("narrow", 0);
    EXPECT_EQ(origin().requests().size(), 3U);
    EXPECT_EQ(exchange(get("/the-queue-is-empty")).status(), 200);
}

TEST_F(QueueTest, WhoLeavesIsTakenOutOfItAndMakesRoom) {
    const double timed_out = timeouts("narrow");
    Client first = occupant();
    Client leaver = waiting(1);
    Client second = waiting(2);
    leaver.reset();
    await_queue("narrow", 1);
    Client third = waiting(2);
    expect_come_back_later(exchange(get("/one-too-many")));

    release();
    for (Client* client : {&first, &second, &third}) EXPECT_EQ(client->response().body, "ok");
    await_queue("narrow", 0);
    EXPECT_EQ(origin().requests().size(), 3U) << "nothing was sent for who left";
    EXPECT_EQ(timeouts("narrow"), timed_out) << "who leaves has not waited too long";
}

TEST_F(QueueTest, WhoIsGoneWhenTheRequestIsReadTakesNoPlace) {
    constexpr int leavers = 40;
    Client first = occupant();
    const double connections = daemon().metric("nsboot_lb_client_connections_total");
    for (int i = 0; i < leavers; ++i) {
        Client leaver = connect();
        leaver.send(get("/gone-already"));
        leaver.reset();
    }
    daemon().await_metric("nsboot_lb_client_connections_total", {}, connections + leavers);
    daemon().await_metric("nsboot_lb_client_connections", {}, 1);
    await_queue("narrow", 0);
    release();
    EXPECT_EQ(first.response().body, "ok");
    EXPECT_EQ(origin().requests().size(), 1U);
}

TEST_F(QueueTest, WhoWaitsTooLongIsToldWhenToComeBack) {
    const double timed_out = timeouts("impatient");
    Client first = occupant("/impatient/first");
    const auto began = std::chrono::steady_clock::now();
    expect_come_back_later(exchange(get("/impatient/second")));
    EXPECT_GE(std::chrono::steady_clock::now() - began, 190ms);
    daemon().await_metric("nsboot_lb_queue_timeouts_total", {{"pool", "impatient"}}, timed_out + 1);
    await_queue("impatient", 0);
    release();
    EXPECT_EQ(first.response().body, "ok");
    EXPECT_EQ(origin().requests().size(), 1U);
}

TEST_F(QueueTest, AHalfClosedClientKeepsItsPlace) {
    Client first = occupant();
    Client second = waiting(1);
    second.half_close();
    EXPECT_FALSE(second.readable_within(100ms));
    await_queue("narrow", 1);
    release();
    EXPECT_EQ(first.response().body, "ok");
    EXPECT_EQ(second.response().body, "ok");
}

}  // namespace
}  // namespace nsboot_lb::test
