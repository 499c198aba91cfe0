#pragma once
/// Where in its frames a stream of WebSocket bytes stands (RFC 6455 5.2), so that a frame of our own can be put between
/// two of the server's. It looks at headers alone and holds no payload: a small message costs one header. A value; it
/// belongs to one direction of one tunnel. What breaks the framing rules is not its business: the two ends judge that.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nsboot_lb::forward {

class WebSocketFrames {
  public:
    static constexpr std::size_t most_header_size = 14;

    /// Takes bytes as they come, at most to the end of the frame that the stream is in. Gives how many it took: all of
    /// them, unless a frame ended before.
    std::size_t take_frame(std::string_view bytes);
    /// Takes all of the bytes.
    void take(std::string_view bytes) {
        if (is_short_message(bytes)) return;
        while (!bytes.empty()) bytes.remove_prefix(take_frame(bytes));
    }
    /// Takes no more than what is left of a header at the beginning of the bytes. Gives how much that is.
    std::size_t take_header(std::string_view bytes);
    /// Payload bytes that went by unseen, at most payload_left().
    void skip_payload(std::uint64_t bytes);

    /// Between two frames, where a control frame may stand even if they are fragments of one message (5.4).
    bool at_boundary() const { return header_seen_ == 0; }
    /// Of the frame that the stream is in, as far as its header is known. A length that the RFC forbids (its first bit
    /// is set) is taken at its word: such a frame never ends.
    std::uint64_t payload_left() const { return in_header() ? 0 : payload_left_; }
    /// Whether a close frame has begun: what comes behind it does not count (5.5.1).
    bool closing() const { return closing_; }

  private:
    static constexpr std::uint8_t least_header_size = 2;
    static constexpr std::uint8_t most_short_payload = 125;
    static constexpr std::uint8_t control_opcode_bit = 0x08;

    /// Exactly one frame, short, unmasked and with data: what most reads give. It leaves the stream as it was.
    bool is_short_message(std::string_view bytes) const {
        return at_boundary() && bytes.size() >= least_header_size &&
               bytes.size() <= least_header_size + most_short_payload &&
               static_cast<std::uint8_t>(bytes[1]) == bytes.size() - least_header_size &&
               (bytes[0] & control_opcode_bit) == 0;
    }
    bool in_header() const { return header_seen_ < header_size_; }
    void take_octet(std::uint8_t octet);
    void end_frame_if_done();

    std::uint64_t payload_left_ = 0;  ///< while in the header, the part of the length that was seen
    std::uint8_t header_seen_ = 0;    ///< bytes of the header so far; 0 = between two frames
    std::uint8_t header_size_ = least_header_size;
    std::uint8_t length_end_ = 0;  ///< where in the header an extended length ends
    bool closing_ = false;
};

/// A whole close frame as a server sends it: unmasked. `reason` is text in ASCII, cut to what a control frame holds.
std::string close_frame(std::uint16_t code, std::string_view reason);

/// Close code of an endpoint that goes away, such as a server that is stopped (7.4.1).
inline constexpr std::uint16_t close_going_away = 1001;

}  // namespace nsboot_lb::forward
