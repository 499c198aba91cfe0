// Where bodies end, by each framing, and what of chunked coding is refused (RFC 9112 6 and 7).
#include "nsboot_lb/http/h1/body_decoder.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::http::h1 {
namespace {

using Status = BodyDecoder::Status;
using namespace std::string_literals;

struct Decoded {
    Status status = Status::more;
    std::string data;
    std::size_t consumed = 0;
    std::vector<std::pair<std::string, std::string>> trailers;
    bool operator==(const Decoded&) const = default;
};

/// Feeds the parts one after the other, each until it is used up.
Decoded decode(BodyDecoder& decoder, const std::vector<std::string_view>& parts) {
    Decoded decoded;
    for (auto part : parts) {
        for (;;) {
            const auto piece = decoder.next(part);
            part.remove_prefix(piece.consumed);
            decoded.consumed += piece.consumed;
            decoded.data += piece.data;
            decoded.status = piece.status;
            if (piece.status != Status::data) break;
        }
        if (decoded.status != Status::more) break;
    }
    for (const auto& trailer : decoder.trailers()) decoded.trailers.emplace_back(trailer.name, trailer.value);
    return decoded;
}

Decoded decode_chunked(const std::vector<std::string_view>& parts, const HeadLimits& limits = {}) {
    BodyDecoder decoder;
    decoder.begin(Framing::chunked, 0, limits);
    return decode(decoder, parts);
}

struct Case {
    std::string name;
    std::string bytes;
    std::string data;
};

class ChunkedBody : public testing::TestWithParam<Case> {};

TEST_P(ChunkedBody, IsWhatTheChunksHold) {
    const auto decoded = decode_chunked({GetParam().bytes});
    EXPECT_EQ(decoded.status, Status::end);
    EXPECT_EQ(decoded.data, GetParam().data);
    EXPECT_EQ(decoded.consumed, GetParam().bytes.size());
}

TEST_P(ChunkedBody, IsTheSameHoweverItArrives) {
    const std::string_view bytes = GetParam().bytes;
    const auto whole = decode_chunked({bytes});
    for (std::size_t at = 0; at <= bytes.size(); ++at)
        EXPECT_EQ(decode_chunked({bytes.substr(0, at), bytes.substr(at)}), whole) << "split at " << at;
    std::vector<std::string_view> single;
    for (std::size_t at = 0; at < bytes.size(); ++at) single.push_back(bytes.substr(at, 1));
    EXPECT_EQ(decode_chunked(single), whole);
}

TEST_P(ChunkedBody, EndsBeforeWhatFollows) {
    const auto bytes = GetParam().bytes + "GET / HTTP/1.1\r\n";
    const auto decoded = decode_chunked({bytes});
    EXPECT_EQ(decoded.status, Status::end);
    EXPECT_EQ(decoded.consumed, GetParam().bytes.size());
}

TEST_P(ChunkedBody, IsNotOverBeforeItsLastByte) {
    const std::string_view bytes = GetParam().bytes;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        BodyDecoder decoder;
        decoder.begin(Framing::chunked, 0, {});
        EXPECT_EQ(decode(decoder, {bytes.substr(0, size)}).status, Status::more) << size;
        EXPECT_FALSE(decoder.ended()) << size;
        EXPECT_FALSE(decoder.end_of_input()) << size;
    }
}

const Case good[] = {
    {"empty", "0\r\n\r\n", ""},
    {"one_chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"several_chunks", "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world"},
    {"letters_of_both_cases", "A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a"},
    {"leading_zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello"},
    {"line_ends_in_data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
    {"extension", "5;a\r\nhello\r\n0;b\r\n\r\n", "hello"},
    {"extension_with_value", "5;a=b;c=d\r\nhello\r\n0\r\n\r\n", "hello"},
    {"extension_with_quoted_value", "5;a=\"b;\\\"\\\\ \t\xff\"\r\nhello\r\n0\r\n\r\n", "hello"},
    {"blanks_behind_semicolon", "5; \ta=b; c\r\nhello\r\n0\r\n\r\n", "hello"},
    {"trailers", "5\r\nhello\r\n0\r\nX-A: b\r\nX-C:d\r\n\r\n", "hello"},
};
INSTANTIATE_TEST_SUITE_P(Good, ChunkedBody, testing::ValuesIn(good), [](const auto& info) { return info.param.name; });

class BrokenChunks : public testing::TestWithParam<Case> {};

TEST_P(BrokenChunks, AreRefusedBehindTheDataThatWasGood) {
    const auto decoded = decode_chunked({GetParam().bytes});
    EXPECT_EQ(decoded.status, Status::failed);
    EXPECT_EQ(decoded.data, GetParam().data);
}

TEST_P(BrokenChunks, AreRefusedHoweverTheyArriveAndForGood) {
    const std::string_view bytes = GetParam().bytes;
    BodyDecoder decoder;
    decoder.begin(Framing::chunked, 0, {});
    std::string data;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        const auto piece = decoder.next(bytes.substr(at, 1));
        data += piece.data;
        ASSERT_NE(piece.status, Status::end) << at;
    }
    EXPECT_EQ(data, GetParam().data);
    EXPECT_EQ(decoder.next("0\r\n\r\n").status, Status::failed);
    EXPECT_FALSE(decoder.end_of_input());
}

const Case broken[] = {
    {"no_size", "\r\nhello\r\n0\r\n\r\n", ""},
    {"prefix", "0x5\r\nhello\r\n0\r\n\r\n", ""},
    {"plus", "+5\r\nhello\r\n0\r\n\r\n", ""},
    {"minus", "-5\r\nhello\r\n0\r\n\r\n", ""},
    {"underscore", "1_0\r\nhello\r\n0\r\n\r\n", ""},
    {"letter_behind_f", "5g\r\nhello\r\n0\r\n\r\n", ""},
    {"leading_space", " 5\r\nhello\r\n0\r\n\r\n", ""},
    {"trailing_space", "5 \r\nhello\r\n0\r\n\r\n", ""},
    {"trailing_tab", "5\t\r\nhello\r\n0\r\n\r\n", ""},
    {"space_before_semicolon", "5 ;a\r\nhello\r\n0\r\n\r\n", ""},
    {"size_of_2_to_the_63", "8000000000000000\r\nhello", ""},
    {"size_of_2_to_the_64", "10000000000000005\r\nhello", ""},
    {"bare_lf_behind_size", "5\nhello\r\n0\r\n\r\n", ""},
    {"bare_cr_behind_size", "5\rhello\r\n0\r\n\r\n", ""},
    {"bare_lf_behind_data", "5\r\nhello\n0\r\n\r\n", "hello"},
    {"more_data_than_size", "5\r\nhello!\r\n0\r\n\r\n", "hello"},
    {"no_line_end_behind_data", "5\r\nhello0\r\n\r\n", "hello"},
    {"bare_cr_behind_data", "5\r\nhello\rX0\r\n\r\n", "hello"},
    {"bare_lf_behind_last_size", "0\n\r\n", ""},
    {"bare_lf_at_the_end", "0\r\n\n", ""},
    {"empty_extension", "5;\r\nhello\r\n0\r\n\r\n", ""},
    {"extension_without_name", "5;=b\r\nhello\r\n0\r\n\r\n", ""},
    {"extension_without_value", "5;a=\r\nhello\r\n0\r\n\r\n", ""},
    {"bad_token_in_extension", "5;a(b\r\nhello\r\n0\r\n\r\n", ""},
    {"blank_in_extension", "5;a b\r\nhello\r\n0\r\n\r\n", ""},
    {"nul_in_extension", "5;a\0\r\nhello\r\n0\r\n\r\n"s, ""},
    {"nul_in_quoted_extension", "5;a=\"\0\"\r\nhello\r\n0\r\n\r\n"s, ""},
    {"line_end_in_quoted_extension", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", ""},
    {"escaped_line_end_in_extension", "5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n", ""},
    {"text_behind_quoted_extension", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", ""},
    {"bare_lf_behind_extension", "5;a\nhello\r\n0\r\n\r\n", ""},
    {"trailer_without_colon", "0\r\nX\r\n\r\n", ""},
    {"folded_trailer", "0\r\nX: a\r\n b\r\n\r\n", ""},
    {"control_in_trailer", "0\r\nX: a\x01\r\n\r\n", ""},
};
INSTANTIATE_TEST_SUITE_P(Broken, BrokenChunks, testing::ValuesIn(broken),
                         [](const auto& info) { return info.param.name; });

TEST(ChunkedLimits, OfExtensionsInAllChunksTogether) {
    const auto body = [](std::size_t bytes_each) {
        const auto chunk = "1;" + std::string(bytes_each, 'a') + "\r\nx\r\n";
        return chunk + chunk + "0\r\n\r\n";
    };
    EXPECT_EQ(decode_chunked({body(2000)}).status, Status::end);
    EXPECT_EQ(decode_chunked({body(2100)}).status, Status::failed);
}

TEST(ChunkedLimits, OfTheTrailerSection) {
    const HeadLimits limits{.header_size = 100, .uri_size = 0, .header_count = 2};
    EXPECT_EQ(decode_chunked({"0\r\nA: b\r\nC: d\r\n\r\n"}, limits).status, Status::end);
    EXPECT_EQ(decode_chunked({"0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"}, limits).status, Status::failed);
    EXPECT_EQ(decode_chunked({"0\r\nA: " + std::string(100, 'a') + "\r\n\r\n"}, limits).status, Status::failed);
    EXPECT_EQ(decode_chunked({"0\r\nA: " + std::string(100, 'a')}, limits).status, Status::failed)
        << "before its end is there";
    EXPECT_EQ(decode_chunked({"0\r\n\r\n" + std::string(1000, 'a')}, limits).status, Status::end)
        << "what follows does not count";
}

TEST(ChunkedLimits, TakeTheLargestSize) {
    BodyDecoder decoder;
    decoder.begin(Framing::chunked, 0, {});
    EXPECT_EQ(decode(decoder, {"7fffffffffffffff\r\nhello"}).data, "hello");
}

TEST(ChunkedTrailers, AreThereWhenTheBodyHasEnded) {
    const auto decoded = decode_chunked({"0\r\nX-Sum: 1\r\nGrpc-Status:0 \r\n\r\n"});
    EXPECT_THAT(decoded.trailers, testing::ElementsAre(testing::Pair("X-Sum", "1"), testing::Pair("Grpc-Status", "0")));
}

TEST(BodyOfLength, EndsAfterThatManyBytes) {
    for (std::size_t split = 0; split <= 5; ++split) {
        BodyDecoder decoder;
        decoder.begin(Framing::length, 5, {});
        const std::string_view bytes = "hello, next";
        const auto decoded = decode(decoder, {bytes.substr(0, split), bytes.substr(split)});
        EXPECT_EQ(decoded.data, "hello");
        EXPECT_EQ(decoded.consumed, 5U);
        EXPECT_TRUE(decoder.ended());
        EXPECT_TRUE(decoder.end_of_input());
    }
}

TEST(BodyOfLength, IsTruncatedWithoutItsLastByte) {
    BodyDecoder decoder;
    decoder.begin(Framing::length, 5, {});
    EXPECT_EQ(decode(decoder, {"hell"}).status, Status::more);
    EXPECT_EQ(decoder.remaining(), 1U);
    EXPECT_FALSE(decoder.end_of_input());
}

TEST(BodyOfLength, CountsWhatWentByThroughAPipe) {
    BodyDecoder decoder;
    decoder.begin(Framing::length, 10, {});
    decoder.skip(4);
    EXPECT_EQ(decoder.remaining(), 6U);
    EXPECT_FALSE(decoder.ended());
    decoder.skip(6);
    EXPECT_TRUE(decoder.ended());
}

TEST(BodyOfLength, ZeroIsOverAtOnce) {
    BodyDecoder decoder;
    decoder.begin(Framing::length, 0, {});
    EXPECT_TRUE(decoder.ended());
    EXPECT_EQ(decoder.next("x").consumed, 0U);
}

TEST(BodyUntilClose, IsAllUntilTheSenderCloses) {
    BodyDecoder decoder;
    decoder.begin(Framing::until_close, 0, {});
    EXPECT_EQ(decode(decoder, {"hel", "lo"}).data, "hello");
    decoder.skip(1000);
    EXPECT_FALSE(decoder.ended());
    EXPECT_TRUE(decoder.end_of_input());
    EXPECT_TRUE(decoder.ended());
}

TEST(NoBody, IsOverAtOnce) {
    BodyDecoder decoder;
    decoder.begin(Framing::none, 0, {});
    EXPECT_TRUE(decoder.ended());
    EXPECT_EQ(decoder.next("GET").status, Status::end);
}

TEST(BodyDecoderReuse, ForgetsTheBodyBefore) {
    BodyDecoder decoder;
    decoder.begin(Framing::chunked, 0, {});
    EXPECT_EQ(decode(decoder, {"zz"}).status, Status::failed);
    decoder.begin(Framing::chunked, 0, {});
    EXPECT_EQ(decode(decoder, {"1\r\nx\r\n0\r\nA: b\r\n\r\n"}).data, "x");
    decoder.begin(Framing::chunked, 0, {});
    EXPECT_TRUE(decoder.trailers().empty());
    EXPECT_EQ(decode(decoder, {"0\r\n\r\n"}).status, Status::end);
}

}  // namespace
}  // namespace nsboot_lb::http::h1
