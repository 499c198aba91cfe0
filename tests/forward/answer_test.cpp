// Answers of our own on the wire, and what the client is told about the connection.
#include "answer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "made_exchange.hpp"

namespace nsboot_lb::forward {
namespace {

using namespace testing;
using net::testing::Peer;
using observe::Reason;
using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Sent {
    std::string text;
    bool keeps_alive = false;
    End end = End::cut_short;
};

/// `body` is what the client has sent of its body by then.
Sent send(MadeExchange& made, Answer answer, std::string_view body = {}) {
    const auto ends = net::testing::connected_pair();
    const Peer peer{ends[1]};
    peer.send(body);
    EXPECT_TRUE(made.stream.open(ends[0], true, true));
    Sent sent;
    made.run([](MadeExchange& with, Answer what, End& end) -> net::Task<void> {
        end = co_await send_answer(with.worker, with.exchange, std::move(what));
    }(made, std::move(answer), sent.end));
    sent.keeps_alive = made.response.keeps_alive();
    EXPECT_EQ(sent.end, End::complete);
    EXPECT_FALSE(made.response.holds());
    made.stream.close();
    sent.text = peer.received();
    return sent;
}

Sent sent_to(std::string_view request, Answer answer, std::string_view body = {}) {
    MadeExchange made{request};
    return send(made, std::move(answer), body);
}

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

TEST(Answer, IsAShortTextWithItsLength) {
    const auto sent = sent_to(get, error_answer(404, Reason::no_route));
    EXPECT_THAT(sent.text, StartsWith("HTTP/1.1 404 Not Found\r\n"));
    EXPECT_THAT(sent.text, HasSubstr("\r\nDate: "));
    EXPECT_THAT(sent.text, HasSubstr("Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n"));
    EXPECT_THAT(sent.text, EndsWith("\r\n\r\n404 Not Found\n"));
    EXPECT_TRUE(sent.keeps_alive);
}

TEST(Answer, SaysWhyIfThereIsMoreToSay) {
    EXPECT_EQ(error_answer(400, Reason::bad_host, "bad Host").body, "400 bad Host\n");
}

TEST(Answer, ToHeadHasTheLengthAndNoBody) {
    const auto sent = sent_to("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", error_answer(404, Reason::no_route));
    EXPECT_THAT(sent.text, HasSubstr("Content-Length: 14\r\n"));
    EXPECT_THAT(sent.text, EndsWith("\r\n\r\n"));
}

TEST(Answer, WithoutContentHasNoLengthEither) {
    Answer answer;
    answer.status = 204;
    EXPECT_THAT(sent_to(get, answer).text, Not(HasSubstr("Content-")));
}

TEST(Answer, KeepsItsOwnContentType) {
    Answer answer;
    answer.status = 200;
    answer.body = "{}";
    answer.fields = {{"content-type", "application/json"}};
    const auto sent = sent_to(get, answer);
    EXPECT_THAT(sent.text, HasSubstr("content-type: application/json\r\n"));
    EXPECT_THAT(sent.text, Not(HasSubstr("text/plain")));
}

TEST(Answer, SaysWhenToComeBackAsAnInteger) {
    EXPECT_THAT(sent_to(get, error_answer(503, Reason::no_server)).text, ContainsRegex("\r\nRetry-After: [0-9]+\r\n"));
    EXPECT_THAT(sent_to(get, error_answer(502, Reason::no_server)).text, Not(HasSubstr("Retry-After")));
}

// What is in the way is read by the session afterwards.
TEST(AnswerConnection, StaysIfASmallBodyIsAllThatIsInTheWay) {
    MadeExchange made{upload};
    made.input.append("he");
    const auto sent = send(made, error_answer(403, Reason::denied), "llo");
    EXPECT_TRUE(sent.keeps_alive);
    EXPECT_THAT(sent.text, Not(HasSubstr("Connection")));
    EXPECT_FALSE(made.body.started());
    EXPECT_EQ(made.input.view(), "he");
}

TEST(AnswerConnection, EndsWhereTheClientMayStillBeSending) {
    const auto large = sent_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
                               error_answer(413, Reason::body_too_large), "hello");
    EXPECT_THAT(large.text, HasSubstr("Connection: close\r\n"));
    EXPECT_FALSE(large.keeps_alive);
    const auto waiting = sent_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                                 error_answer(403, Reason::denied));
    EXPECT_FALSE(waiting.keeps_alive);
    auto closing = error_answer(400, Reason::bad_host);
    closing.close = true;
    EXPECT_FALSE(sent_to(upload, closing).keeps_alive);
}

TEST(AnswerConnection, EndsIfTheClientWantsItOrWeDrain) {
    const auto sent = sent_to("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", error_answer(404, {}));
    EXPECT_THAT(sent.text, HasSubstr("Connection: close\r\n"));
    EXPECT_FALSE(sent.keeps_alive);
    MadeExchange draining{get};
    draining.worker.draining = true;
    EXPECT_FALSE(send(draining, error_answer(404, {})).keeps_alive);
}

TEST(AnswerConnection, SaysToA10ClientThatItStays) {
    const auto sent = sent_to("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", error_answer(404, {}));
    EXPECT_THAT(sent.text, HasSubstr("Connection: keep-alive\r\n"));
    EXPECT_TRUE(sent.keeps_alive);
}

TEST(AnswerEnd, IsToldWhenTheClientIsGone) {
    MadeExchange made{get};
    const auto ends = net::testing::connected_pair();
    ::close(ends[1]);
    ASSERT_TRUE(made.stream.open(ends[0], true, true));
    auto end = End::complete;
    Answer answer;
    answer.status = 200;
    made.run([](MadeExchange& with, Answer what, End& out) -> net::Task<void> {
        out = co_await send_answer(with.worker, with.exchange, std::move(what));
    }(made, std::move(answer), end));
    EXPECT_EQ(end, End::cut_short);
    EXPECT_EQ(made.exchange.reason, Reason::client_aborted);
}

TEST(AnswerStatistics, AreNotedInTheExchange) {
    MadeExchange made{get};
    const auto answer = error_answer(403, Reason::denied);
    const auto sent = send(made, answer);
    EXPECT_EQ(made.exchange.status, 403);
    EXPECT_EQ(made.exchange.reason, Reason::denied);
    EXPECT_EQ(made.exchange.body_sent, answer.body.size());
    EXPECT_EQ(made.response.head_bytes() + answer.body.size(), sent.text.size());
    EXPECT_TRUE(made.response.started());
}

TEST(ReasonPhrase, IsKnownForWhatWeAnswer) {
    for (const int status : {400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505})
        EXPECT_NE(reason_phrase(status), "Unknown") << status;
    EXPECT_EQ(reason_phrase(299), "Unknown");
}

}  // namespace
}  // namespace nsboot_lb::forward
