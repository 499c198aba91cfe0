/// What lies unread in a socket when it is closed makes the kernel say so by a reset, and a reset can take the answer
/// away from its client: who may still be sending is listened to for a while.
#include <string>

#include <gtest/gtest.h>

#include "flow.hpp"

namespace nsboot_lb::test {
namespace {

class UnreadAtCloseTest : public FlowProxy<UnreadAtCloseTest> {
  protected:
    /// The last request of a connection, and these bytes when the answer has begun: it ends well all the same.
    static void expect_answer_and_clean_end(std::string_view request, std::string_view behind) {
        SCOPED_TRACE(escaped(request) + " and then " + escaped(behind));
        origin().start_over();
        const Event<> go_on;
        origin().script([go_on](OriginConnection& connection) {
            connection.receive();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello ");
            go_on.wait();
            connection.send("world");
        });
        Client client = connect();
        client.send(request);
        const Message head = client.response_head();
        EXPECT_EQ(head.status(), 200);
        EXPECT_EQ(head.field("Connection"), "close");
        EXPECT_EQ(client.receive_exactly(6), "hello ");
        client.send(behind);
        go_on.set();
        EXPECT_EQ(client.receive_exactly(5), "world");
        EXPECT_EQ(client.await_end(), End::closed);
        EXPECT_EQ(client.pending(), "");
    }
};

TEST_F(UnreadAtCloseTest, AnEmptyLineBehindAPost) {
    expect_answer_and_clean_end(post("/", "Connection: close\r\nContent-Length: 5\r\n", "hello"), "\r\n");
    expect_answer_and_clean_end("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "\r\n");
    expect_answer_and_clean_end(
        post("/", "Connection: close\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), "\r\n");
}

TEST_F(UnreadAtCloseTest, APipelinedRequest) {
    expect_answer_and_clean_end("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", get("/next"));
    expect_answer_and_clean_end("GET / HTTP/1.0\r\n\r\n", get("/next"));
}

TEST_F(UnreadAtCloseTest, AnAnswerThatEndsWithTheConnection) {
    const Event<> go_on;
    origin().script([go_on](OriginConnection& connection) {
        connection.receive();
        go_on.wait();
        connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
        connection.close();
    });
    Client client = connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    origin().await_request();
    client.send("\r\n");
    go_on.set();
    EXPECT_EQ(client.response().body, "until the end");
    EXPECT_EQ(client.end(), End::closed);
}

/// Listening costs nobody anything who has nothing more to say.
TEST_F(UnreadAtCloseTest, AClientThatClosesIsLetGoAtOnce) {
    Client client = connect();
    EXPECT_EQ(client.exchange("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n").status(), 200);
    EXPECT_EQ(client.await_end(), End::closed);
    client.close();
    daemon().await_metric("nsboot_lb_client_connections", {}, 0);
    EXPECT_LT(elapsed(), patience / 5);
}

}  // namespace
}  // namespace nsboot_lb::test
