#include "websocket.hpp"

namespace nsboot_lb::test {
namespace {

constexpr std::string_view masking_key = "\x5a\xc3\x0f\x99";
constexpr std::size_t key_size = 4;

struct Header {
    std::size_t size = 2;
    std::size_t payload = 0;
    bool is_masked = false;
};

std::optional<Header> header_of(std::string_view bytes) {
    if (bytes.size() < 2) return std::nullopt;
    const auto second = static_cast<std::uint8_t>(bytes[1]);
    Header header{2, second & 0x7fU, (second & 0x80) != 0};
    const std::size_t extended = header.payload == 127 ? 8 : (header.payload == 126 ? 2 : 0);
    header.size += extended + (header.is_masked ? key_size : 0);
    if (bytes.size() < header.size) return std::nullopt;
    if (extended != 0) header.payload = 0;
    for (const char octet : bytes.substr(2, extended))
        header.payload = header.payload << 8 | static_cast<std::uint8_t>(octet);
    return header;
}

std::string masked(std::string_view payload, std::string_view key) {
    std::string result{payload};
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<char>(result[i] ^ key[i % key.size()]);
    return result;
}

}  // namespace

std::string frame_header(std::uint8_t first, std::uint64_t payload_size) {
    const int extended = payload_size < 126 ? 0 : (payload_size <= 0xffff ? 2 : 8);
    std::string header{static_cast<char>(first)};
    header += static_cast<char>(extended == 0 ? payload_size : (extended == 2 ? 126U : 127U));
    for (int i = extended - 1; i >= 0; --i) header += static_cast<char>(payload_size >> (8 * i) & 0xff);
    return header;
}

std::string server_frame(std::uint8_t first, std::string_view payload) {
    return frame_header(first, payload.size()).append(payload);
}

std::string client_frame(std::uint8_t first, std::string_view payload) {
    auto frame = frame_header(first, payload.size());
    frame[1] = static_cast<char>(frame[1] | 0x80);
    return frame.append(masking_key).append(masked(payload, masking_key));
}

std::string close_payload(std::uint16_t code, std::string_view reason) {
    return (std::string{static_cast<char>(code >> 8)} += static_cast<char>(code & 0xff)).append(reason);
}

std::uint16_t Frame::close_code() const {
    if (!is_close() || payload.size() < 2) return 0;
    return static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 |
                                      static_cast<std::uint8_t>(payload[1]));
}

std::optional<Frame> take_frame(std::string_view& bytes) {
    const auto header = header_of(bytes);
    if (!header || bytes.size() - header->size < header->payload) return std::nullopt;
    Frame frame{static_cast<std::uint8_t>(bytes[0]), std::string{bytes.substr(header->size, header->payload)}};
    if (header->is_masked) frame.payload = masked(frame.payload, bytes.substr(header->size - key_size, key_size));
    bytes.remove_prefix(header->size + header->payload);
    return frame;
}

Frame receive_frame(Wire& wire) {
    std::string bytes = wire.receive_exactly(2);
    while (!header_of(bytes) && bytes.size() < 14) bytes += wire.receive_exactly(1);
    bytes += wire.receive_exactly(header_of(bytes)->payload);
    std::string_view whole{bytes};
    return take_frame(whole).value();
}

}  // namespace nsboot_lb::test
