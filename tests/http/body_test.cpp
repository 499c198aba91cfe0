// Bodies off one connection and onto another: what a reader gives for what a socket has, what a writer makes of it.
#include "nsboot_lb/http/h1/body.hpp"

#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "../net/loop.hpp"

namespace nsboot_lb::http::h1 {
namespace {

using net::IoStatus;
using net::testing::Peer;
using Status = BodySource::Status;

class Body : public testing::Test {
  protected:
    Body() : Body(net::testing::connected_pair(), net::testing::connected_pair()) {}

    void begin(Framing framing, std::uint64_t length = 0) { reader.begin(framing, length, HeadLimits{}); }

    static std::string text_of(const BodySource::Batch& batch) {
        std::string text;
        for (const auto& piece : batch.pieces) text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        EXPECT_EQ(text.size(), batch.bytes);
        return text;
    }
    struct Read {
        Status status;
        std::string text;
        bool ended;
    };
    /// Reads what there is and takes all of it.
    Read read(std::size_t most = BodyScratch::read_size) {
        const auto batch = reader.try_read(most);
        const Read got{batch.status, text_of(batch), batch.ended};
        reader.consume(batch.bytes);
        return got;
    }
    /// Reads what there is, has it written, and gives what came out.
    std::string written(std::string_view trailers = {}) {
        const auto batch = reader.try_read(BodyScratch::read_size);
        EXPECT_EQ(batch.status, Status::ok);
        const auto taken = writer.try_write(batch, trailers);
        EXPECT_EQ(taken.status, IoStatus::ok);
        EXPECT_EQ(taken.bytes, batch.bytes);
        EXPECT_FALSE(writer.holds());
        reader.consume(taken.bytes);
        return receiver.received();
    }
    /// Bytes in front, until the receiver's socket takes no more. Gives how many.
    std::size_t fill_up() {
        const std::string filler(4096, '-');
        std::size_t filled = 0;
        // Past the stream, whose turn it would use up.
        for (;;) {
            const auto sent = ::send(out.descriptor(), filler.data(), filler.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0) return filled;
            filled += static_cast<std::size_t>(sent);
        }
    }

    net::testing::Loop loop;
    net::Stream in{loop.reactor};
    net::Stream out{loop.reactor};
    Input input;
    Peer sender;
    Peer receiver;
    std::unique_ptr<BodyScratch> scratch = std::make_unique<BodyScratch>();
    BodyReader reader{in, input, *scratch};
    BodyWriter writer{out, *scratch};

  private:
    Body(std::array<int, 2> from, std::array<int, 2> to) : sender(from[1]), receiver(to[1]) {
        EXPECT_TRUE(in.open(from[0], true, true));
        EXPECT_TRUE(out.open(to[0], true, true));
    }
};

TEST_F(Body, OfLengthIsReadAsItArrives) {
    begin(Framing::length, 10);
    EXPECT_FALSE(reader.started());
    EXPECT_EQ(read().status, Status::would_block);
    EXPECT_TRUE(reader.started());
    sender.send("hello");
    const auto first = read();
    EXPECT_EQ(first.text, "hello");
    EXPECT_FALSE(first.ended);
    sender.send("worldnext");
    const auto last = read();
    EXPECT_EQ(last.text, "world");
    EXPECT_TRUE(last.ended);
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(input.view(), "next") << "which belongs to the next message";
    EXPECT_TRUE(read().ended);
}

TEST_F(Body, ThatThereIsNoneOfHasEnded) {
    begin(Framing::none);
    EXPECT_TRUE(reader.ended());
    sender.send("next");
    const auto nothing = read();
    EXPECT_EQ(nothing.status, Status::ok);
    EXPECT_TRUE(nothing.ended);
    EXPECT_EQ(nothing.text, "");
}

TEST_F(Body, BeginsWithWhatCameBehindTheHead) {
    begin(Framing::length, 10);
    input.append("helloworldnext");
    const auto got = read();
    EXPECT_EQ(got.text, "helloworld");
    EXPECT_TRUE(got.ended);
    EXPECT_EQ(input.view(), "next");
}

TEST_F(Body, IsReadInPortionsOfTheAskedSize) {
    begin(Framing::length, 10);
    input.append("hello");
    sender.send("world");
    EXPECT_EQ(read(3).text, "hel");
    EXPECT_EQ(read(3).text, "lo");
    EXPECT_EQ(read(3).text, "wor");
    const auto last = read(3);
    EXPECT_EQ(last.text, "ld");
    EXPECT_TRUE(last.ended);
}

TEST_F(Body, ThatIsCutShortIsNotOver) {
    begin(Framing::length, 10);
    sender.send("hello");
    EXPECT_EQ(read().text, "hello");
    sender.close();
    EXPECT_EQ(read().status, Status::truncated);
    EXPECT_FALSE(reader.ended());
}

TEST_F(Body, UntilCloseEndsWithTheConnection) {
    begin(Framing::until_close);
    sender.send("hello");
    EXPECT_FALSE(read().ended);
    sender.shutdown();
    const auto last = read();
    EXPECT_EQ(last.status, Status::ok);
    EXPECT_TRUE(last.ended);
    EXPECT_EQ(last.text, "");
    EXPECT_TRUE(reader.ended());
}

TEST_F(Body, InChunksIsGivenWithoutThem) {
    begin(Framing::chunked);
    sender.send("5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\nnext");
    const auto batch = reader.try_read(BodyScratch::read_size);
    EXPECT_EQ(batch.pieces.size(), 2U);
    EXPECT_EQ(text_of(batch), "hello world");
    EXPECT_TRUE(batch.ended);
    reader.consume(batch.bytes);
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
        const auto batch = reader.try_read(BodyScratch::read_size);
        ASSERT_EQ(batch.status, Status::ok);
        ASSERT_LE(batch.pieces.size(), BodyScratch::most_pieces);
        text += text_of(batch);
        ended = batch.ended;
        reader.consume(batch.bytes);
    }
    EXPECT_EQ(text, wanted);
    EXPECT_GE(batches, 4);
    EXPECT_TRUE(input.empty());
}

TEST_F(Body, InChunksMayEndBehindItsLastData) {
    begin(Framing::chunked);
    sender.send("5\r\nhello\r\n");
    EXPECT_FALSE(read().ended);
    sender.send("0\r\n\r");
    const auto nothing = read();
    EXPECT_EQ(nothing.status, Status::ok);
    EXPECT_EQ(nothing.text, "");
    EXPECT_FALSE(nothing.ended);
    sender.send("\n");
    EXPECT_TRUE(read().ended);
}

TEST_F(Body, InBrokenChunksIsMalformed) {
    begin(Framing::chunked);
    sender.send("5\nhello");
    EXPECT_EQ(read().status, Status::malformed);
}

TEST_F(Body, InChunksIsTruncatedWithoutTheLastOne) {
    begin(Framing::chunked);
    sender.send("5\r\nhello\r\n");
    EXPECT_EQ(read().text, "hello");
    sender.close();
    EXPECT_EQ(read().status, Status::truncated);
}

// ---- What a sink leaves over

/// Takes only the first bytes of what there is.
#define EXPECT_TAKES(count, text)                                   \
    {                                                               \
        const auto batch = reader.try_read(BodyScratch::read_size); \
        EXPECT_EQ(batch.status, Status::ok);                        \
        EXPECT_EQ(text_of(batch), text);                            \
        reader.consume(count);                                      \
    }

TEST_F(Body, ComesAgainAsFarAsItWasNotTaken) {
    begin(Framing::length, 10);
    sender.send("hello");
    EXPECT_TAKES(2U, "hello");
    scratch->bytes.fill('?');
    EXPECT_TAKES(0U, "llo");
    EXPECT_TAKES(1U, "llo");
    EXPECT_TAKES(2U, "lo");
    sender.send("worldnext");
    EXPECT_TAKES(5U, "world");
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(input.view(), "next");
}

TEST_F(Body, ComesAgainFromWhatLayInTheInput) {
    begin(Framing::length, 10);
    input.append("helloworldnext");
    EXPECT_TAKES(3U, "helloworld");
    EXPECT_EQ(input.view(), "next");
    EXPECT_TAKES(7U, "loworld");
    EXPECT_EQ(input.view(), "next");
}

TEST_F(Body, OfManyChunksComesAgainFromTheMiddleOfOne) {
    begin(Framing::chunked);
    sender.send("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\nnext");
    EXPECT_TAKES(7U, "helloworld");
    EXPECT_FALSE(reader.ended()) << "though the last chunk was read";
    EXPECT_TAKES(3U, "rld");
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(input.view(), "next");
}

TEST_F(Body, HasItsEndOnlyBehindTheLastOfWhatComesAgain) {
    begin(Framing::length, 5);
    sender.send("hello");
    auto batch = reader.try_read(BodyScratch::read_size);
    EXPECT_TRUE(batch.ended);
    reader.consume(1);
    batch = reader.try_read(2);
    EXPECT_EQ(text_of(batch), "el");
    EXPECT_FALSE(batch.ended);
    reader.consume(2);
    batch = reader.try_read(2);
    EXPECT_EQ(text_of(batch), "lo");
    EXPECT_TRUE(batch.ended);
    reader.consume(2);
    EXPECT_TRUE(reader.ended());
}

// ---- What came with the head, and lies in the scratch

class BodyWithLead : public Body {
  protected:
    void begin_with_lead(Framing framing, std::uint64_t length, std::string_view bytes) {
        bytes.copy(scratch->bytes.data(), bytes.size());
        reader.begin(framing, length, HeadLimits{}, {scratch->bytes.data(), bytes.size()});
    }
};

TEST_F(BodyWithLead, BeginsWithIt) {
    begin_with_lead(Framing::length, 10, "hello");
    EXPECT_FALSE(reader.started());
    sender.send("world");
    EXPECT_EQ(read().text, "hello");
    EXPECT_EQ(read().text, "world");
    EXPECT_TRUE(reader.ended());
}

TEST_F(BodyWithLead, LeavesWhatIsBehindTheBodyInTheInput) {
    begin_with_lead(Framing::chunked, 0, "5\r\nhello\r\n0\r\n\r\nnext");
    const auto got = read();
    EXPECT_EQ(got.text, "hello");
    EXPECT_TRUE(got.ended);
    EXPECT_EQ(input.view(), "next");
}

TEST_F(BodyWithLead, IsNotOverWhileSomeOfItHasNotBeenRead) {
    begin_with_lead(Framing::length, 5, "hello");
    EXPECT_FALSE(reader.ended());
    EXPECT_EQ(reader.unseen(), nullptr);
    EXPECT_TRUE(read().ended);
    EXPECT_TRUE(reader.ended());
}

TEST_F(BodyWithLead, IsKeptOverAWaitIfItIsHeld) {
    begin_with_lead(Framing::length, 10, "hello");
    reader.hold();
    scratch->bytes.fill('?');
    EXPECT_FALSE(reader.started());
    EXPECT_EQ(reader.unseen(), nullptr);
    EXPECT_EQ(input.view(), "hello");
    EXPECT_EQ(read(2).text, "he");
    EXPECT_EQ(read().text, "llo");
    reader.hold();
    sender.send("world");
    EXPECT_EQ(read().text, "world");
}

TEST_F(BodyWithLead, ComesAgainAsFarAsItWasNotTaken) {
    begin_with_lead(Framing::length, 10, "helloworldnext");
    EXPECT_TAKES(4U, "helloworld");
    scratch->bytes.fill('?');
    EXPECT_TAKES(6U, "oworld");
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(input.view(), "next");
}

TEST_F(BodyWithLead, OfABodyThatIsNoneIsTheNextMessages) {
    begin_with_lead(Framing::none, 0, "next");
    reader.hold();
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(input.view(), "next");
}

// ---- What may go past the reader

TEST_F(Body, IsUnseenWhereItsBytesAreNextOnTheSocket) {
    begin(Framing::length, 10);
    EXPECT_EQ(reader.unseen(), &in);
    EXPECT_EQ(reader.unseen_bytes(), 10U);
    input.append("hello");
    EXPECT_EQ(reader.unseen(), nullptr);
    (void)read();
    EXPECT_EQ(reader.unseen(), &in);
    EXPECT_EQ(reader.unseen_bytes(), 5U);
    begin(Framing::until_close);
    EXPECT_EQ(reader.unseen(), &in);
    EXPECT_EQ(reader.unseen_bytes(), UINT64_MAX);
    begin(Framing::chunked);
    EXPECT_EQ(reader.unseen(), nullptr);
    begin(Framing::none);
    EXPECT_EQ(reader.unseen(), nullptr);
}

TEST_F(Body, IsNotUnseenWhileSomeOfItHasToComeAgain) {
    begin(Framing::length, 10);
    sender.send("hello");
    EXPECT_TAKES(2U, "hello");
    EXPECT_EQ(reader.unseen(), nullptr);
    EXPECT_TAKES(3U, "llo");
    EXPECT_EQ(reader.unseen(), &in);
}

TEST_F(Body, NotesWhatWentPast) {
    begin(Framing::length, 10);
    reader.skip(4);
    EXPECT_EQ(reader.unseen_bytes(), 6U);
    EXPECT_FALSE(reader.ends_here());
    reader.skip(6);
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(reader.unseen(), nullptr);
    begin(Framing::until_close);
    reader.skip(4);
    EXPECT_FALSE(reader.ended());
    EXPECT_TRUE(reader.ends_here());
    EXPECT_TRUE(reader.ended());
}

// ---- Onto the other connection

TEST_F(Body, GoesOutAsItIsUnlessChunked) {
    begin(Framing::chunked);
    writer.begin(Framing::length);
    EXPECT_TRUE(writer.takes_unseen());
    sender.send("5\r\nhello\r\n0\r\n\r\n");
    EXPECT_EQ(written(), "hello");
}

TEST_F(Body, GoesOutInChunksOfOneReadEach) {
    begin(Framing::length, 36);
    writer.begin(Framing::chunked);
    EXPECT_FALSE(writer.takes_unseen());
    sender.send("0123456789abcdef0123456789");
    EXPECT_EQ(written(), "1a\r\n0123456789abcdef0123456789\r\n");
    sender.send("0123456789");
    EXPECT_EQ(written(), "a\r\n0123456789\r\n0\r\n\r\n");
}

TEST_F(Body, OfManyChunksGoesOutAsOne) {
    begin(Framing::chunked);
    writer.begin(Framing::chunked);
    sender.send("1;ext\r\na\r\n2\r\nbc\r\n0\r\n\r\n");
    EXPECT_EQ(written(), "3\r\nabc\r\n0\r\n\r\n");
}

TEST_F(Body, EndsWithTheTrailersThatAreSentOn) {
    begin(Framing::chunked);
    writer.begin(Framing::chunked);
    sender.send("1\r\na\r\n0\r\nX: y\r\n\r\n");
    EXPECT_EQ(written("X: y\r\n"), "1\r\na\r\n0\r\nX: y\r\n\r\n");
}

TEST_F(Body, WithoutBytesGoesOutAsTheLastChunkAlone) {
    begin(Framing::chunked);
    writer.begin(Framing::chunked);
    sender.send("0\r\n");
    EXPECT_EQ(written(), "") << "no chunk of no bytes, which would be the last";
    sender.send("\r\n");
    EXPECT_EQ(written(), "0\r\n\r\n");
}

TEST_F(Body, InAFullBatchOfChunksGoesOutWithAllThatIsAroundIt) {
    begin(Framing::chunked);
    writer.begin(Framing::chunked);
    std::string bytes;
    for (std::size_t i = 0; i < BodyScratch::most_pieces; ++i) bytes += "1\r\nx\r\n";
    sender.send(bytes + "0\r\n\r\n");
    auto all = written();
    if (!reader.ended()) all += written();
    const auto body = std::string(BodyScratch::most_pieces, 'x');
    EXPECT_EQ(all, "40\r\n" + body + "\r\n0\r\n\r\n");
}

// A chunk that was begun has to be finished as it was announced.
TEST_F(Body, InChunksIsTakenWholeAndHeldWhereTheSocketIsFull) {
    begin(Framing::length, 26);
    writer.begin(Framing::chunked);
    const auto filled = fill_up();
    sender.send("0123456789abcdef0123456789");
    auto batch = reader.try_read(BodyScratch::read_size);
    auto taken = writer.try_write(batch, {});
    EXPECT_EQ(taken.status, IoStatus::ok);
    EXPECT_EQ(taken.bytes, 26U);
    EXPECT_TRUE(writer.holds());
    reader.consume(taken.bytes);
    scratch->bytes.fill('?');
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(writer.try_flush(), IoStatus::would_block);
    EXPECT_EQ(receiver.received(), std::string(filled, '-'));
    EXPECT_EQ(writer.try_flush(), IoStatus::ok);
    EXPECT_FALSE(writer.holds());
    EXPECT_EQ(receiver.received(), "1a\r\n0123456789abcdef0123456789\r\n0\r\n\r\n");
    EXPECT_EQ(writer.try_flush(), IoStatus::ok) << "nothing is nothing to do";
}

TEST_F(Body, TakesNothingMoreWhileItHoldsSomething) {
    begin(Framing::length, 10);
    writer.begin(Framing::chunked);
    const auto filled = fill_up();
    sender.send("hello");
    auto batch = reader.try_read(BodyScratch::read_size);
    EXPECT_EQ(writer.try_write(batch, {}).bytes, 5U);
    reader.consume(5);
    sender.send("world");
    batch = reader.try_read(BodyScratch::read_size);
    auto taken = writer.try_write(batch, {});
    EXPECT_EQ(taken.status, IoStatus::would_block);
    EXPECT_EQ(taken.bytes, 0U);
    reader.consume(0);
    EXPECT_EQ(receiver.received(), std::string(filled, '-'));
    batch = reader.try_read(BodyScratch::read_size);
    EXPECT_EQ(text_of(batch), "world");
    taken = writer.try_write(batch, {});
    EXPECT_EQ(taken.status, IoStatus::ok);
    EXPECT_EQ(taken.bytes, 5U);
    EXPECT_EQ(receiver.received(), "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
}

TEST_F(Body, OfALargeChunkIsHeldFromWhereTheSocketWasFull) {
    const std::string text(BodyScratch::read_size, 'x');
    begin(Framing::length, text.size());
    writer.begin(Framing::chunked);
    input.append(text);
    const auto batch = reader.try_read(BodyScratch::read_size);
    ASSERT_EQ(batch.bytes, text.size());
    EXPECT_EQ(writer.try_write(batch, {}).bytes, text.size());
    EXPECT_TRUE(writer.holds()) << "the socket's buffer is smaller";
    EXPECT_FALSE(writer.takes_unseen());
    reader.consume(batch.bytes);
    std::string all;
    while (writer.holds()) {
        all += receiver.received();
        EXPECT_NE(writer.try_flush(), IoStatus::failed);
    }
    all += receiver.received();
    EXPECT_TRUE(all == "40000\r\n" + text + "\r\n0\r\n\r\n");
}

TEST_F(Body, OfLengthIsTakenAsFarAsTheSocketTakesIt) {
    const std::string text(BodyScratch::read_size, 'x');
    begin(Framing::length, text.size());
    writer.begin(Framing::length);
    input.append(text);
    const auto batch = reader.try_read(BodyScratch::read_size);
    auto taken = writer.try_write(batch, {});
    EXPECT_EQ(taken.status, IoStatus::ok);
    EXPECT_GT(taken.bytes, 0U);
    EXPECT_LT(taken.bytes, text.size());
    EXPECT_FALSE(writer.holds()) << "the rest is the reader's";
    reader.consume(taken.bytes);
    const auto rest = reader.try_read(BodyScratch::read_size);
    taken = writer.try_write(rest, {});
    EXPECT_EQ(taken.status, IoStatus::would_block);
    EXPECT_EQ(taken.bytes, 0U);
}

TEST_F(Body, HasAHeadInFrontThatIsTakenWhole) {
    begin(Framing::length, 5);
    writer.begin(Framing::length);
    const auto filled = fill_up();
    sender.send("hello");
    const auto batch = reader.try_read(BodyScratch::read_size);
    const auto taken = writer.try_write("head ", batch, {}, false);
    EXPECT_EQ(taken.status, IoStatus::ok);
    EXPECT_EQ(taken.bytes, 0U);
    EXPECT_TRUE(writer.holds());
    EXPECT_FALSE(writer.takes_unseen()) << "nothing may overtake it";
    reader.consume(0);
    EXPECT_EQ(receiver.received(), std::string(filled, '-'));
    const auto again = reader.try_read(BodyScratch::read_size);
    EXPECT_EQ(writer.try_write(again, {}).bytes, 5U);
    reader.consume(5);
    EXPECT_EQ(receiver.received(), "head hello");
    EXPECT_TRUE(writer.takes_unseen());
}

TEST_F(Body, CannotGoToWhoIsGone) {
    begin(Framing::length, 5);
    writer.begin(Framing::chunked);
    receiver.close();
    sender.send("hello");
    const auto batch = reader.try_read(BodyScratch::read_size);
    EXPECT_EQ(writer.try_write(batch, {}).status, IoStatus::failed);
    reader.consume(0);
    writer.hold("x");
    EXPECT_EQ(writer.try_flush(), IoStatus::failed);
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

/// A connection may idle for hours behind a large body.
TEST(Input, KeepsNoMemoryWhenItIsEmpty) {
    Input input;
    input.append(std::string(100'000, 'x'));
    const auto* const memory = input.view().data();
    input.consume(100'000);
    input.append("x");
    EXPECT_NE(input.view().data(), memory);
}

}  // namespace
}  // namespace nsboot_lb::http::h1
