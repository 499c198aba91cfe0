// What a client gets of a server's response head, and how the body behind it is framed.
#include "response_head.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "made_exchange.hpp"

namespace nsboot_lb::forward {
namespace {

using namespace testing;
using http::Framing;
using http::Method;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HasBody, NotForHeadNorForStatusesThatHaveNone) {
    EXPECT_TRUE(has_body(Method::get, 200));
    EXPECT_TRUE(has_body(Method::post, 404));
    EXPECT_TRUE(has_body(Method::options, 500));
    EXPECT_FALSE(has_body(Method::head, 200));
    EXPECT_FALSE(has_body(Method::get, 204));
    EXPECT_FALSE(has_body(Method::get, 304));
    EXPECT_FALSE(has_body(Method::get, 103));
}

/// A response to a request, both as texts.
class Answered {
  public:
    Answered(std::string_view request, std::string response) : made(request), bytes(std::move(response)) {
        http::HeadError error;
        if (http::h1::parse_response(bytes, {}, head, mended, error) != http::h1::Parsed::complete)
            throw std::invalid_argument("not a response");
    }
    ClientFraming framing(bool request_read = true) const {
        return frame_for_client(made.worker, made.exchange, head, request_read);
    }
    std::string text() {
        http::h1::Output out;
        write_response_head(made.worker, made.exchange, head, framing(), out);
        return std::string(out.text());
    }

    MadeExchange made;
    std::string bytes;
    std::string mended;
    http::ResponseHead head;
};

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view head_only = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view get_1_0 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

std::string ok(std::string_view fields) {
    return "HTTP/1.1 200 OK\r\nDate: D\r\n" + std::string(fields) + "\r\n";
}

struct FramingCase {
    std::string_view name;
    std::string_view request;
    std::string_view fields;
    Framing framing;
    bool keep_alive;
};

class FrameForClient : public ::testing::TestWithParam<FramingCase> {};

TEST_P(FrameForClient, KeepsALengthAndFramesTheRestByVersion) {
    const Answered answered{GetParam().request, ok(GetParam().fields)};
    EXPECT_EQ(answered.framing().framing, GetParam().framing);
    EXPECT_EQ(answered.framing().keep_alive, GetParam().keep_alive);
}

constexpr std::string_view length = "Content-Length: 5\r\n";
constexpr std::string_view chunked = "Transfer-Encoding: chunked\r\n";

constexpr FramingCase framings[] = {
    {"length", get, length, Framing::length, true},
    {"chunked", get, chunked, Framing::chunked, true},
    {"until_close", get, "", Framing::chunked, true},
    {"length_for_1_0", get_1_0, length, Framing::length, true},
    {"chunked_for_1_0", get_1_0, chunked, Framing::until_close, false},
    {"until_close_for_1_0", get_1_0, "", Framing::until_close, false},
    {"length_for_1_0_without_keep_alive", "GET / HTTP/1.0\r\n\r\n", length, Framing::length, false},
    {"head_with_length", head_only, length, Framing::none, true},
    {"head_with_chunked", head_only, chunked, Framing::none, true},
    {"client_closes", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", length, Framing::length, false},
};
INSTANTIATE_TEST_SUITE_P(Framings, FrameForClient, ::testing::ValuesIn(framings),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(FrameForClientOtherwise, EndsTheConnectionIfTheRequestWasNotReadOrWeDrain) {
    Answered answered{get, ok(length)};
    EXPECT_FALSE(answered.framing(false).keep_alive);
    answered.made.worker.draining = true;
    EXPECT_FALSE(answered.framing().keep_alive);
}

TEST(ResponseHead, IsTheServersWithOneFramingAndVia) {
    Answered answered{get, ok("Server: x\r\nSet-Cookie: a\r\nset-cookie:b\r\ncontent-length: 5\r\nKeep-Alive: 5\r\n")};
    EXPECT_EQ(answered.text(),
              "HTTP/1.1 200 OK\r\nDate: D\r\nServer: x\r\nSet-Cookie: a\r\nset-cookie: b\r\ncontent-length: 5\r\n"
              "Via: 1.1 lb-test\r\n\r\n");
}

TEST(ResponseHead, SaysThatItIsChunkedWhereTheServerSaidNothing) {
    Answered answered{get, ok("")};
    EXPECT_THAT(answered.text(), HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(answered.text(), Not(HasSubstr("Content-Length")));
}

TEST(ResponseHead, WritesALengthThatWasGivenTwiceOnce) {
    for (const auto lengths : {"Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n"}) {
        Answered answered{get, ok(lengths)};
        EXPECT_EQ(answered.text(), "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 5\r\nVia: 1.1 lb-test\r\n\r\n");
    }
}

TEST(ResponseHead, OfBothFramingsHasOne) {
    Answered answered{get, ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")};
    EXPECT_THAT(answered.text(), HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(answered.text(), Not(HasSubstr("Content-Length")));
}

TEST(ResponseHead, KeepsTheLengthForHeadAnd304AndDropsItFrom204) {
    Answered to_head{head_only, ok(length)};
    EXPECT_THAT(to_head.text(), HasSubstr("Content-Length: 5\r\n"));
    Answered not_modified{get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"};
    EXPECT_THAT(not_modified.text(), HasSubstr("Content-Length: 5\r\n"));
    Answered no_content{get, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"};
    EXPECT_THAT(no_content.text(), Not(HasSubstr("Content-Length")));
    EXPECT_THAT(no_content.text(), Not(HasSubstr("Transfer-Encoding")));
}

TEST(ResponseHead, GetsADateIfItHasNone) {
    Answered without{get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    EXPECT_THAT(without.text(), ::testing::ContainsRegex("\r\nDate: [A-Z][a-z]{2}, [0-9 A-Za-z:]+ GMT\r\n"));
}

TEST(ResponseHead, SaysWhatBecomesOfTheConnection) {
    Answered persistent{get, ok(length)};
    EXPECT_THAT(persistent.text(), Not(HasSubstr("Connection")));
    Answered old{get_1_0, ok(length)};
    EXPECT_THAT(old.text(), HasSubstr("Connection: keep-alive\r\n"));
    Answered old_until_close{get_1_0, ok("")};
    EXPECT_THAT(old_until_close.text(), HasSubstr("Connection: close\r\n"));
}

TEST(ResponseHead, SpeaksItsOwnVersionAndKeepsAnEmptyReason) {
    Answered answered{get, "HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n"};
    EXPECT_THAT(answered.text(), ::testing::StartsWith("HTTP/1.1 200 \r\n"));
}

TEST(ResponseHead, CarriesWhatFiltersAdd) {
    Answered answered{get, ok(length)};
    answered.made.exchange.response_additions = {{"Set-Cookie", "s=1"}};
    EXPECT_THAT(answered.text(), HasSubstr("Set-Cookie: s=1\r\n"));
}

std::string interim(std::string response) {
    const Answered answered{get, std::move(response)};
    http::h1::Output out;
    write_interim_head(answered.made.worker, answered.head, out);
    return std::string(out.text());
}

TEST(InterimHead, PassesFieldsButNothingOfTheConnection) {
    EXPECT_EQ(interim("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n"),
              "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 lb-test\r\n\r\n");
    EXPECT_EQ(interim("HTTP/1.1 100 Continue\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST(InterimHead, OfAnUpgradeSaysToWhat) {
    EXPECT_EQ(interim("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: k\r\n\r\n"),
              "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\nConnection: Upgrade\r\n"
              "Upgrade: websocket\r\nVia: 1.1 lb-test\r\n\r\n");
}

}  // namespace
}  // namespace nsboot_lb::forward
