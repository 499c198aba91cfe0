#pragma once
/// The head that the client gets of a server's response, and how the body behind it will be framed for this client.
/// Pure but for the buffer that is filled.
#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/forward/worker.hpp"

namespace nsboot_lb::forward {

/// RFC 9112 6.3, 1 and 2: whether a body follows, whatever the fields say.
bool has_body(http::Method method, int status);

struct ClientFraming {
    http::Framing framing = http::Framing::none;
    bool keep_alive = true;  ///< the client connection can be used afterwards
};

/// How to send a response to this client: a known length stays, all else is chunked for HTTP/1.1 and ends with the
/// connection for HTTP/1.0. `request_read` says that the request's body has been read to its end.
ClientFraming frame_for_client(const Worker& worker, const Exchange& exchange, const http::ResponseHead& head,
                               bool request_read);

/// Fills `out` with a final response's head.
void write_response_head(Worker& worker, const Exchange& exchange, const http::ResponseHead& head,
                         const ClientFraming& framing, http::h1::Output& out);

/// Fills `out` with an interim response's head (1xx), or with that of a 101 and its Upgrade.
void write_interim_head(const Worker& worker, const http::ResponseHead& head, http::h1::Output& out);

}  // namespace nsboot_lb::forward
