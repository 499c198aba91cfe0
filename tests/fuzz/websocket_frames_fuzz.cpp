// A stream of WebSocket frames stands where a plain reading of all its bytes says, however they arrive and whether the
// payload is seen or goes by. The first byte of the input says into how large pieces the rest is cut, and its last bit
// whether payload is skipped.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "forward/websocket_frames.hpp"

namespace {

using namespace nsboot_lb;

void require(bool holds) {
    if (!holds) std::abort();
}

struct Standing {
    bool at_boundary = true;
    std::uint64_t payload_left = 0;
    bool closing = false;
    std::size_t last_boundary = 0;  ///< where the last frame that ended did
};

std::uint64_t big_endian(std::string_view octets) {
    std::uint64_t number = 0;
    for (const char octet : octets) number = number << 8 | static_cast<std::uint8_t>(octet);
    return number;
}

/// RFC 6455 5.2, read from the first byte on.
Standing stand(std::string_view bytes) {
    Standing standing;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto rest = bytes.substr(at);
        standing.at_boundary = false;
        if ((rest[0] & 0x0f) == 8) standing.closing = true;
        if (rest.size() < 2) return standing;
        const auto second = static_cast<std::uint8_t>(rest[1]);
        const std::size_t extended = (second & 0x7f) == 127 ? 8 : ((second & 0x7f) == 126 ? 2 : 0);
        const std::size_t header = 2 + extended + ((second & 0x80) != 0 ? 4 : 0);
        if (rest.size() < header) return standing;
        const auto payload = extended == 0 ? std::uint64_t{second} & 0x7f : big_endian(rest.substr(2, extended));
        const auto seen = rest.size() - header;
        if (payload > seen) {
            standing.payload_left = payload - seen;
            return standing;
        }
        at += header + static_cast<std::size_t>(payload);
        standing.at_boundary = true;
        standing.last_boundary = at;
    }
    return standing;
}

void compare(const forward::WebSocketFrames& frames, const Standing& standing) {
    require(frames.at_boundary() == standing.at_boundary);
    require(frames.payload_left() == standing.payload_left);
    require(frames.closing() == standing.closing);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > 4096) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t piece_size = std::size_t{*data} / 2 + 1;
    const bool skips = (*data & 1) != 0;
    forward::WebSocketFrames frames;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto piece = bytes.substr(at, piece_size);
        const auto unseen = std::min<std::uint64_t>(frames.payload_left(), piece.size());
        if (skips && unseen != 0) {
            frames.skip_payload(unseen);
            at += static_cast<std::size_t>(unseen);
        } else {
            const auto taken = frames.take_frame(piece);
            require(taken != 0 && taken <= piece.size());
            require(taken == piece.size() || frames.at_boundary());
            at += taken;
        }
        const auto standing = stand(bytes.substr(0, at));
        compare(frames, standing);
        // Never beyond a boundary in one go.
        if (frames.at_boundary()) require(standing.last_boundary == at);
    }
    forward::WebSocketFrames at_once;
    at_once.take(bytes);
    compare(at_once, stand(bytes));
    return 0;
}
