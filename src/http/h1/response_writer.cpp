#include "nsboot_lb/http/h1/response_writer.hpp"

#include <array>

namespace nsboot_lb::http::h1 {

namespace {

/// A body that comes with its head and is not larger is copied behind it: one send of one piece.
constexpr std::size_t most_copied_bytes = 16 * 1024;

/// Whether the length has to be written anew.
bool writes_length(const ResponseHead& head) {
    // RFC 9110 8.6: none in 1xx and 204. In answers to HEAD and in 304 it says what GET would have got.
    return head.has_content_length && !head.length_in_fields && head.status >= 200 && head.status != 204;
}

}  // namespace

void ResponseWriter::write_status_line(const ResponseHead& head) {
    const auto digit = [&head](int unit) { return static_cast<char>('0' + head.status / unit % 10); };
    const std::array status{digit(100), digit(10), digit(1)};
    out_.append({"HTTP/1.1 ", {status.data(), status.size()}, " ", head.reason, "\r\n"});
}

void ResponseWriter::write_interim(const ResponseHead& head, std::string_view via) {
    out_.clear();
    write_status_line(head);
    out_.append_fields(head.fields);
    if (head.status == 101) out_.append({"Connection: Upgrade\r\nUpgrade: ", head.upgrade_value, "\r\n"});
    if (head.status != 100) out_.append({"Via: 1.1 ", via, "\r\n"});
    out_.append("\r\n");
    head_bytes_ += out_.size();
}

/// False if the connection is gone.
bool ResponseWriter::write_or_hold(std::string_view text) {
    if (!writer_.holds()) return writer_.try_write(text, {}, {}, false).status != net::IoStatus::failed;
    writer_.hold(text);
    return true;
}

bool ResponseWriter::interim(const ResponseHead& head, std::string_view via) {
    // Who cannot take them needs none (RFC 9110 15.2); a 100 that was not asked for would only confuse, and to a boot
    // client it is fatal.
    if (request_.minor_version == 0) return true;
    if (head.status == 100 && !request_.expect_continue) return true;
    // A client that has not taken the last hint yet gets no other one: they would pile up here.
    if (head.status != 100 && writer_.holds()) return true;
    write_interim(head, via);
    return write_or_hold(out_.text());
}

ResponseSink::Upgraded ResponseWriter::upgrade(const ResponseHead& head, std::string_view via) {
    write_interim(head, via);
    started_ = true;
    (void)write_or_hold(out_.text());  // a connection that is gone shows when the tunnel writes
    return {stream_, input_};
}

/// RFC 9112 9.3: only behind a request that was read to its end can the next one be found. A client that waits for a
/// 100 will not send the body.
bool ResponseWriter::body_will_be_read() const {
    if (request_.framing == Framing::none || request_body_.ended()) return true;
    if (request_body_.started() || request_.expect_continue) return false;
    return request_.framing == Framing::chunked || request_.content_length <= most_drained_bytes;
}

/// A known length stays, all else is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0.
Framing ResponseWriter::frame_body(const ResponseHead& head, bool has_body) {
    if (!has_body) return Framing::none;
    if (head.framing == Framing::length) return Framing::length;
    if (request_.minor_version > 0) return Framing::chunked;
    keeps_alive_ = false;
    return Framing::until_close;
}

void ResponseWriter::start(const ResponseStart& start) {
    const auto& head = start.head;
    started_ = true;
    keeps_alive_ = request_.keep_alive && !draining_ && !start.close && body_will_be_read();
    const auto framing = frame_body(head, start.has_body);
    chunked_ = framing == Framing::chunked;
    writer_.begin(framing);

    out_.clear();
    write_status_line(head);
    out_.append_fields(head.fields);
    if (writes_length(head)) {
        out_.append("Content-Length: ");
        out_.append_number(head.content_length);
        out_.append("\r\n");
    }
    if (chunked_) out_.append("Transfer-Encoding: chunked\r\n");
    if (!start.via.empty()) out_.append({"Via: 1.1 ", start.via, "\r\n"});
    if (!start.date.empty()) out_.append_field("Date", start.date);
    if (!keeps_alive_)
        out_.append("Connection: close\r\n");
    else if (request_.minor_version == 0)
        out_.append("Connection: keep-alive\r\n");
    for (const auto& [name, value] : start.additions) out_.append_field(name, value);
    out_.append("\r\n");
    head_bytes_ += out_.size();
    head_pending_ = true;
}

BodySink::Taken ResponseWriter::try_write(const BodySource::Batch& batch, std::string_view trailers) {
    if (!head_pending_) return writer_.try_write(batch, trailers);
    head_pending_ = false;
    const bool last = batch.ended && !keeps_alive_;
    if (writer_.holds()) {
        // Behind an interim response that the client has not taken yet.
        writer_.hold(out_.text());
        return {net::IoStatus::would_block, 0};
    }
    if (chunked_ || batch.bytes > most_copied_bytes) return writer_.try_write(out_.text(), batch, trailers, last);
    for (const auto& piece : batch.pieces) out_.append({static_cast<const char*>(piece.iov_base), piece.iov_len});
    const auto taken = writer_.try_write(out_.text(), {}, {}, last);
    return {taken.status, taken.status == net::IoStatus::ok ? batch.bytes : 0};
}

net::IoStatus ResponseWriter::try_flush() {
    return head_pending_ ? try_write({}, {}).status : writer_.try_flush();
}

}  // namespace nsboot_lb::http::h1
