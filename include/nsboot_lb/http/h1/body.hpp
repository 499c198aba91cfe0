#pragma once
/// Bodies of HTTP/1 messages: a BodyReader takes one off a connection, a BodyWriter puts one onto another, and neither
/// holds more of it than one read. What a read gives lies in the worker's scratch until it is consumed; only what a
/// slow sink leaves over is copied. Each belongs to one message.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "nsboot_lb/http/body.hpp"
#include "nsboot_lb/http/h1/body_decoder.hpp"
#include "nsboot_lb/net/stream.hpp"

namespace nsboot_lb::http::h1 {

/// The worker's memory for bytes on their way through: one message's at a time, and only until the next wait.
struct BodyScratch {
    static constexpr std::size_t read_size = 256 * 1024;
    static constexpr std::size_t most_pieces = 64;
    std::array<char, read_size> bytes;
    std::array<iovec, most_pieces> pieces;       ///< of a batch
    std::array<iovec, most_pieces + 3> written;  ///< a batch with what its framing puts around it
    std::array<char, 32> chunk_size;
};

class BodyReader final : public BodySource {
  public:
    BodyReader(net::Stream& stream, Input& input, BodyScratch& scratch)
        : stream_(stream), input_(input), scratch_(scratch) {}

    /// What came behind the head lies in the input, or is `lead`, in the scratch: then it is read, or hold() called,
    /// before the coroutine waits.
    void begin(Framing framing, std::uint64_t content_length, const HeadLimits& limits, std::string_view lead = {});
    /// Keeps the lead over a wait.
    void hold();

    Batch try_read(std::size_t most) override;
    void consume(std::uint64_t bytes) override;
    net::Readiness& readable() override { return stream_.readable(); }
    bool ended() const override { return decoder_.ended() && kept_.empty() && lead_.empty(); }
    bool started() const override { return started_; }
    const Fields& trailers() const override { return decoder_.trailers(); }
    net::Stream* unseen() override;
    std::uint64_t unseen_bytes() const override;
    void skip(std::uint64_t bytes) override {
        started_ = true;
        decoder_.skip(bytes);
    }
    bool ends_here() override { return decoder_.end_of_input(); }

    Framing framing() const { return decoder_.framing(); }

  private:
    Batch decode(std::string_view bytes);
    Batch ended_or(Status status);

    net::Stream& stream_;
    Input& input_;
    BodyScratch& scratch_;
    BodyDecoder decoder_;
    std::string_view lead_;       ///< of the scratch, not decoded yet
    Input kept_;                  ///< decoded, and left over by the sink
    Batch batch_;                 ///< the last one
    std::size_t input_used_ = 0;  ///< of the input, by the last batch
    bool started_ = false;
};

/// Writes a body as its message's framing wants it.
class BodyWriter final : public BodySink {
  public:
    BodyWriter(net::Stream& stream, BodyScratch& scratch) : stream_(stream), scratch_(scratch) {}
    void begin(Framing framing) { framing_ = framing; }

    Taken try_write(const BodySource::Batch& batch, std::string_view trailers) override;
    bool holds() const override { return !held_.empty(); }
    net::IoStatus try_flush() override;
    net::Readiness& writable() override { return stream_.writable(); }
    net::Stream& connection() override { return stream_; }
    bool takes_unseen() const override {
        return held_.empty() && (framing_ == Framing::length || framing_ == Framing::until_close);
    }

    /// The same with a head in front, which is taken whole: what the socket does not take is held. `last`: nothing
    /// comes behind it but the connection's end.
    Taken try_write(std::string_view head, const BodySource::Batch& batch, std::string_view trailers, bool last);
    /// To be written before anything else.
    void hold(std::string_view bytes) { held_.append(bytes); }

  private:
    std::span<const iovec> frame(std::string_view head, const BodySource::Batch& batch, std::string_view trailers);
    void hold_rest(std::span<const iovec> pieces, std::size_t skip);

    net::Stream& stream_;
    BodyScratch& scratch_;
    Framing framing_ = Framing::none;
    Input held_;  ///< taken, and not written yet
    std::string ending_;
};

}  // namespace nsboot_lb::http::h1
