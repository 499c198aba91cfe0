// The rules of a server's response head: what is refused, what is mended, what is worked out of the rest.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsboot_lb/http/h1/parse.hpp"

namespace nsboot_lb::http::h1 {
namespace {

using observe::Reason;
using namespace std::string_literals;

struct Outcome {
    Parsed parsed = Parsed::incomplete;
    std::string bytes;  ///< that the head's views may point into
    std::string mended;
    ResponseHead head;
    HeadError error;
};

std::unique_ptr<Outcome> parse(std::string bytes, const HeadLimits& limits = {}) {
    auto outcome = std::make_unique<Outcome>();
    outcome->bytes = std::move(bytes);
    outcome->parsed = parse_response(outcome->bytes, limits, outcome->head, outcome->mended, outcome->error);
    return outcome;
}

std::unique_ptr<Outcome> accepted(std::string bytes) {
    auto outcome = parse(std::move(bytes));
    EXPECT_EQ(outcome->parsed, Parsed::complete) << outcome->bytes << ": " << outcome->error.text;
    return outcome;
}

std::string with_line(std::string_view line) {
    return "HTTP/1.1 200 OK\r\n" + std::string(line) + "\r\n\r\n";
}
std::string with_status_line(std::string_view line) {
    return std::string(line) + "\r\nX: y\r\n\r\n";
}

struct Refused {
    std::string name;
    std::string head;
};

class RefusedResponse : public testing::TestWithParam<Refused> {};

TEST_P(RefusedResponse, IsABrokenServer) {
    const auto outcome = parse(GetParam().head);
    ASSERT_EQ(outcome->parsed, Parsed::failed);
    EXPECT_EQ(outcome->error.status, 502);
    EXPECT_EQ(outcome->error.reason, Reason::upstream_protocol);
}

TEST_P(RefusedResponse, IsNotAcceptedInPartAndNotForgivenLater) {
    const auto& head = GetParam().head;
    bool failed = false;
    for (std::size_t size = 0; size <= head.size(); ++size) {
        const auto parsed = parse(head.substr(0, size))->parsed;
        EXPECT_NE(parsed, Parsed::complete) << "after " << size << " bytes";
        EXPECT_TRUE(!failed || parsed == Parsed::failed) << "forgiven after " << size << " bytes";
        failed = parsed == Parsed::failed;
    }
}

const Refused refused[] = {
    {"no_http", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n"},
    {"other_version", with_status_line("HTTP/2.0 200 OK")},
    {"status_below_100", with_status_line("HTTP/1.1 099 OK")},
    {"status_of_two_digits", with_status_line("HTTP/1.1 20 OK")},
    {"status_of_four_digits", with_status_line("HTTP/1.1 2000 OK")},
    {"status_that_is_no_number", with_status_line("HTTP/1.1 2x0 OK")},
    {"no_space_before_status", with_status_line("HTTP/1.1200 OK")},
    {"two_spaces_before_status", with_status_line("HTTP/1.1  200 OK")},
    {"control_in_reason", with_status_line("HTTP/1.1 200 O\x01K")},
    {"bare_lf_behind_status_line", "HTTP/1.1 200 OK\nX: y\n\n"},
    {"different_lengths", with_line("Content-Length: 5\r\nContent-Length: 6")},
    {"list_of_different_lengths", with_line("Content-Length: 5, 6")},
    {"length_that_is_no_number", with_line("Content-Length: five")},
    {"negative_length", with_line("Content-Length: -1")},
    {"empty_length", with_line("Content-Length:")},
    {"empty_element_in_list_of_lengths", with_line("Content-Length: 5,")},
    {"length_too_large", with_line("Content-Length: 9223372036854775808")},
    {"unknown_coding", with_line("Transfer-Encoding: gzip, chunked")},
    {"unknown_coding_with_length", with_line("Content-Length: 5\r\nTransfer-Encoding: gzip")},
    {"chunked_not_last", with_line("Transfer-Encoding: chunked, gzip")},
    {"chunked_in_1_0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"nul_in_value", with_line("X: a\0b"s)},
    {"bare_cr_in_value", with_line("X: a\rb")},
    {"bare_lf_in_value", with_line("X: a\nY: b")},
    {"escape_in_value", with_line("X: \x1b[0m")},
    {"no_colon", with_line("X")},
    {"space_in_name", with_line("X Y: z")},
    {"empty_name", with_line(": z")},
    {"folded_status_line", "HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\n"},
    {"connection_option_that_is_no_token", with_line("Connection: a b")},
};
INSTANTIATE_TEST_SUITE_P(Rules, RefusedResponse, testing::ValuesIn(refused),
                         [](const auto& info) { return info.param.name; });

TEST(RefusedAtOnce, WhatNoFurtherBytesCouldMend) {
    for (const auto& start : {"garbage"s, "HTTP/1.1 2000"s, "HTTP/1.1 200 OK\n"s, "HTTP/1.1 200 OK\r\nX: \0"s,
                              "HTTP/1.1 200 OK\r\nX: a\nY: b\n\n"s, "HTTP/1.1 200 OK\r\n Y : a\n"s})
        EXPECT_EQ(parse(start)->parsed, Parsed::failed) << start;
}

// ---- What is mended

TEST(MendedResponse, FoldedLinesAreJoined) {
    const auto outcome = accepted("HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\n\t three\r\nContent-Length: 5\r\n\r\nbody!");
    ASSERT_EQ(outcome->head.fields.size(), 2U);
    EXPECT_EQ(outcome->head.fields[0].value, "one two  three");
    EXPECT_EQ(outcome->head.content_length, 5U);
    EXPECT_EQ(outcome->bytes.substr(outcome->head.size), "body!") << "the size is that of what was received";
}

TEST(MendedResponse, WhiteSpaceBeforeColonsGoes) {
    const auto outcome = accepted("HTTP/1.1 200 OK\r\nX-A \t: b : c\r\nContent-Length : 5\r\n\r\n");
    EXPECT_EQ(outcome->head.fields[0].name, "X-A");
    EXPECT_EQ(outcome->head.fields[0].value, "b : c");
    EXPECT_EQ(outcome->head.framing, Framing::length);
}

TEST(MendedResponse, IsIncompleteUntilItsLastByte) {
    const auto head = "HTTP/1.1 200 OK\r\nX-A : b\r\nX-B: c\r\n d\r\n\r\n"s;
    for (std::size_t size = 0; size < head.size(); ++size)
        ASSERT_EQ(parse(head.substr(0, size))->parsed, Parsed::incomplete) << size;
    EXPECT_EQ(parse(head)->parsed, Parsed::complete);
}

TEST(MendedResponse, EqualLengthsBecomeOne) {
    for (const auto line : {"Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5", "Content-Length: 5,05"}) {
        const auto outcome = accepted(with_line(line));
        EXPECT_TRUE(outcome->head.has_content_length);
        EXPECT_EQ(outcome->head.content_length, 5U);
        for (const auto& field : outcome->head.fields) EXPECT_TRUE(field.dropped) << "it is written anew";
    }
}

TEST(MendedResponse, AReasonMayBeMissing) {
    for (const auto line : {"HTTP/1.1 200", "HTTP/1.1 200 "}) {
        const auto outcome = accepted(with_status_line(line));
        EXPECT_EQ(outcome->head.status, 200);
        EXPECT_EQ(outcome->head.reason, "");
    }
}

// ---- What is worked out

TEST(Response, IsReadIntoItsParts) {
    const auto outcome = accepted(
        "HTTP/1.1 206 Partial Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nSet-Cookie: a=1\r\n"
        "Set-Cookie: b=2\r\nContent-Length: 512\r\nKeep-Alive: timeout=5, max=100\r\n\r\n");
    const auto& head = outcome->head;
    EXPECT_EQ(head.status, 206);
    EXPECT_EQ(head.reason, "Partial Content");
    EXPECT_EQ(head.minor_version, 1);
    EXPECT_EQ(head.framing, Framing::length);
    EXPECT_EQ(head.content_length, 512U);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_TRUE(head.has_date);
    EXPECT_EQ(head.keep_alive_timeout_s, 5U);
    EXPECT_EQ(head.fields[1].value, "a=1");
    EXPECT_EQ(head.fields[2].value, "b=2");
    EXPECT_EQ(head.size, outcome->bytes.size());
}

TEST(Response, IsIncompleteUntilItsLastByteAndThenTheSame) {
    const auto head = "HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\n\r\n"s;
    for (std::size_t size = 0; size < head.size(); ++size)
        ASSERT_EQ(parse(head.substr(0, size))->parsed, Parsed::incomplete) << size;
    const auto outcome = parse(head + "<html>\0\n"s);
    ASSERT_EQ(outcome->parsed, Parsed::complete);
    EXPECT_EQ(outcome->head.status, 404);
    EXPECT_EQ(outcome->head.size, head.size());
}

TEST(ResponseFraming, IsByCodingThenLengthThenTheEndOfTheConnection) {
    const auto chunked = accepted(with_line("Transfer-Encoding: Chunked"));
    EXPECT_EQ(chunked->head.framing, Framing::chunked);
    const auto both = accepted(with_line("Content-Length: 5\r\nTransfer-Encoding: chunked"));
    EXPECT_EQ(both->head.framing, Framing::chunked);
    EXPECT_FALSE(both->head.has_content_length);
    for (const auto& field : both->head.fields) EXPECT_TRUE(field.dropped) << "one framing goes on, and it is ours";
    EXPECT_EQ(accepted(with_line("X: y"))->head.framing, Framing::until_close);
    EXPECT_EQ(accepted(with_line("Content-Length: 0"))->head.framing, Framing::length);
}

TEST(ResponseConnection, StaysOpenByVersionAndWish) {
    const auto keeps = [](const std::string& head) { return accepted(head)->head.keep_alive; };
    EXPECT_TRUE(keeps("HTTP/1.1 200 OK\r\n\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.0 200 OK\r\n\r\n"));
    EXPECT_TRUE(keeps("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(ResponseConnection, NamesFieldsThatDoNotCross) {
    const auto outcome = accepted(with_line("Connection: X-A\r\nX-A: b\r\nX-C: d\r\nUpgrade: h2c\r\nTrailer: X-T"));
    std::vector<std::string> crossing;
    for (const auto& field : outcome->head.fields) {
        if (!field.dropped) crossing.emplace_back(field.name);
    }
    EXPECT_THAT(crossing, testing::ElementsAre("X-C"));
}

TEST(ResponseUpgrade, IsReadWithItsValue) {
    const auto outcome =
        accepted("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n\x81\x05");
    EXPECT_EQ(outcome->head.upgrade, UpgradeKind::websocket);
    EXPECT_EQ(outcome->head.upgrade_value, "WebSocket");
    EXPECT_EQ(accepted("HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n")->head.upgrade, UpgradeKind::other);
}

TEST(ResponseKeepAliveTimeout, IsANumberOfSecondsOrNotThere) {
    const auto timeout = [](std::string_view value) {
        return accepted(with_line("Keep-Alive: " + std::string(value)))->head.keep_alive_timeout_s;
    };
    EXPECT_EQ(timeout("timeout=15"), 15U);
    EXPECT_EQ(timeout("max=5, TIMEOUT=0"), 0U);
    EXPECT_EQ(timeout("timeout=x"), std::nullopt);
    EXPECT_EQ(timeout("timeout=99999999999"), std::nullopt);
    EXPECT_EQ(timeout("max=5"), std::nullopt);
}

TEST(ResponseStatus, MayBeAnyOfThreeDigits) {
    for (const int status : {100, 103, 299, 451, 599, 600, 999}) {
        const auto outcome = accepted("HTTP/1.1 " + std::to_string(status) + " X\r\n\r\n");
        EXPECT_EQ(outcome->head.status, status);
    }
}

TEST(ResponseLimits, AreTheServersFault) {
    const HeadLimits limits{.header_size = 60, .uri_size = 0, .header_count = 2};
    const auto long_value = parse(with_line("X: " + std::string(60, 'a')), limits);
    EXPECT_EQ(long_value->error.reason, Reason::upstream_header_too_large);
    EXPECT_EQ(long_value->error.status, 502);
    EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nX: " + std::string(60, 'a'), limits)->error.reason,
              Reason::upstream_header_too_large);
    EXPECT_EQ(parse(with_line("A: b\r\nC: d\r\nE: f"), limits)->error.reason, Reason::upstream_header_too_large);
    EXPECT_EQ(parse(with_line("A: b\r\nC: d") + std::string(100, 'x'), limits)->parsed, Parsed::complete);
    EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nX : " + std::string(60, 'a'), limits)->error.reason,
              Reason::upstream_header_too_large)
        << "also while it waits to be mended";
}

}  // namespace
}  // namespace nsboot_lb::http::h1
