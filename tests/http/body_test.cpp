// Bodies off one connection and onto another: what a source gives for what a socket has, what a sink makes of it.
#include "nsboot_lb/http/h1/body.hpp"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "../net/loop.hpp"

namespace nsboot_lb::http::h1 {
namespace {

using Status = BodySource::Status;
using net::testing::Peer;

class Body : public testing::Test {
  protected:
    Body() : Body(net::testing::connected_pair()) {}

    void begin(Framing framing, std::uint64_t length = 0) { source.begin(framing, length, HeadLimits{}); }

    std::string text_of(const BodySource::Batch& batch) const {
        std::string text;
        for (std::size_t i = 1; i <= batch.piece_count; ++i)
            text.append(static_cast<const char*>(scratch->pieces[i].iov_base), scratch->pieces[i].iov_len);
        EXPECT_EQ(text.size(), batch.bytes);
        return text;
    }
    std::string encoded(const BodySource::Batch& batch, std::string_view trailers = {}) {
        std::string text;
        for (const auto& piece : sink.encode(batch, trailers, *scratch))
            text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        return text;
    }

    net::testing::Loop loop;
    net::Stream stream{loop.reactor};
    Input input;
    Peer sender;
    BodySource source{stream, input};
    BodySink sink{stream};
    std::unique_ptr<BodyScratch> scratch = std::make_unique<BodyScratch>();

  private:
    explicit Body(std::array<int, 2> ends) : sender(ends[1]) { EXPECT_TRUE(stream.open(ends[0], true, true)); }
};

TEST_F(Body, OfLengthIsReadAsItArrives) {
    begin(Framing::length, 10);
    EXPECT_EQ(source.read(*scratch).status, Status::would_block);
    sender.send("hello");
    const auto first = source.read(*scratch);
    EXPECT_EQ(text_of(first), "hello");
    EXPECT_FALSE(first.ended);
    sender.send("worldnext");
    const auto last = source.read(*scratch);
    EXPECT_EQ(text_of(last), "world");
    EXPECT_TRUE(last.ended);
    EXPECT_EQ(input.view(), "next") << "which belongs to the next message";
    EXPECT_TRUE(source.read(*scratch).ended);
}

TEST_F(Body, BeginsWithWhatCameBehindTheHead) {
    begin(Framing::length, 10);
    input.append("helloworldnext");
    const auto batch = source.read(*scratch);
    EXPECT_EQ(text_of(batch), "helloworld");
    EXPECT_TRUE(batch.ended);
    EXPECT_EQ(input.view(), "next");
}

TEST_F(Body, IsReadInPortionsOfTheAskedSize) {
    begin(Framing::length, 10);
    input.append("hello");
    sender.send("world");
    EXPECT_EQ(text_of(source.read(*scratch, 3)), "hel");
    EXPECT_EQ(text_of(source.read(*scratch, 3)), "lo");
    EXPECT_EQ(text_of(source.read(*scratch, 3)), "wor");
    const auto last = source.read(*scratch, 3);
    EXPECT_EQ(text_of(last), "ld");
    EXPECT_TRUE(last.ended);
}

TEST_F(Body, ThatIsCutShortIsNotOver) {
    begin(Framing::length, 10);
    sender.send("hello");
    EXPECT_EQ(text_of(source.read(*scratch)), "hello");
    sender.close();
    EXPECT_EQ(source.read(*scratch).status, Status::truncated);
}

TEST_F(Body, UntilCloseEndsWithTheConnection) {
    begin(Framing::until_close);
    sender.send("hello");
    EXPECT_FALSE(source.read(*scratch).ended);
    sender.shutdown();
    const auto last = source.read(*scratch);
    EXPECT_EQ(last.status, Status::ok);
    EXPECT_TRUE(last.ended);
    EXPECT_EQ(last.piece_count, 0U);
}

TEST_F(Body, InChunksIsGivenWithoutThem) {
    begin(Framing::chunked);
    sender.send("5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\nnext");
    const auto batch = source.read(*scratch);
    EXPECT_EQ(batch.piece_count, 2U);
    EXPECT_EQ(text_of(batch), "hello world");
    EXPECT_TRUE(batch.ended);
    EXPECT_EQ(input.view(), "next");
}

TEST_F(Body, InMoreChunksThanABatchHoldsTakesSeveralBatches) {
    begin(Framing::chunked);
    std::string bytes;
    std::string wanted;
    for (std::size_t i = 0; i < 3 * BodyScratch::most_pieces + 1; ++i) {
        wanted += static_cast<char>('a' + i % 26);
        bytes += std::string("1\r\n") + wanted.back() + "\r\n";
    }
    sender.send(bytes + "0\r\n\r\n");
    std::string text;
    int batches = 0;
    for (bool ended = false; !ended; ++batches) {
        const auto batch = source.read(*scratch);
        ASSERT_EQ(batch.status, Status::ok);
        ASSERT_LE(batch.piece_count, BodyScratch::most_pieces);
        text += text_of(batch);
        ended = batch.ended;
    }
    EXPECT_EQ(text, wanted);
    EXPECT_GE(batches, 4);
    EXPECT_TRUE(input.empty());
}

TEST_F(Body, InChunksMayEndBehindItsLastData) {
    begin(Framing::chunked);
    sender.send("5\r\nhello\r\n");
    EXPECT_FALSE(source.read(*scratch).ended);
    sender.send("0\r\n\r");
    const auto nothing = source.read(*scratch);
    EXPECT_EQ(nothing.status, Status::ok);
    EXPECT_EQ(nothing.piece_count, 0U);
    EXPECT_FALSE(nothing.ended);
    sender.send("\n");
    EXPECT_TRUE(source.read(*scratch).ended);
}

TEST_F(Body, InBrokenChunksIsMalformed) {
    begin(Framing::chunked);
    sender.send("5\nhello");
    EXPECT_EQ(source.read(*scratch).status, Status::malformed);
}

TEST_F(Body, InChunksIsTruncatedWithoutTheLastOne) {
    begin(Framing::chunked);
    sender.send("5\r\nhello\r\n");
    EXPECT_EQ(text_of(source.read(*scratch)), "hello");
    sender.close();
    EXPECT_EQ(source.read(*scratch).status, Status::truncated);
}

TEST_F(Body, IsPlainWhereItsBytesAreNextOnTheSocket) {
    begin(Framing::length, 10);
    EXPECT_TRUE(source.plain());
    input.append("hello");
    EXPECT_FALSE(source.plain());
    (void)source.read(*scratch);
    EXPECT_TRUE(source.plain());
    begin(Framing::until_close);
    EXPECT_TRUE(source.plain());
    begin(Framing::chunked);
    EXPECT_FALSE(source.plain());
    begin(Framing::none);
    EXPECT_FALSE(source.plain());
}

TEST_F(Body, GoesOutAsItIsUnlessChunked) {
    begin(Framing::chunked);
    sink.begin(Framing::length);
    EXPECT_TRUE(sink.plain());
    sender.send("5\r\nhello\r\n0\r\n\r\n");
    EXPECT_EQ(encoded(source.read(*scratch)), "hello");
}

TEST_F(Body, GoesOutInChunksOfOneReadEach) {
    begin(Framing::length, 36);
    sink.begin(Framing::chunked);
    EXPECT_FALSE(sink.plain());
    sender.send("0123456789abcdef0123456789");
    EXPECT_EQ(encoded(source.read(*scratch)), "1a\r\n0123456789abcdef0123456789\r\n");
    sender.send("0123456789");
    EXPECT_EQ(encoded(source.read(*scratch)), "a\r\n0123456789\r\n0\r\n\r\n");
}

TEST_F(Body, OfManyChunksGoesOutAsOne) {
    begin(Framing::chunked);
    sink.begin(Framing::chunked);
    sender.send("1;ext\r\na\r\n2\r\nbc\r\n0\r\n\r\n");
    EXPECT_EQ(encoded(source.read(*scratch)), "3\r\nabc\r\n0\r\n\r\n");
}

TEST_F(Body, EndsWithTheTrailersThatAreSentOn) {
    begin(Framing::chunked);
    sink.begin(Framing::chunked);
    sender.send("1\r\na\r\n0\r\nX: y\r\n\r\n");
    EXPECT_EQ(encoded(source.read(*scratch), "X: y\r\n"), "1\r\na\r\n0\r\nX: y\r\n\r\n");
}

TEST_F(Body, WithoutBytesGoesOutAsTheLastChunkAlone) {
    begin(Framing::chunked);
    sink.begin(Framing::chunked);
    sender.send("0\r\n");
    EXPECT_EQ(encoded(source.read(*scratch)), "") << "no chunk of no bytes, which would be the last";
    sender.send("\r\n");
    EXPECT_EQ(encoded(source.read(*scratch)), "0\r\n\r\n");
}

TEST(Input, HoldsWhatIsNotUsedYet) {
    Input input;
    EXPECT_TRUE(input.empty());
    input.append("hello");
    input.consume(2);
    input.append("!");
    EXPECT_EQ(input.view(), "llo!");
    input.consume(4);
    EXPECT_TRUE(input.empty());
    EXPECT_EQ(input.view(), "");
}

}  // namespace
}  // namespace nsboot_lb::http::h1
