/// The access log from outside: its three formats, its reasons, and that no client can write lines of its own into it.
#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

template <typename Suite>
class AccessLogTest : public SharedProxy<Suite> {
  protected:
    using SharedProxy<Suite>::daemon;
    void SetUp() override {
        SharedProxy<Suite>::SetUp();
        from_ = daemon().output_position();
    }
    /// The first line of this test that has `text` in it.
    std::string line_with(std::string_view text) const { return daemon().await_output(text, from_); }

  private:
    std::size_t from_ = 0;
};

#define NSBOOT_LB_TEST_CONFIG(format) \
    R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools:
  servers: {servers: [{address: "$origin", name: s1}], timeouts: {response: 300ms}}
  failing: {servers: [{address: "unix:/nobody.sock", name: gone}, {address: "$origin", name: second, backup: true}]}
  gone: {servers: [{address: "unix:/nobody.sock", name: gone}]}
routes:
  - {name: denied, match: {path: /denied}, respond: {body: x}, deny: [0.0.0.0/0]}
  - {name: all, match: {path_prefix: /all}, pool: servers}
  - {name: failing, match: {path_prefix: /failing}, pool: failing}
  - {name: gone, match: {path_prefix: /gone}, pool: gone}
logging: {access: {target: stdout, format: )" format "}}\n"

class JsonAccessLogTest : public AccessLogTest<JsonAccessLogTest> {
  public:
    static constexpr const char* config = NSBOOT_LB_TEST_CONFIG("json");

  protected:
    boost::json::object entry_with(std::string_view text) const {
        return boost::json::parse(line_with(text)).as_object();
    }
    static std::string text(const boost::json::object& entry, std::string_view key) {
        return std::string{entry.at(key).as_string()};
    }
};

TEST_F(JsonAccessLogTest, ALineSaysWhatHappened) {
    origin().answer("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
    Client client = daemon().connect("127.0.0.9");
    const Message response = client.exchange(
        "POST /all/json?a=b HTTP/1.1\r\nHost: Shop.example.com:80\r\nUser-Agent: iPXE/1.21\r\nReferer: "
        "there\r\nContent-Length: 3\r\n\r\nabc");
    const auto entry = entry_with("/all/json");
    EXPECT_EQ(text(entry, "client"), "127.0.0.9");
    EXPECT_EQ(text(entry, "method"), "POST");
    EXPECT_TRUE(equal_ignoring_case(text(entry, "host"), "shop.example.com:80"));
    EXPECT_EQ(text(entry, "uri"), "/all/json?a=b");
    EXPECT_EQ(text(entry, "protocol"), "HTTP/1.1");
    EXPECT_EQ(entry.at("status").to_number<int>(), 201);
    EXPECT_EQ(text(entry, "server"), "s1");
    EXPECT_EQ(text(entry, "route"), "all");
    EXPECT_EQ(text(entry, "user_agent"), "iPXE/1.21");
    EXPECT_EQ(text(entry, "referer"), "there");
    EXPECT_EQ(text(entry, "reason"), "");
    EXPECT_EQ(entry.at("attempts").to_number<int>(), 1);
    EXPECT_EQ(text(entry, "request_id"), origin().await_request().field("X-Request-ID"));
    EXPECT_GE(entry.at("bytes_received").to_number<std::uint64_t>(), 3U);
    EXPECT_EQ(entry.at("bytes_sent").to_number<std::uint64_t>(), response.raw.size());
    EXPECT_GE(entry.at("duration").to_number<double>(), entry.at("upstream_duration").to_number<double>());
    EXPECT_THAT(text(entry, "time"), MatchesRegex("20[0-9-]{8}T[0-9:.]+Z"));
}

TEST_F(JsonAccessLogTest, ARejectionHasItsReason) {
    exchange(get("/denied?here"));
    const auto denied = entry_with("/denied?here");
    EXPECT_EQ(denied.at("status").to_number<int>(), 403);
    EXPECT_EQ(text(denied, "reason"), "denied");
    EXPECT_EQ(text(denied, "server"), "");

    exchange(get("/nowhere"));
    EXPECT_EQ(text(entry_with("/nowhere"), "reason"), "no_route");

    exchange("GET /all/bad-host HTTP/1.1\r\nHost: a b\r\n\r\n");
    EXPECT_EQ(text(entry_with("\"bad_host\""), "reason"), "bad_host");

    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.await_end();
        connection.close();
    });
    exchange("POST /all/silent HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    const auto silent = entry_with("/all/silent");
    EXPECT_EQ(silent.at("status").to_number<int>(), 504);
    EXPECT_EQ(text(silent, "reason"), "upstream_timeout");
}

TEST_F(JsonAccessLogTest, ARetryShowsInTheNumberOfAttemptsAndTheLastServerIsNamed) {
    EXPECT_EQ(exchange(get("/failing")).status(), 200);
    const auto retried = entry_with("/failing");
    EXPECT_EQ(retried.at("attempts").to_number<int>(), 2);
    EXPECT_EQ(text(retried, "server"), "second");
    EXPECT_EQ(text(retried, "reason"), "");

    EXPECT_EQ(exchange(get("/gone")).status(), 502);
    const auto failed = entry_with("/gone");
    EXPECT_EQ(failed.at("attempts").to_number<int>(), 1);
    EXPECT_EQ(text(failed, "server"), "gone");
    EXPECT_EQ(text(failed, "reason"), "connect_refused");
}

TEST_F(JsonAccessLogTest, AClientThatLeavesIsLogged) {
    origin().script([](OriginConnection& connection) {
        connection.receive();
        connection.await_end();
        connection.close();
    });
    Client client = connect();
    client.send(get("/all/leaving"));
    origin().await_request();
    client.reset();
    EXPECT_EQ(text(entry_with("/all/leaving"), "reason"), "client_aborted");
}

TEST_F(JsonAccessLogTest, EveryRequestOfAConnectionHasItsLine) {
    Client client = connect();
    client.send(get("/all/1") + get("/all/2"));
    client.response();
    client.response();
    EXPECT_EQ(text(entry_with("/all/1"), "uri"), "/all/1");
    EXPECT_EQ(text(entry_with("/all/2"), "uri"), "/all/2");
}

TEST_F(JsonAccessLogTest, NothingAClientSendsBreaksALine) {
    exchange(
        "GET /all/quote\"},{\"x\":\"y\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: "
        "\",\"status\":999,\"\\\xff\xc3\xa9\t\r\n\r\n");
    const auto entry = entry_with("/all/quote");
    EXPECT_EQ(entry.at("status").to_number<int>(), 200);
    EXPECT_EQ(text(entry, "uri"), "/all/quote\"},{\"x\":\"y\\");
    EXPECT_THAT(text(entry, "user_agent"), HasSubstr("\",\"status\":999,\"\\"));
}

TEST_F(JsonAccessLogTest, WhatIsNotARequestBreaksNoLineEither) {
    exchange("GET /all/\x1b[31m\x01 HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange("{\"client\":\"1.2.3.4\"}\r\n\r\n");
    exchange("GET /all/marker HTTP/1.1\r\nHost: a\r\n\r\n");
    line_with("/all/marker");
    const std::string all = daemon().output();
    EXPECT_THAT(all, Not(HasSubstr("\x1b")));
    EXPECT_THAT(all, Not(HasSubstr("\x01")));
    std::string_view rest = all;
    while (!rest.empty()) {
        const auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        EXPECT_TRUE(boost::json::parse(line).is_object()) << line;
    }
}

class CombinedAccessLogTest : public AccessLogTest<CombinedAccessLogTest> {
  public:
    static constexpr const char* config = NSBOOT_LB_TEST_CONFIG("combined");
};

TEST_F(CombinedAccessLogTest, ALineIsWhatEveryAnalyserReads) {
    Client client = daemon().connect("127.0.0.9");
    const auto size = client.exchange("GET /all/combined HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8\r\n\r\n").raw.size();
    EXPECT_THAT(line_with("/all/combined"),
                MatchesRegex("127\\.0\\.0\\.9 - - \\[[0-9]{2}/[A-Z][a-z]{2}/20[0-9]{2}(:[0-9]{2}){3} \\+0000\\] "
                             "\"GET /all/combined HTTP/1\\.1\" 200 " +
                             std::to_string(size) + " \"-\" \"curl/8\""));
}

TEST_F(CombinedAccessLogTest, QuotesOfAClientAreNotQuotesOfTheLine) {
    exchange("GET /all/q\"uote HTTP/1.1\r\nHost: a\r\nUser-Agent: x\" 200 0 \"evil\\\r\n\r\n");
    EXPECT_THAT(line_with("uote"), AllOf(Not(HasSubstr("q\"uote")), Not(HasSubstr("x\" 200")), HasSubstr("evil")));
}

class TemplateAccessLogTest : public AccessLogTest<TemplateAccessLogTest> {
  public:
    static constexpr const char* config =
        NSBOOT_LB_TEST_CONFIG("\"{client}|{status}|{uri}|{server}|{attempts}|{reason}\"");
};

TEST_F(TemplateAccessLogTest, ALineIsMadeAsTheTemplateSays) {
    exchange(get("/all/template"));
    EXPECT_EQ(line_with("/all/template"), "127.0.0.1|200|/all/template|s1|1|-");
    exchange(get("/denied?template"));
    EXPECT_EQ(line_with("/denied?template"), "127.0.0.1|403|/denied?template|-|0|denied");
}

/// What fits a socket's buffer is sent at once; it is the answer after many that waits for the client.
TEST(AccessLogReasons, AClientThatTakesNoSmallAnswersIsTooSlow) {
    Origin origin;
    origin.answer("HTTP/1.1 200 OK\r\nContent-Length: 12000\r\n\r\n" + std::string(12'000, 'x'));
    const Daemon daemon{R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {servers: {servers: ["$origin"]}}
routes:
  - {match: {path: /own}, respond: {body: $body}}
  - {match: {path: /servers}, pool: servers}
timeouts: {send: 200ms}
logging: {access: {target: stdout, format: "{uri} {reason}"}}
)",
                        {{"$origin", origin.address()}, {"$body", std::string(12'000, 'y')}}};
    for (const std::string target : {"/own", "/servers"}) {
        std::string requests;
        for (int i = 0; i < 2000; ++i) requests += get(target);
        Client client = Client::with_small_buffer(daemon.port());
        client.send_until_stuck(requests, std::chrono::milliseconds{100});
        EXPECT_EQ(daemon.await_output(target + " client_"), target + " client_too_slow");
    }
}

}  // namespace
}  // namespace nsboot_lb::test
