/// The test library against itself: a client that speaks to an origin without a daemon between them.
#include <gtest/gtest.h>

#include "address.hpp"
#include "client.hpp"
#include "daemon.hpp"
#include "event.hpp"
#include "origin.hpp"
#include "process.hpp"

namespace nsboot_lb::test {
namespace {

std::uint16_t port_of(const Origin& origin) {
    return static_cast<std::uint16_t>(std::stoi(origin.address().substr(origin.address().rfind(':') + 1)));
}

TEST(Harness, RecordsTheExactBytesOfARequestAndGivesTheExactBytesOfTheAnswer) {
    const Origin origin;
    Client client{port_of(origin)};
    const std::string sent = "POST /x HTTP/1.1\r\nHost:  a \r\nContent-Length: 3\r\n\r\nabc";

    const Message response = client.exchange(sent);

    EXPECT_EQ(response.raw, Origin::ok_answer());
    EXPECT_EQ(response.status(), 200);
    EXPECT_EQ(response.reason(), "OK");
    EXPECT_EQ(response.body, "ok");
    EXPECT_TRUE(response.complete);
    const Message request = origin.await_request();
    EXPECT_EQ(request.raw, sent);
    EXPECT_EQ(request.method(), "POST");
    EXPECT_EQ(request.target(), "/x");
    EXPECT_EQ(request.version(), "HTTP/1.1");
    EXPECT_EQ(request.field("host"), "a");
    EXPECT_EQ(request.body, "abc");
}

TEST(Harness, ReadsChunkedBodiesWithExtensionsAndTrailers) {
    Origin origin;
    origin.answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nSum: 5\r\n\r\n");
    Client client{port_of(origin)};

    const Message response = client.exchange(get("/"));

    EXPECT_EQ(response.body, "abcde");
    EXPECT_EQ(response.chunk_lines, (std::vector<std::string>{"3;a=b", "2", "0"}));
    EXPECT_EQ(response.trailer("sum"), "5");
    EXPECT_TRUE(response.complete);
}

TEST(Harness, TellsTruncatedBodiesCleanClosesAndResets) {
    Origin origin;
    origin.script([](OriginConnection& connection) {
        const Message request = connection.receive();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        request.target() == "/reset" ? connection.reset() : connection.close();
    });

    Client closed{port_of(origin)};
    const Message cut = closed.exchange(get("/close"));
    EXPECT_FALSE(cut.complete);
    EXPECT_EQ(cut.body, "abc");
    EXPECT_EQ(closed.await_end(), End::closed);

    Client reset{port_of(origin)};
    EXPECT_FALSE(reset.exchange(get("/reset")).complete);
    EXPECT_EQ(reset.await_end(), End::reset);
}

TEST(Harness, CountsConnectionsAndSaysWhichOneARequestUsed) {
    const Origin origin;
    Client first{port_of(origin)};
    first.exchange(get("/1"));
    first.exchange(get("/2"));
    Client second{port_of(origin)};
    second.exchange(get("/3"));

    EXPECT_EQ(origin.connections(), 2);
    const auto requests = origin.requests();
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_EQ(requests[1].connection, requests[0].connection);
    EXPECT_NE(requests[2].connection, requests[0].connection);
}

TEST(Harness, AScriptSeesThatItsClientWentAway) {
    Origin origin;
    const Event<End> seen;
    origin.script([seen](OriginConnection& connection) {
        connection.receive();
        seen.set(connection.await_end());
    });
    {
        Client client{port_of(origin)};
        client.send(get("/"));
        origin.await_request();
        client.reset();
    }
    EXPECT_EQ(seen.wait(), End::reset);
}

TEST(Harness, StartingOverCutsOffARunningScriptAndForgets) {
    Origin origin;
    origin.script([](OriginConnection& connection) {
        connection.receive();
        connection.receive_until("what never comes");
    });
    Client client{port_of(origin)};
    client.send(get("/"));
    origin.await_request();

    origin.start_over();

    EXPECT_TRUE(origin.requests().empty());
    EXPECT_EQ(origin.connections(), 0);
    Client next{port_of(origin)};
    EXPECT_EQ(next.exchange(get("/")).status(), 200);
}

TEST(Harness, ConnectsFromAChosenAddressAndFindsRefusalsAndSilence) {
    const Origin origin;
    Client client{port_of(origin), "127.0.0.77"};
    EXPECT_EQ(client.exchange(get("/")).status(), 200);

    const RefusingAddress refusing;
    const std::string refused = refusing.text();
    EXPECT_THROW(Client(static_cast<std::uint16_t>(std::stoi(refused.substr(refused.rfind(':') + 1)))), Failure);
    const UnansweringAddress unanswering;
    EXPECT_NE(unanswering.text(), refused);
}

TEST(Harness, SpeaksOverUnixSockets) {
    const TemporaryDirectory directory;
    const std::string path = (directory.path() / "origin.sock").string();
    const Origin origin{path};
    Client client{path};
    EXPECT_EQ(client.exchange(get("/")).status(), 200);
    EXPECT_EQ(origin.await_request().target(), "/");
}

TEST(Harness, RunsProgramsAndCapturesTheirOutput) {
    const Completed completed = run({"/bin/sh", "-c", "echo out; echo \"$WORD\" >&2; exit 3"}, {"WORD=err"});
    EXPECT_EQ(completed.status, 3);
    EXPECT_EQ(completed.output, "out\n");
    EXPECT_EQ(completed.error, "err\n");

    Process waiting{{"/bin/sh", "-c", "echo ready; exec sleep 100"}};
    EXPECT_EQ(waiting.await_line(Output::standard, "rea"), "ready");
    EXPECT_TRUE(waiting.running());
    waiting.signal(15);
    EXPECT_EQ(waiting.wait_exit(patience), 128 + 15);
}

TEST(Harness, DropsFieldsFromAHeadWithoutTouchingTheRest) {
    Message message;
    parse_head(message, "GET / HTTP/1.1\r\nHost:  a\r\nVia: 1.1 x\r\nB: c\r\n\r\n");
    EXPECT_EQ(message.head_without({"via"}), "GET / HTTP/1.1\r\nHost:  a\r\nB: c\r\n\r\n");
    EXPECT_EQ(escaped("a\r\n\x01"), "a\\r\\n\\x01");
    EXPECT_EQ(substitute("$a and $a", {{"$a", "b"}}), "b and b");
}

}  // namespace
}  // namespace nsboot_lb::test
