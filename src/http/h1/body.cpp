#include "nsboot_lb/http/h1/body.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nsboot_lb::http::h1 {

namespace {
iovec piece_of(std::string_view text) {
    return {const_cast<char*>(text.data()), text.size()};
}  // only ever read from
}  // namespace

BodySource::Batch BodySource::read(BodyScratch& scratch, std::size_t most) {
    if (decoder_.ended()) return {.status = Status::ok, .ended = true};
    if (!input_->empty()) return decode(input_->view().substr(0, most), true, scratch);
    const auto result = stream_->read_some(std::span{scratch.bytes}.first(std::min(most, scratch.bytes.size())));
    switch (result.status) {
        case net::IoStatus::ok: return decode({scratch.bytes.data(), result.bytes}, false, scratch);
        case net::IoStatus::would_block: return {.status = Status::would_block};
        case net::IoStatus::end:
            if (decoder_.end_of_input()) return {.status = Status::ok, .ended = true};
            return {.status = Status::truncated};
        case net::IoStatus::failed: return {.status = Status::reset};
    }
    return {.status = Status::reset};
}

BodySource::Batch BodySource::decode(std::string_view bytes, bool from_input, BodyScratch& scratch) {
    Batch batch;
    std::size_t used = 0;
    while (batch.piece_count < BodyScratch::most_pieces) {
        const auto piece = decoder_.next(bytes.substr(used));
        used += piece.consumed;
        if (piece.status == BodyDecoder::Status::failed) return {.status = Status::malformed};
        if (piece.status != BodyDecoder::Status::data) break;
        // The first place is for a chunk's size.
        scratch.pieces[1 + batch.piece_count++] = piece_of(piece.data);
        batch.bytes += piece.data.size();
        if (used == bytes.size()) break;
    }
    batch.ended = decoder_.ended();
    if (!from_input) {
        if (used < bytes.size()) input_->append(bytes.substr(used));
        return batch;
    }
    if (batch.piece_count != 0) {
        // The pieces must not lie in the input, which is about to change.
        std::size_t size = 0;
        for (std::size_t i = 1; i <= batch.piece_count; ++i) {
            auto& piece = scratch.pieces[i];
            std::memcpy(scratch.bytes.data() + size, piece.iov_base, piece.iov_len);
            piece.iov_base = scratch.bytes.data() + size;
            size += piece.iov_len;
        }
    }
    input_->consume(used);
    return batch;
}

std::span<const iovec> BodySink::encode(const BodySource::Batch& batch, std::string_view trailers,
                                        BodyScratch& scratch) {
    if (framing_ != Framing::chunked) return {scratch.pieces.data() + 1, batch.piece_count};
    constexpr std::string_view after_chunk = "\r\n";
    constexpr std::string_view last_chunk = "0\r\n";
    auto* const first = scratch.pieces.data();
    auto* last = first + 1 + batch.piece_count;
    if (batch.bytes != 0) {
        auto* const text = scratch.chunk_size.data();
        auto* end = std::to_chars(text, text + scratch.chunk_size.size() - 2, batch.bytes, 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        *first = {text, static_cast<std::size_t>(end - text)};
    }
    if (batch.ended) {
        ending_.clear();
        if (batch.bytes != 0) ending_ += after_chunk;
        ((ending_ += last_chunk) += trailers) += after_chunk;
        *last++ = piece_of(ending_);
    } else if (batch.bytes != 0) {
        *last++ = piece_of(after_chunk);
    }
    return {batch.bytes != 0 ? first : first + 1, last};
}

}  // namespace nsboot_lb::http::h1
