#pragma once
/// Writes the response of one request onto an HTTP/1 client connection: decides how the body is framed for this client
/// and whether the connection can be used afterwards (RFC 9112 6, 9.3). Made by the session for each request.
#include "nsboot_lb/http/body.hpp"
#include "nsboot_lb/http/h1/body.hpp"
#include "nsboot_lb/http/h1/output.hpp"

namespace nsboot_lb::http::h1 {

class ResponseWriter final : public ResponseSink {
  public:
    /// A request body that nobody wanted is read up to this, so that the connection can be kept.
    static constexpr std::uint64_t most_drained_bytes = 64 * 1024;

    /// `draining`: connections close after the response that they are in; looked at when that begins. `out` is the
    /// worker's: what begins a response writes it before it waits.
    ResponseWriter(net::Stream& stream, Input& input, BodyScratch& scratch, Output& out, const RequestHead& request,
                   const BodyReader& request_body, const bool& draining)
        : stream_(stream),
          input_(input),
          out_(out),
          request_(request),
          request_body_(request_body),
          draining_(draining),
          writer_(stream, scratch) {}

    bool interim(const ResponseHead& head, std::string_view via) override;
    void start(const ResponseStart& start) override;
    Upgraded upgrade(const ResponseHead& head, std::string_view via) override;
    std::uint64_t head_bytes() const override { return head_bytes_; }
    bool started() const override { return started_; }

    Taken try_write(const BodySource::Batch& batch, std::string_view trailers) override;
    bool holds() const override { return writer_.holds(); }
    net::IoStatus try_flush() override;
    net::Readiness& writable() override { return writer_.writable(); }
    net::Stream& connection() override { return stream_; }
    bool takes_unseen() const override { return !head_pending_ && writer_.takes_unseen(); }

    /// What the client was told about the connection. Its request's body may still have to be drained.
    bool keeps_alive() const { return keeps_alive_; }

  private:
    Framing frame_body(const ResponseHead& head, bool has_body);
    bool body_will_be_read() const;
    void write_status_line(const ResponseHead& head);
    bool write_or_hold(std::string_view text);
    void write_interim(const ResponseHead& head, std::string_view via);

    net::Stream& stream_;
    Input& input_;
    Output& out_;
    const RequestHead& request_;
    const BodyReader& request_body_;
    const bool& draining_;
    BodyWriter writer_;
    std::uint64_t head_bytes_ = 0;
    bool head_pending_ = false;  ///< in `out_`, to be written with what comes next
    bool chunked_ = false;
    bool started_ = false;
    bool keeps_alive_ = false;
};

}  // namespace nsboot_lb::http::h1
