// Where a stream stands between and within WebSocket frames, however its bytes arrive.
#include "websocket_frames.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace nsboot_lb::forward {
namespace {

using namespace std::string_literals;

constexpr std::uint8_t continuation = 0x00;
constexpr std::uint8_t text = 0x81;
constexpr std::uint8_t first_of_text = 0x01;
constexpr std::uint8_t binary = 0x82;
constexpr std::uint8_t close = 0x88;
constexpr std::uint8_t ping = 0x89;

enum class Length { shortest, in_16_bits, in_64_bits };

std::string frame(std::uint8_t first, std::size_t size, bool masked = false, Length length = Length::shortest) {
    if (length == Length::shortest && size > 125) length = size > 0xffff ? Length::in_64_bits : Length::in_16_bits;
    const int extra = length == Length::shortest ? 0 : (length == Length::in_16_bits ? 2 : 8);
    std::string bytes{static_cast<char>(first)};
    const auto short_length = extra == 0 ? size : (extra == 2 ? std::size_t{126} : std::size_t{127});
    bytes += static_cast<char>((masked ? 0x80 : 0) | short_length);
    for (int i = extra - 1; i >= 0; --i) bytes += static_cast<char>(size >> (8 * i));
    if (masked) bytes += "\x12\x34\x56\x78";
    // Payload that looks like headers: whoever loses count takes it for some.
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(i % 3 == 0 ? 0x88 : i);
    return bytes;
}

struct Case {
    const char* name;
    std::string bytes;
    std::size_t header;
};

std::vector<Case> cases() {
    return {
        {"empty", frame(text, 0), 2},
        {"one byte", frame(text, 1), 2},
        {"125 bytes", frame(text, 125), 2},
        {"126 bytes", frame(text, 126), 4},
        {"65535 bytes", frame(binary, 65535), 4},
        {"65536 bytes", frame(binary, 65536), 10},
        {"longer form than needed", frame(text, 5, false, Length::in_16_bits), 4},
        {"longest form, empty", frame(text, 0, false, Length::in_64_bits), 10},
        {"masked and empty", frame(ping, 0, true), 6},
        {"masked", frame(text, 64, true), 6},
        {"masked with 16 bits of length", frame(text, 300, true), 8},
        {"masked with 64 bits of length", frame(binary, 70000, true), 14},
        {"reserved bits and opcodes", frame(0xff, 7), 2},
    };
}

TEST(WebSocketFrames, AFrameIsOneHoweverItIsSplit) {
    for (const auto& [name, bytes, header] : cases()) {
        SCOPED_TRACE(name);
        const auto payload = bytes.size() - header;
        // The first splits and the last ones are those that differ.
        for (std::size_t split = 0; split <= bytes.size();
             split += (split < 20 || split + 20 > bytes.size()) ? 1 : 13) {
            WebSocketFrames frames;
            ASSERT_EQ(frames.take_frame(std::string_view{bytes}.substr(0, split)), split);
            ASSERT_EQ(frames.at_boundary(), split == 0 || split == bytes.size()) << split;
            const auto left = split < header || split == bytes.size() ? 0 : payload - (split - header);
            ASSERT_EQ(frames.payload_left(), left) << split;
            ASSERT_EQ(frames.take_frame(std::string_view{bytes}.substr(split)), bytes.size() - split);
            ASSERT_TRUE(frames.at_boundary()) << split;
            ASSERT_EQ(frames.payload_left(), 0U);
            ASSERT_FALSE(frames.closing());
        }
    }
}

TEST(WebSocketFrames, ByteByByteIsTheSame) {
    for (const auto& [name, bytes, header] : cases()) {
        SCOPED_TRACE(name);
        WebSocketFrames frames;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            ASSERT_EQ(frames.take_frame({&bytes[i], 1}), 1U);
            ASSERT_EQ(frames.at_boundary(), i + 1 == bytes.size()) << i;
        }
    }
}

TEST(WebSocketFrames, OneFrameAtATimeOutOfSeveral) {
    const std::vector<std::string> parts{
        frame(text, 5), frame(first_of_text, 126), frame(continuation, 0), frame(ping, 3, true), frame(continuation, 4),
        frame(0x80, 2), frame(binary, 1 << 17),    frame(text, 0)};
    std::string all;
    for (const auto& part : parts) all += part;
    WebSocketFrames frames;
    std::string_view rest = all;
    for (const auto& part : parts) {
        ASSERT_EQ(frames.take_frame(rest), part.size());
        ASSERT_TRUE(frames.at_boundary());
        rest.remove_prefix(part.size());
    }
    EXPECT_EQ(frames.take_frame(rest), 0U);

    WebSocketFrames at_once;
    at_once.take(all.substr(0, all.size() - 1));
    EXPECT_FALSE(at_once.at_boundary());
    at_once.take(all.substr(all.size() - 1));
    EXPECT_TRUE(at_once.at_boundary());
}

TEST(WebSocketFrames, PayloadMayGoByUnseen) {
    const auto bytes = frame(binary, 1000);
    WebSocketFrames frames;
    frames.take(bytes.substr(0, 4));
    frames.skip_payload(0);
    EXPECT_EQ(frames.payload_left(), 1000U);
    frames.skip_payload(999);
    EXPECT_EQ(frames.payload_left(), 1U);
    EXPECT_FALSE(frames.at_boundary());
    frames.skip_payload(1);
    EXPECT_TRUE(frames.at_boundary());
    EXPECT_EQ(frames.take_frame(frame(text, 3) + "x"), 5U);
    EXPECT_TRUE(frames.at_boundary());
}

TEST(WebSocketFrames, AHeaderAloneMayBeTaken) {
    for (const auto& [name, bytes, header] : cases()) {
        SCOPED_TRACE(name);
        for (std::size_t split = 0; split <= header; ++split) {
            WebSocketFrames frames;
            ASSERT_EQ(frames.take_header(std::string_view{bytes}.substr(0, split)), split);
            ASSERT_EQ(frames.take_header(std::string_view{bytes}.substr(split, header - split)), header - split);
            ASSERT_EQ(frames.payload_left(), bytes.size() - header);
            ASSERT_EQ(frames.at_boundary(), bytes.size() == header);
            if (frames.at_boundary()) continue;
            ASSERT_EQ(frames.take_header(std::string_view{bytes}.substr(header)), 0U);
            frames.skip_payload(bytes.size() - header);
            ASSERT_TRUE(frames.at_boundary());
        }
    }
}

TEST(WebSocketFrames, KnowsThatTheServerHasSaidGoodbye) {
    WebSocketFrames frames;
    frames.take(frame(text, 200));
    EXPECT_FALSE(frames.closing());
    const auto goodbye = close_frame(1000, "done");
    frames.take(goodbye.substr(0, 1));
    EXPECT_TRUE(frames.closing());
    EXPECT_FALSE(frames.at_boundary());
    frames.take(goodbye.substr(1));
    EXPECT_TRUE(frames.closing());
    EXPECT_TRUE(frames.at_boundary());

    WebSocketFrames empty;
    empty.take(frame(close, 0));
    EXPECT_TRUE(empty.closing());
}

// RFC 6455 5.2: the first bit of 64 has to be 0. Whoever sets it has not announced a frame that could end.
TEST(WebSocketFrames, ALengthThatIsForbiddenNeverEnds) {
    WebSocketFrames frames;
    frames.take("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"s);
    EXPECT_EQ(frames.payload_left(), UINT64_MAX);
    EXPECT_EQ(frames.take_frame(std::string(100'000, '\x88')), 100'000U);
    EXPECT_EQ(frames.payload_left(), UINT64_MAX - 100'000);
    EXPECT_FALSE(frames.at_boundary());
    EXPECT_FALSE(frames.closing());
}

TEST(CloseFrame, IsUnmaskedWithCodeAndReason) {
    EXPECT_EQ(close_frame(close_going_away, "bye"),
              "\x88\x05\x03\xe9"
              "bye"s);
    EXPECT_EQ(close_frame(1000, ""), "\x88\x02\x03\xe8"s);
    const auto longest = close_frame(1001, std::string(1000, 'x'));
    EXPECT_EQ(longest.size(), 2U + 125U);
    EXPECT_EQ(longest[1], 125);
}

}  // namespace
}  // namespace nsboot_lb::forward
