// Answers of our own on the wire, and what becomes of the connection.
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
    After after = After::keep;
};

/// `body` is what the client has sent of its body by then.
Sent send(MadeExchange& made, Answer answer, std::string_view body = {}) {
    const auto ends = net::testing::connected_pair();
    const Peer peer{ends[1]};
    peer.send(body);
    EXPECT_TRUE(made.client.stream.open(ends[0], true, true));
    Sent sent;
    made.run([](MadeExchange& with, Answer what, After& after) -> net::Task<void> {
        after = co_await send_answer(with.worker, with.exchange, std::move(what));
    }(made, std::move(answer), sent.after));
    sent.text = peer.received();
    made.client.stream.close();
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
    EXPECT_THAT(sent.text, StartsWith("HTTP/1.1 404 Not Found\r\nDate: "));
    EXPECT_THAT(sent.text, HasSubstr("Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n"));
    EXPECT_THAT(sent.text, EndsWith("\r\n\r\n404 Not Found\n"));
    EXPECT_EQ(sent.after, After::keep);
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

TEST(AnswerConnection, StaysIfASmallBodyIsAllThatIsInTheWay) {
    MadeExchange made{upload};
    made.client.input.append("he");
    const auto sent = send(made, error_answer(403, Reason::denied), "llo");
    EXPECT_EQ(sent.after, After::keep);
    EXPECT_THAT(sent.text, Not(HasSubstr("Connection")));
    EXPECT_TRUE(made.client.input.empty());
    EXPECT_EQ(made.exchange.body_received, 5U);
}

TEST(AnswerConnection, LeavesTheNextRequestBehindASmallBody) {
    MadeExchange made{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"};
    const auto sent = send(made, error_answer(403, Reason::denied), "5\r\nhello\r\n0\r\n\r\nGET ");
    EXPECT_EQ(sent.after, After::keep);
    EXPECT_EQ(made.client.input.view(), "GET ");
}

TEST(AnswerConnection, LingersWhereTheClientMayStillBeSending) {
    const auto large = sent_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
                               error_answer(413, Reason::body_too_large), "hello");
    EXPECT_THAT(large.text, HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(large.after, After::linger);
    const auto broken = sent_to("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                                error_answer(403, Reason::denied), "x");
    EXPECT_EQ(broken.after, After::linger);
    const auto waiting = sent_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                                 error_answer(403, Reason::denied));
    EXPECT_EQ(waiting.after, After::linger);
    auto closing = error_answer(400, Reason::bad_host);
    closing.close = true;
    EXPECT_EQ(sent_to(upload, closing).after, After::linger);
}

TEST(AnswerConnection, ClosesIfTheClientWantsItOrWeDrain) {
    const auto sent = sent_to("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", error_answer(404, {}));
    EXPECT_THAT(sent.text, HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(sent.after, After::close);
    MadeExchange draining{get};
    draining.worker.draining = true;
    EXPECT_EQ(send(draining, error_answer(404, {})).after, After::close);
}

TEST(AnswerConnection, SaysToA10ClientThatItStays) {
    const auto sent = sent_to("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", error_answer(404, {}));
    EXPECT_THAT(sent.text, HasSubstr("Connection: keep-alive\r\n"));
    EXPECT_EQ(sent.after, After::keep);
}

TEST(AnswerStatistics, AreNotedInTheExchange) {
    MadeExchange made{get};
    const auto sent = send(made, error_answer(403, Reason::denied));
    EXPECT_EQ(made.exchange.status, 403);
    EXPECT_EQ(made.exchange.reason, Reason::denied);
    EXPECT_EQ(made.exchange.head_sent, sent.text.size());
    EXPECT_TRUE(made.exchange.response_started);
}

TEST(ReasonPhrase, IsKnownForWhatWeAnswer) {
    for (const int status : {400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505})
        EXPECT_NE(reason_phrase(status), "Unknown") << status;
    EXPECT_EQ(reason_phrase(299), "Unknown");
}

}  // namespace
}  // namespace nsboot_lb::forward
