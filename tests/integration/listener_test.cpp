/// Listeners from outside: several addresses, unix sockets, the PROXY protocol, limits on connections.
#include <unistd.h>

#include <gmock/gmock.h>

#include "address.hpp"
#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using namespace std::string_literals;
using testing::AnyOf;

/// A PROXY v2 header (HAProxy's proxy-protocol.txt 2.2) of TCP over IPv4 from `source` (four octets), port 4660.
std::string proxy_v2(char command, const std::string& source) {
    return "\r\n\r\n\0\r\nQUIT\n"s + command + "\x11\x00\x0c"s + source + "\x7f\x00\x00\x01"s + "\x12\x34\x00\x50"s;
}

constexpr char command_local = '\x20';
constexpr char command_proxy = '\x21';

class ProxyProtocolTest : public SharedProxy<ProxyProtocolTest> {
  public:
    static constexpr const char* config = R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: always, proxy_protocol: true}
  - {address: "127.0.0.2:0", name: some, proxy_protocol: [127.0.0.5]}
pools:
  servers: {servers: ["$origin"]}
routes:
  - pool: servers
timeouts: {header: 300ms, handshake: 300ms}
)";

  protected:
    static Client connect_to(std::string_view listener, const std::string& source = "") {
        const auto* const host = listener == "some" ? "127.0.0.2" : "127.0.0.1";
        return Client::at(host, daemon().port(listener), source);
    }
    /// Nothing is answered to what is not a PROXY header: whoever speaks is not who was expected.
    static void expect_closed(std::string_view bytes) {
        SCOPED_TRACE(escaped(bytes));
        Client client = connect_to("always");
        client.send(bytes);
        EXPECT_NE(client.await_end(), End::open);
        EXPECT_EQ(escaped(client.pending()), "");
    }
};

TEST_F(ProxyProtocolTest, Version1NamesTheClient) {
    Client client = connect_to("always");
    EXPECT_EQ(client.exchange("PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n" + get("/1")).status(), 200);
    EXPECT_EQ(client.exchange(get("/2")).status(), 200);
    for (const Message& request : origin().requests()) EXPECT_EQ(request.field("X-Forwarded-For"), "192.0.2.7");

    Client six = connect_to("always");
    EXPECT_EQ(six.exchange("PROXY TCP6 2001:db8::7 ::1 4660 80\r\n" + get("/3")).status(), 200);
    EXPECT_EQ(origin().await_request(2).field("X-Real-IP"), "2001:db8::7");
}

TEST_F(ProxyProtocolTest, Version2NamesTheClient) {
    Client client = connect_to("always");
    EXPECT_EQ(client.exchange(proxy_v2(command_proxy, "\xc0\x00\x02\x07"s) + get("/")).status(), 200);
    EXPECT_EQ(origin().await_request().field("X-Forwarded-For"), "192.0.2.7");
}

TEST_F(ProxyProtocolTest, AHeaderThatNamesNobodyLeavesThePeer) {
    Client unknown = connect_to("always", "127.0.0.9");
    EXPECT_EQ(unknown.exchange("PROXY UNKNOWN\r\n" + get("/")).status(), 200);
    Client local = connect_to("always", "127.0.0.9");
    EXPECT_EQ(local.exchange(proxy_v2(command_local, "\xc0\x00\x02\x07"s) + get("/")).status(), 200);
    EXPECT_EQ(origin().await_request(0).field("X-Forwarded-For"), "127.0.0.9");
    EXPECT_EQ(origin().await_request(1).field("X-Forwarded-For"), "127.0.0.9");
}

TEST_F(ProxyProtocolTest, AHeaderMayArriveInPieces) {
    for (const std::string& header :
         {"PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n"s, proxy_v2(command_proxy, "\xc0\x00\x02\x07"s)}) {
        Client client = connect_to("always");
        client.dribble(header + get("/"), 1, std::chrono::milliseconds{0});
        EXPECT_EQ(client.response().status(), 200);
    }
}

TEST_F(ProxyProtocolTest, WhatIsNoHeaderIsClosedWithoutAnAnswer) {
    expect_closed(get("/"));
    expect_closed("PROXY TCP4 192.0.2.7 127.0.0.1 4660\r\n" + get("/"));
    expect_closed("PROXY TCP4 999.0.2.7 127.0.0.1 4660 80\r\n" + get("/"));
    expect_closed("PROXY TCP4 192.0.2.7 127.0.0.1 99999 80\r\n" + get("/"));
    expect_closed("PROXY TCP9 192.0.2.7 127.0.0.1 4660 80\r\n" + get("/"));
    expect_closed("PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\n" + get("/"));
    expect_closed("PROXY " + std::string(200, 'x') + "\r\n" + get("/"));
    expect_closed(proxy_v2('\x2f', "\xc0\x00\x02\x07"s) + get("/"));
    expect_closed(proxy_v2('\x31', "\xc0\x00\x02\x07"s) + get("/"));
    EXPECT_TRUE(origin().requests().empty());
}

TEST_F(ProxyProtocolTest, AHeaderThatDoesNotComeIsNotWaitedForLong) {
    expect_closed("PROXY TCP4 192.0");
    expect_closed("");
}

TEST_F(ProxyProtocolTest, OnlyThePeersThatAreNamedSpeakIt) {
    Client named = connect_to("some", "127.0.0.5");
    EXPECT_EQ(named.exchange("PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n" + get("/named")).status(), 200);
    EXPECT_EQ(origin().await_request().field("X-Forwarded-For"), "192.0.2.7");

    Client plain = connect_to("some", "127.0.0.6");
    EXPECT_EQ(plain.exchange(get("/plain")).status(), 200);
    EXPECT_EQ(origin().await_request(1).field("X-Forwarded-For"), "127.0.0.6");

    Client forger = connect_to("some", "127.0.0.6");
    EXPECT_EQ(forger.exchange("PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n" + get("/forged")).status(), 400);
    EXPECT_EQ(origin().requests().size(), 2U);
}

TEST(Listener, ServesEveryAddressItIsGiven) {
    const Origin origin;
    const Daemon daemon{R"(
workers: 2
listeners:
  - {address: ["127.0.0.1:0", "127.0.0.2:0", "unix:$dir/front.sock"], name: many}
  - {address: "127.0.0.1:0", name: other}
pools:
  servers: {servers: ["$origin"]}
routes:
  - pool: servers
)",
                        {{"$origin", origin.address()}}};
    EXPECT_NE(daemon.port("many"), daemon.port("other"));  // each port 0 is a port of its own
    EXPECT_EQ(Client{daemon.port("many")}.exchange(get("/1")).status(), 200);
    EXPECT_EQ(Client::at("127.0.0.2", daemon.port("many", 1)).exchange(get("/2")).status(), 200);
    EXPECT_EQ(Client{daemon.port("other")}.exchange(get("/3")).status(), 200);
    EXPECT_EQ(Client{(daemon.directory() / "front.sock").string()}.exchange(get("/4")).status(), 200);
    EXPECT_EQ(origin.requests().size(), 4U);
}

// A daemon that was killed leaves its socket's file behind.
TEST(Listener, ASocketFileThatNobodyServesIsReplaced) {
    const Origin origin;
    const TemporaryDirectory directory;
    const auto path = (directory.path() / "front.sock").string();
    ::close(listen_on(path, 0, 1));
    ASSERT_TRUE(std::filesystem::exists(path));
    const Daemon daemon{R"(
listeners:
  - {address: "unix:$path"}
pools:
  servers: {servers: ["$origin"]}
routes:
  - pool: servers
)",
                        {{"$origin", origin.address()}, {"$path", path}}};
    EXPECT_EQ(Client{path}.exchange(get("/")).status(), 200);
}

// Rather the one that has been idle longest than the one that comes; who has a request in flight is left alone.
TEST(Listener, AtTheLimitTheClientThatIsIdleLongestMakesRoom) {
    Origin origin;
    const Daemon daemon{R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0", name: main}
pools:
  servers: {servers: ["$origin"]}
routes:
  - pool: servers
limits: {connections: 2}
admin: {address: "127.0.0.1:0"}
)",
                        {{"$origin", origin.address()}}};
    Client first = daemon.connect();
    Client second = daemon.connect();
    EXPECT_EQ(first.exchange(get("/")).status(), 200);
    EXPECT_EQ(second.exchange(get("/")).status(), 200);
    EXPECT_EQ(first.exchange(get("/both-stay")).status(), 200);

    const Event<> release;
    origin.script([release](OriginConnection& connection) {
        connection.receive();
        release.wait();
        connection.send(Origin::ok_answer());
    });
    first.send(get("/in-flight"));
    origin.await_request(3);
    Client third = daemon.connect();
    EXPECT_EQ(second.await_end(), End::closed);
    daemon.await_metric("nsboot_lb_rejected_total", {{"reason", "too_many_connections"}}, 1);
    Client fourth = daemon.connect();
    EXPECT_EQ(third.await_end(), End::closed);
    fourth.send(get("/"));
    release.set();
    EXPECT_EQ(fourth.response().status(), 200);
    EXPECT_EQ(first.response().status(), 200);
    daemon.await_metric("nsboot_lb_client_connections", {{"listener", "main"}}, 2);
    daemon.await_metric("nsboot_lb_rejected_total", {{"reason", "too_many_connections"}}, 2);
}

TEST(Listener, ConnectionsOfOneClientAreLimited) {
    const Origin origin;
    const Daemon daemon{R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  servers: {servers: ["$origin"]}
routes:
  - pool: servers
limits: {connections_per_client: 2}
)",
                        {{"$origin", origin.address()}}};
    Client one = daemon.connect("127.0.0.9");
    Client two = daemon.connect("127.0.0.9");
    EXPECT_EQ(one.exchange(get("/")).status(), 200);
    EXPECT_EQ(two.exchange(get("/")).status(), 200);
    Client three = daemon.connect("127.0.0.9");
    EXPECT_THAT(three.exchange(get("/")).status(), AnyOf(0, 429, 503));
    EXPECT_NE(three.await_end(), End::open);
    EXPECT_EQ(daemon.connect("127.0.0.10").exchange(get("/")).status(), 200);
    EXPECT_EQ(one.exchange(get("/")).status(), 200);
}

}  // namespace
}  // namespace nsboot_lb::test
