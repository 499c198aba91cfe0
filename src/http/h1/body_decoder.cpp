#include "nsboot_lb/http/h1/body_decoder.hpp"

#include <algorithm>

#include "scan.hpp"

namespace nsboot_lb::http::h1 {

namespace {

/// In all chunks of a body together: nobody uses extensions, but each costs work.
constexpr std::uint32_t most_extension_bytes = 4096;
/// Zeros in front say nothing, and could go on without end.
constexpr std::uint32_t most_size_digits = 16;
constexpr std::uint64_t most_before_digit = (1ULL << 63) / 16 - 1;

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char folded = static_cast<char>(c | 0x20);
    return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
}

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool is_text(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

void BodyDecoder::begin(Framing framing, std::uint64_t content_length, const HeadLimits& limits) {
    framing_ = framing;
    limits_ = limits;
    remaining_ = framing == Framing::length ? content_length : 0;
    extension_bytes_ = 0;
    trailer_bytes_.clear();
    trailers_.clear();
    switch (framing) {
        case Framing::none: state_ = State::ended; break;
        case Framing::length: state_ = content_length == 0 ? State::ended : State::plain; break;
        case Framing::until_close: state_ = State::plain; break;
        case Framing::chunked: state_ = State::size_first; break;
    }
}

BodyDecoder::Piece BodyDecoder::next(std::string_view input) {
    if (state_ == State::ended) return {Status::end, 0, {}};
    if (state_ == State::failed) return {Status::failed, 0, {}};
    if (input.empty()) return {Status::more, 0, {}};
    return state_ == State::plain ? plain(input) : chunked(input);
}

void BodyDecoder::skip(std::uint64_t bytes) {
    if (framing_ != Framing::length) return;
    remaining_ -= bytes;
    if (remaining_ == 0) state_ = State::ended;
}

bool BodyDecoder::end_of_input() {
    if (framing_ == Framing::until_close) state_ = State::ended;
    return state_ == State::ended;
}

BodyDecoder::Piece BodyDecoder::plain(std::string_view input) {
    if (framing_ == Framing::until_close) return {Status::data, input.size(), input};
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), remaining_));
    skip(size);
    return {Status::data, size, input.substr(0, size)};
}

BodyDecoder::Piece BodyDecoder::chunked(std::string_view input) {
    std::size_t at = 0;
    while (at < input.size()) {
        if (state_ == State::data) {
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(input.size() - at, remaining_));
            remaining_ -= size;
            if (remaining_ == 0) state_ = State::data_carriage_return;
            return {Status::data, at + size, input.substr(at, size)};
        }
        if (state_ == State::trailers) return read_trailers(input, at);
        const char c = input[at++];
        switch (state_) {
            case State::size_first:
            case State::size: state_ = after_size_char(c); break;
            case State::size_line_feed: state_ = c == '\n' ? size_line_ended() : State::failed; break;
            case State::data_carriage_return: state_ = c == '\r' ? State::data_line_feed : State::failed; break;
            case State::data_line_feed: state_ = c == '\n' ? State::size_first : State::failed; break;
            default: state_ = extension_char(c); break;
        }
        if (state_ == State::failed) return {Status::failed, at, {}};
    }
    return {Status::more, at, {}};
}

// RFC 9112 7.1: chunk-size is 1*HEXDIG; no prefix, sign or white space.
BodyDecoder::State BodyDecoder::after_size_char(char c) {
    if (const int digit = hex_value(c); digit >= 0) {
        if (state_ == State::size_first) remaining_ = size_digits_ = 0;
        if (remaining_ > most_before_digit || ++size_digits_ > most_size_digits) return State::failed;
        remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
        return State::size;
    }
    if (state_ == State::size_first) return State::failed;
    if (c == '\r') return State::size_line_feed;
    return c == ';' ? State::extension_begin : State::failed;
}

// RFC 9112 7.1.1: *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ). White space in front of the first
// ";" is refused as trailing white space of the size.
BodyDecoder::State BodyDecoder::extension_char(char c) {
    if (++extension_bytes_ > most_extension_bytes) return State::failed;
    switch (state_) {
        case State::extension_begin:
            if (is_blank(c)) return state_;
            return is_token_char(c) ? State::extension_name : State::failed;
        case State::extension_name:
            if (is_token_char(c)) return state_;
            if (c == '=') return State::extension_value_begin;
            break;
        case State::extension_value_begin:
            if (c == '"') return State::extension_quoted;
            return is_token_char(c) ? State::extension_value : State::failed;
        case State::extension_value:
            if (is_token_char(c)) return state_;
            break;
        case State::extension_quoted:
            if (c == '\\') return State::extension_escaped;
            if (c == '"') return State::extension_quoted_end;
            return is_text(c) ? state_ : State::failed;
        case State::extension_escaped: return is_text(c) ? State::extension_quoted : State::failed;
        default: break;  // extension_quoted_end
    }
    if (c == '\r') return State::size_line_feed;
    return c == ';' ? State::extension_begin : State::failed;
}

BodyDecoder::State BodyDecoder::size_line_ended() {
    return remaining_ == 0 ? State::trailers : State::data;
}

// The section is usually the empty line alone. It may arrive in pieces, so it is gathered until it is whole.
BodyDecoder::Piece BodyDecoder::read_trailers(std::string_view input, std::size_t consumed) {
    const auto before = trailer_bytes_.size();
    trailer_bytes_ += input.substr(consumed);
    std::size_t size = 0;
    HeadError error;
    switch (parse_trailers(trailer_bytes_, limits_, trailers_, size, error)) {
        case Parsed::complete:
            state_ = State::ended;
            // The views must survive what follows the section; the text stays where it is.
            return {Status::end, consumed + size - before, {}};
        case Parsed::incomplete:
            if (trailer_bytes_.size() > limits_.header_size) break;
            return {Status::more, input.size(), {}};
        case Parsed::failed: break;
    }
    state_ = State::failed;
    return {Status::failed, input.size(), {}};
}

}  // namespace nsboot_lb::http::h1
