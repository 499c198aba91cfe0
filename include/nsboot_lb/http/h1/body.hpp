#pragma once
/// Bodies in motion: a BodySource takes one off a connection, a BodySink puts one onto another, and neither holds more
/// of it than one read. What a read gives is a batch of views into the worker's scratch, good until the reader waits
/// for anything. Each belongs to one message of one exchange.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "nsboot_lb/http/h1/body_decoder.hpp"
#include "nsboot_lb/net/stream.hpp"

namespace nsboot_lb::http::h1 {

/// Bytes that a connection received and nobody has used yet. Usually empty, and then without memory.
class Input {
  public:
    std::string_view view() const { return std::string_view{bytes_}.substr(begin_); }
    bool empty() const { return begin_ == bytes_.size(); }
    void append(std::string_view bytes) { bytes_ += bytes; }
    void consume(std::size_t size) {
        begin_ += size;
        if (empty()) clear();
    }
    /// Forgets the bytes, and the memory too.
    void clear() {
        bytes_ = {};
        begin_ = 0;
    }

  private:
    std::string bytes_;
    std::size_t begin_ = 0;
};

/// The worker's memory for bytes on their way through: one message's at a time, and only until the next wait.
struct BodyScratch {
    static constexpr std::size_t read_size = 256 * 1024;
    static constexpr std::size_t most_pieces = 64;
    std::array<char, read_size> bytes;
    std::array<iovec, most_pieces + 2> pieces;  ///< with room for what chunked coding puts around them
    std::array<char, 32> chunk_size;
};

class BodySource {
  public:
    BodySource(net::Stream& stream, Input& input) : stream_(&stream), input_(&input) {}

    void begin(Framing framing, std::uint64_t content_length, const HeadLimits& limits) {
        decoder_.begin(framing, content_length, limits);
    }

    enum class Status : std::uint8_t {
        ok,           ///< pieces, the end, or both
        would_block,  ///< wait until the stream is readable
        truncated,    ///< the sender closed in mid-body
        reset,        ///< the connection broke
        malformed,    ///< broken chunked coding
    };
    struct Batch {
        Status status = Status::ok;
        std::size_t piece_count = 0;  ///< of scratch.pieces
        std::uint64_t bytes = 0;
        bool ended = false;
    };
    /// What there is to read now, at most `most` bytes of it from the socket. Bytes of the next message stay in the
    /// input.
    Batch read(BodyScratch& scratch, std::size_t most = BodyScratch::read_size);

    net::Stream& stream() { return *stream_; }
    Input& input() { return *input_; }
    BodyDecoder& decoder() { return decoder_; }
    bool ended() const { return decoder_.ended(); }
    /// Whether the next bytes of the socket are bytes of the body as they are.
    bool plain() const {
        return input_->empty() && !decoder_.ended() &&
               (decoder_.framing() == Framing::length || decoder_.framing() == Framing::until_close);
    }

  private:
    Batch decode(std::string_view bytes, bool from_input, BodyScratch& scratch);

    net::Stream* stream_;
    Input* input_;
    BodyDecoder decoder_;
};

class BodySink {
  public:
    explicit BodySink(net::Stream& stream) : stream_(&stream) {}
    void begin(Framing framing) { framing_ = framing; }

    net::Stream& stream() { return *stream_; }
    Framing framing() const { return framing_; }
    /// Whether body bytes go onto the socket as they are.
    bool plain() const { return framing_ == Framing::length || framing_ == Framing::until_close; }

    /// The batch in scratch.pieces as it goes onto the wire: with a chunk's size in front and its end behind if the
    /// framing is chunked, and the last chunk if the body ends with it (`trailers`: whole lines, or nothing).
    std::span<const iovec> encode(const BodySource::Batch& batch, std::string_view trailers, BodyScratch& scratch);

  private:
    net::Stream* stream_;
    Framing framing_ = Framing::none;
    std::string ending_;
};

}  // namespace nsboot_lb::http::h1
