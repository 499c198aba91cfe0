#pragma once
/// WebSocket as raw bytes: the two heads of a handshake, and frames made and taken apart (RFC 6455 4, 5.2). Values, for
/// any thread.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire.hpp"

namespace nsboot_lb::test {

inline const std::string websocket_request =
    "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
inline const std::string websocket_response =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

/// First bytes of frames: FIN and opcode.
inline constexpr std::uint8_t text_frame = 0x81;
inline constexpr std::uint8_t binary_frame = 0x82;
inline constexpr std::uint8_t close_frame = 0x88;
inline constexpr std::uint8_t first_fragment = 0x01;
inline constexpr std::uint8_t last_fragment = 0x80;

/// As a server sends it; a client's is masked.
std::string server_frame(std::uint8_t first, std::string_view payload);
std::string client_frame(std::uint8_t first, std::string_view payload);
/// The header alone of a server's frame.
std::string frame_header(std::uint8_t first, std::uint64_t payload_size);
/// The payload of a close frame.
std::string close_payload(std::uint16_t code, std::string_view reason);

struct Frame {
    std::uint8_t first = 0;
    std::string payload;  ///< unmasked

    bool is_close() const { return first == close_frame; }
    /// Of a close frame that has one; else 0.
    std::uint16_t close_code() const;
};

/// Takes the frame at the beginning of the bytes away, if it is there whole.
std::optional<Frame> take_frame(std::string_view& bytes);
/// The next frame; throws Failure if the stream ends before it does.
Frame receive_frame(Wire& wire);

}  // namespace nsboot_lb::test
