#include "websocket_frames.hpp"

#include <algorithm>
#include <cassert>

namespace nsboot_lb::forward {

namespace {

// RFC 6455 5.2: FIN, RSV1-3, opcode (4) | MASK, length (7) | 16 or 64 bits more of length | masking key | payload
constexpr std::uint8_t final_fragment = 0x80;
constexpr std::uint8_t opcode_bits = 0x0f;
constexpr std::uint8_t opcode_close = 0x08;
constexpr std::uint8_t masked = 0x80;
constexpr std::uint8_t length_bits = 0x7f;
constexpr std::uint8_t length_of_16_bits = 126;
constexpr std::uint8_t length_of_64_bits = 127;
constexpr std::uint8_t masking_key_size = 4;
constexpr std::size_t most_reason_size = 123;  // 5.5: a control frame has at most 125 bytes of payload

}  // namespace

void WebSocketFrames::take_octet(std::uint8_t octet) {
    ++header_seen_;
    if (header_seen_ == 1) {
        if ((octet & opcode_bits) == opcode_close) closing_ = true;
    } else if (header_seen_ == 2) {
        const std::uint8_t length = octet & length_bits;
        const bool extended = length >= length_of_16_bits;
        length_end_ = extended ? (length == length_of_64_bits ? 10 : 4) : 2;
        header_size_ = static_cast<std::uint8_t>(length_end_ + ((octet & masked) != 0 ? masking_key_size : 0));
        payload_left_ = extended ? 0 : length;
    } else if (header_seen_ <= length_end_) {
        payload_left_ = payload_left_ << 8 | octet;
    }
}

void WebSocketFrames::end_frame_if_done() {
    if (in_header() || payload_left_ != 0) return;
    header_seen_ = 0;
    header_size_ = least_header_size;
}

std::size_t WebSocketFrames::take_header(std::string_view bytes) {
    std::size_t taken = 0;
    while (in_header() && taken < bytes.size()) take_octet(static_cast<std::uint8_t>(bytes[taken++]));
    end_frame_if_done();
    return taken;
}

std::size_t WebSocketFrames::take_frame(std::string_view bytes) {
    const auto taken = take_header(bytes);
    if (in_header()) return taken;
    const auto payload = std::min<std::uint64_t>(payload_left_, bytes.size() - taken);
    payload_left_ -= payload;
    end_frame_if_done();
    return taken + static_cast<std::size_t>(payload);
}

void WebSocketFrames::skip_payload(std::uint64_t bytes) {
    assert(bytes <= payload_left());
    payload_left_ -= bytes;
    end_frame_if_done();
}

std::string close_frame(std::uint16_t code, std::string_view reason) {
    reason = reason.substr(0, most_reason_size);
    std::string frame;
    frame += static_cast<char>(final_fragment | opcode_close);
    frame += static_cast<char>(2 + reason.size());
    frame += static_cast<char>(code >> 8);
    frame += static_cast<char>(code & 0xff);
    frame += reason;
    return frame;
}

}  // namespace nsboot_lb::forward
