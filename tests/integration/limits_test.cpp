/// Limits of time and size on the client's side, BEHAVIOURS rows 51 to 53. The minimum rate is in slow/.
#include <chrono>

#include <gmock/gmock.h>

#include "flow.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::chrono_literals;

class LimitsTest : public FlowProxy<LimitsTest> {};

// Row 51
TEST_F(LimitsTest, TheTimeForAHeadCountsFromItsFirstByte) {
    Client client = connect();
    client.dribble("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(1000, 'a'), 1, 20ms);
    const Message response = client.response();
    EXPECT_EQ(response.status(), 408);
    EXPECT_EQ(response.field("Connection"), "close");
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_GE(elapsed(), 250ms);
    EXPECT_LT(elapsed(), 5s);
    expect_nothing_forwarded();
}

// Row 51
TEST_F(LimitsTest, TheTimeForAHeadHoldsForLaterRequestsToo) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    client.send("GET / HT");
    EXPECT_EQ(client.response().status(), 408);
    EXPECT_EQ(client.await_end(), End::closed);
}

// Row 51: before the first byte it is the idle time that counts, and nobody asked, so nobody is answered.
TEST_F(LimitsTest, AnIdleConnectionIsClosedWithoutAnAnswer) {
    Client client = connect();
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    EXPECT_FALSE(client.readable_within(500ms));
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(client.pending(), "");
}

// Row 52
TEST_F(LimitsTest, ABodyThatStallsIsGivenUp) {
    const Event<End> ended;
    origin().script([ended](OriginConnection& connection) {
        connection.receive();
        ended.set(connection.await_end());
    });
    Client client = connect();
    client.send(post("/", "Content-Length: 1000\r\n", "only this"));
    EXPECT_EQ(client.response().status(), 408);
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_NE(ended.wait(), End::open);
    EXPECT_LT(elapsed(), 5s);
}

// Row 52
TEST_F(LimitsTest, AClientThatTakesNothingIsCutOff) {
    const Event<bool> all_taken;
    origin().script([all_taken](OriginConnection& connection) {
        connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        const std::string block(mebibyte_bytes, 'x');
        bool taken = true;
        for (int i = 0; i < 1024 && taken; ++i) taken = connection.send(block);
        all_taken.set(taken);
        connection.close();
    });
    Client client = Client::with_small_buffer(daemon().port());
    client.send(get("/"));
    EXPECT_FALSE(all_taken.wait());
    EXPECT_LT(daemon().resident_bytes(), (sanitized ? 400 : 40) * mebibyte_bytes);
    EXPECT_EQ(client.await_end(), End::reset);
}

// Row 53
TEST_F(LimitsTest, AHeadThatIsTooLargeIsAnswered) {
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(5000, 'a') + "\r\n\r\n", 431);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n", 431);
    std::string many;
    for (int i = 0; i < 30; ++i) many += "X-" + std::to_string(i) + ": a\r\n";
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\n" + many + "\r\n", 431);
    expect_nothing_forwarded();
}

// Row 53
TEST_F(LimitsTest, ATargetThatIsTooLongIsAnswered) {
    expect_refused(get("/" + std::string(1100, 'a')), 414);
    expect_refused(get("/" + std::string(64 * 1024, 'a')), 414);
    expect_refused(get("/?" + std::string(2000, 'a')), 414);
    expect_nothing_forwarded();
}

// Row 53
TEST_F(LimitsTest, WhatFitsTheLimitsPasses) {
    EXPECT_EQ(exchange(get("/" + std::string(1000, 'a'))).status(), 200);
    EXPECT_EQ(exchange("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + std::string(3500, 'a') + "\r\n\r\n").status(),
              200);
    EXPECT_EQ(exchange(post("/limited", "Content-Length: 1000\r\n", std::string(1000, 'x'))).status(), 200);
}

// Row 53
TEST_F(LimitsTest, ABodyThatIsAnnouncedAsTooLargeIsRefusedAtOnce) {
    expect_refused(post("/limited", "Content-Length: 1001\r\n"), 413);
    expect_refused(post("/limited", "Content-Length: 9223372036854775807\r\n"), 413);
    expect_refused(post("/limited", "Content-Length: 1001\r\nExpect: 100-continue\r\n"), 413);
    expect_nothing_forwarded();
}

// Row 53
TEST_F(LimitsTest, AChunkedBodyThatGrowsTooLargeIsRefused) {
    expect_refused(post("/limited", "Transfer-Encoding: chunked\r\n",
                        "3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n"),
                   413);
    expect_refused(post("/limited", "Transfer-Encoding: chunked\r\n", "ffffffff\r\n" + std::string(2000, 'x')), 413);
    for (const Message& request : origin().requests()) EXPECT_FALSE(request.complete);
    EXPECT_EQ(exchange(post("/limited", "Transfer-Encoding: chunked\r\n",
                            "3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n"))
                  .status(),
              200);
}

}  // namespace
}  // namespace nsboot_lb::test
