#pragma once
/// Finds the body in what follows a head, by the message's framing (RFC 9112 6, 7). Strict where leniency is request
/// smuggling: a chunk line is hexadecimal digits, well-formed extensions of bounded length, and CRLF. Holds no body
/// bytes; belongs to one message of one connection.
#include <cstdint>
#include <string>
#include <string_view>

#include "nsboot_lb/http/h1/parse.hpp"
#include "nsboot_lb/http/head.hpp"

namespace nsboot_lb::http::h1 {

class BodyDecoder {
  public:
    enum class Status : std::uint8_t {
        data,    ///< piece.data are body bytes; there may be more in the input
        more,    ///< all input is consumed, the body goes on
        end,     ///< the body is complete; what was not consumed belongs to the next message
        failed,  ///< broken chunked coding
    };
    struct Piece {
        Status status = Status::more;
        std::size_t consumed = 0;  ///< of the input, with what was not data
        std::string_view data;
    };

    /// `limits` bound the trailer section.
    void begin(Framing framing, std::uint64_t content_length, const HeadLimits& limits);

    /// The next piece of body in `input`, which begins where the last piece's consumed ended.
    Piece next(std::string_view input);

    Framing framing() const { return framing_; }
    bool ended() const { return state_ == State::ended; }
    /// Of Framing::length: body bytes still to come.
    std::uint64_t remaining() const { return remaining_; }
    /// Notes body bytes of Framing::length or until_close that went by without next(), through a pipe.
    void skip(std::uint64_t bytes);
    /// The sender closed the connection: true if the body ends well there.
    bool end_of_input();
    /// The trailer section of an ended chunked body; views that live as long as the decoder.
    const Fields& trailers() const { return trailers_; }

  private:
    enum class State : std::uint8_t {
        plain,  ///< length or until_close
        size_first,
        size,
        extension_begin,
        extension_name,
        extension_value_begin,
        extension_value,
        extension_quoted,
        extension_escaped,
        extension_quoted_end,
        size_line_feed,
        data,
        data_carriage_return,
        data_line_feed,
        trailers,
        ended,
        failed,
    };

    Piece plain(std::string_view input);
    Piece chunked(std::string_view input);
    State after_size_char(char c);
    State extension_char(char c);
    State size_line_ended();
    Piece read_trailers(std::string_view input, std::size_t consumed);

    Framing framing_ = Framing::none;
    State state_ = State::ended;
    std::uint64_t remaining_ = 0;  ///< of the body, or of the chunk
    std::uint32_t extension_bytes_ = 0;
    std::uint32_t size_digits_ = 0;  ///< of the chunk's size, leading zeros too
    HeadLimits limits_;
    std::string trailer_bytes_;
    Fields trailers_;
};

}  // namespace nsboot_lb::http::h1
