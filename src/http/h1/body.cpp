#include "nsboot_lb/http/h1/body.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nsboot_lb::http::h1 {

namespace {

iovec piece_of(std::string_view text) {
    return {const_cast<char*>(text.data()), text.size()};  // only ever read from
}

std::string_view text_of(const iovec& piece) {
    return {static_cast<const char*>(piece.iov_base), piece.iov_len};
}

/// Appends the bytes of `pieces` behind the first `skip`.
void append_rest(std::span<const iovec> pieces, std::size_t skip, Input& to) {
    for (const auto& piece : pieces) {
        const auto skipped = std::min(skip, piece.iov_len);
        to.append(text_of(piece).substr(skipped));
        skip -= skipped;
    }
}

std::size_t total_of(std::span<const iovec> pieces) {
    std::size_t total = 0;
    for (const auto& piece : pieces) total += piece.iov_len;
    return total;
}

}  // namespace

void BodyReader::begin(Framing framing, std::uint64_t content_length, const HeadLimits& limits, std::string_view lead) {
    decoder_.begin(framing, content_length, limits);
    lead_ = lead;
}

void BodyReader::hold() {
    if (!lead_.empty()) input_.append(std::exchange(lead_, {}));
}

BodySource::Batch BodyReader::try_read(std::size_t most) {
    started_ = true;
    if (!kept_.empty()) {
        scratch_.pieces[0] = piece_of(kept_.view().substr(0, most));
        batch_ = {.pieces = {scratch_.pieces.data(), 1}, .bytes = scratch_.pieces[0].iov_len};
        batch_.ended = decoder_.ended() && batch_.bytes == kept_.view().size();
        return batch_;
    }
    if (decoder_.ended()) return batch_ = {.ended = true};
    if (!lead_.empty()) return decode(lead_);
    if (stream_.reactor().turn_over()) {
        if (!input_.empty()) stream_.readable().set();  // the kernel has no event for what lies here
        return batch_ = {.status = Status::would_block};
    }
    if (!input_.empty()) {
        batch_ = decode(input_.view().substr(0, most));
        stream_.reactor().worked(input_used_);  // many small chunks are work too, though nothing is asked of the kernel
        return batch_;
    }
    const auto result = stream_.try_read(std::span{scratch_.bytes}.first(std::min(most, scratch_.bytes.size())));
    switch (result.status) {
        case net::IoStatus::ok: lead_ = {scratch_.bytes.data(), result.bytes}; return decode(lead_);
        case net::IoStatus::would_block: return batch_ = {.status = Status::would_block};
        case net::IoStatus::end:
            if (decoder_.end_of_input()) return batch_ = {.ended = true};
            return batch_ = {.status = Status::truncated};
        case net::IoStatus::failed: break;
    }
    return batch_ = {.status = Status::reset};
}

/// `bytes` are the lead, or the beginning of the input.
BodySource::Batch BodyReader::decode(std::string_view bytes) {
    batch_ = {};
    std::size_t count = 0;
    std::size_t used = 0;
    while (count < BodyScratch::most_pieces) {
        const auto piece = decoder_.next(bytes.substr(used));
        used += piece.consumed;
        if (piece.status == BodyDecoder::Status::failed) return batch_ = {.status = Status::malformed};
        if (piece.status != BodyDecoder::Status::data) break;
        scratch_.pieces[count++] = piece_of(piece.data);
        batch_.bytes += piece.data.size();
        if (used == bytes.size()) break;
    }
    batch_.pieces = {scratch_.pieces.data(), count};
    batch_.ended = decoder_.ended();
    if (lead_.empty()) {
        input_used_ = used;
    } else {
        // What is left over, of this message or the next one, stays over the wait.
        if (used < lead_.size()) input_.append(lead_.substr(used));
        lead_ = {};
    }
    return batch_;
}

void BodyReader::consume(std::uint64_t bytes) {
    if (!kept_.empty()) return kept_.consume(static_cast<std::size_t>(bytes));
    if (bytes < batch_.bytes) append_rest(batch_.pieces, static_cast<std::size_t>(bytes), kept_);
    if (input_used_ != 0) input_.consume(std::exchange(input_used_, 0));
    batch_ = {};
}

net::Stream* BodyReader::unseen() {
    const bool plain = decoder_.framing() == Framing::length || decoder_.framing() == Framing::until_close;
    return plain && !decoder_.ended() && kept_.empty() && lead_.empty() && input_.empty() ? &stream_ : nullptr;
}

std::uint64_t BodyReader::unseen_bytes() const {
    return decoder_.framing() == Framing::length ? decoder_.remaining() : UINT64_MAX;
}

BodySink::Taken BodyWriter::try_write(const BodySource::Batch& batch, std::string_view trailers) {
    return try_write({}, batch, trailers, false);
}

BodySink::Taken BodyWriter::try_write(std::string_view head, const BodySource::Batch& batch, std::string_view trailers,
                                      bool last) {
    if (holds()) {
        if (const auto flushed = try_flush(); flushed == net::IoStatus::failed) return {flushed, 0};
        if (holds()) return {net::IoStatus::would_block, 0};
    }
    const bool coded = framing_ == Framing::chunked;
    const auto pieces = coded || !head.empty() ? frame(head, batch, trailers) : batch.pieces;
    if (pieces.empty()) return {net::IoStatus::ok, 0};
    const auto result =
        last && pieces.size() == 1 ? stream_.try_write_last(text_of(pieces[0])) : stream_.try_write(pieces);
    if (result.status == net::IoStatus::failed) return {result.status, 0};
    if (coded) {
        // A chunk that was begun has to be finished as it was announced.
        hold_rest(pieces, result.bytes);
        return {net::IoStatus::ok, batch.bytes};
    }
    if (result.bytes < head.size()) {
        held_.append(head.substr(result.bytes));
        return {net::IoStatus::ok, 0};
    }
    return {head.empty() ? result.status : net::IoStatus::ok, result.bytes - head.size()};
}

/// The batch as it goes onto the wire: with a chunk's size in front and its end behind if the framing is chunked, and
/// the last chunk if the body ends with it.
std::span<const iovec> BodyWriter::frame(std::string_view head, const BodySource::Batch& batch,
                                         std::string_view trailers) {
    constexpr std::string_view after_chunk = "\r\n";
    constexpr std::string_view last_chunk = "0\r\n";
    auto* const first = scratch_.written.data();
    auto* last = first;
    if (!head.empty()) *last++ = piece_of(head);
    const bool coded = framing_ == Framing::chunked;
    if (coded && batch.bytes != 0) {
        auto* const text = scratch_.chunk_size.data();
        auto* end = std::to_chars(text, text + scratch_.chunk_size.size() - 2, batch.bytes, 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        *last++ = {text, static_cast<std::size_t>(end - text)};
    }
    last = std::ranges::copy(batch.pieces, last).out;
    if (!coded) return {first, last};
    if (batch.ended) {
        ending_.clear();
        if (batch.bytes != 0) ending_ += after_chunk;
        ((ending_ += last_chunk) += trailers) += after_chunk;
        *last++ = piece_of(ending_);
    } else if (batch.bytes != 0) {
        *last++ = piece_of(after_chunk);
    }
    return {first, last};
}

void BodyWriter::hold_rest(std::span<const iovec> pieces, std::size_t skip) {
    if (skip < total_of(pieces)) append_rest(pieces, skip, held_);
}

net::IoStatus BodyWriter::try_flush() {
    if (!holds()) return net::IoStatus::ok;
    const auto result = stream_.try_write(held_.view());
    held_.consume(result.bytes);
    return result.status;
}

}  // namespace nsboot_lb::http::h1
