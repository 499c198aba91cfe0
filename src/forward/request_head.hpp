#pragma once
/// The head that a server gets: the client's, without what must not cross, with what a proxied request carries
/// (docs/configuration.md, "What a proxied request carries"). Pure but for the buffer that is filled.
#include "nsboot_lb/forward/exchange.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/upstream/endpoint.hpp"

namespace nsboot_lb::forward {

/// Once per exchange, before the first attempt: decides who the client is, which of its fields are believed, and the
/// request's id. False if the request has been through this daemon before (RFC 9110 7.6.3).
bool prepare_request(Worker& worker, Exchange& exchange);

/// Fills `out` with the head for this endpoint.
void write_request_head(const Worker& worker, const Exchange& exchange, const upstream::Endpoint& endpoint,
                        http::h1::Output& out);

}  // namespace nsboot_lb::forward
