// A chunked body is the same however it arrives, and what is taken for one is one for Boost.Beast too, with the same
// data. The first byte of the input says into how large pieces the rest is cut.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "beast_parser.hpp"
#include "nsboot_lb/http/h1/body_decoder.hpp"

namespace {

using namespace nsboot_lb;
using Status = http::h1::BodyDecoder::Status;

void require(bool holds) {
    if (!holds) std::abort();
}

struct Decoded {
    Status status = Status::more;
    std::string data;
    std::size_t consumed = 0;
    std::size_t trailers = 0;
    bool is_special = false;  ///< a trailer that Beast takes for one of the head
    bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string_view bytes, std::size_t piece_size) {
    http::h1::BodyDecoder decoder;
    decoder.begin(http::Framing::chunked, 0, {});
    Decoded decoded;
    while (!bytes.empty() && decoded.status != Status::end && decoded.status != Status::failed) {
        auto part = bytes.substr(0, piece_size);
        bytes.remove_prefix(part.size());
        do {
            const auto piece = decoder.next(part);
            require(piece.consumed <= part.size() && piece.data.size() <= piece.consumed);
            require(piece.status != Status::data || !piece.data.empty());
            require(piece.status != Status::more || piece.consumed == part.size());
            part.remove_prefix(piece.consumed);
            decoded.consumed += piece.consumed;
            decoded.data += piece.data;
            decoded.status = piece.status;
        } while (decoded.status == Status::data);
    }
    require(decoder.ended() == (decoded.status == Status::end));
    require(decoder.end_of_input() == decoder.ended());
    if (decoded.status == Status::failed) decoded.consumed = 0;  // how much of a broken body was looked at says nothing
    if (decoded.status != Status::end) return decoded;
    decoded.trailers = decoder.trailers().size();
    for (const auto& field : decoder.trailers())
        decoded.is_special = decoded.is_special || field.id == http::FieldId::connection ||
                             field.id == http::FieldId::proxy_connection || field.id == http::FieldId::content_length ||
                             field.id == http::FieldId::transfer_encoding;
    return decoded;
}

void compare_with_beast(const Decoded& decoded, std::string_view bytes) {
    beast_opinion::Parser<false> beast;
    beast.eager(true);
    const auto message = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(bytes);
    std::string_view rest = message;
    const auto error = beast.read(rest);
    require(!error && beast.is_done() && rest.empty());
    require(beast.body == decoded.data);
    require(beast.fields.size() == 1 + decoded.trailers);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = decode(bytes, bytes.size());
    require(decode(bytes, std::size_t{*data} + 1) == whole);
    require(decode(bytes, 1) == whole);
    if (whole.status == Status::end && !whole.is_special) compare_with_beast(whole, bytes.substr(0, whole.consumed));
    return 0;
}
