#pragma once
/// One try of an exchange at one endpoint: take a connection, send the head (and start on the body), read the head of
/// the response. Then either deliver() passes the response on, or abandon() ends the try so that another can begin. An
/// Attempt lives in the coroutine that forwards; the worker's scratch holds what was read until the next wait.
#include <memory>
#include <optional>
#include <string_view>

#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/upstream/retry.hpp"
#include "relay.hpp"

namespace nsboot_lb::forward {

struct Attempt {
    Attempt(Worker& worker, Exchange& exchange, std::size_t endpoint_index, upstream::InFlight taken);
    ~Attempt() { endpoint_view.counters->connections_active.sub(); }
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    const upstream::Endpoint& endpoint;
    const EndpointView endpoint_view;
    upstream::InFlight slot;
    std::unique_ptr<upstream::Connection> connection;
    upstream::Connecting connecting;  ///< while there is no connection yet
    std::optional<http::h1::BodySource> request_body;
    std::optional<http::h1::BodySink> request_sink;
    std::optional<net::Concurrent<RelayEnd>> upload;  ///< present if the request has a body
    bool awaits_head = false;
    bool head_in_input = false;   ///< the response's head is at the beginning of the connection's input
    std::string_view rest;        ///< else: what came behind the head, in the scratch
    bool upload_stopped = false;  ///< the upload is to end, wherever it is
    bool client_gone = false;     ///< noticed by the watch on the client's connection

    bool uploaded() const { return !request_body || (request_body->ended() && (!upload || upload->done())); }
    /// Ends the waits for the server, from within any of them.
    void cancel();
    /// Ends the upload, if there is one that is going on.
    net::Task<void> stop_upload();
};

/// How the try stands when start() is done.
struct Started {
    bool has_head = false;  ///< a final response head is in worker.response_head
    bool client_gone = false;
    bool request_sent = false;
    upstream::Outcome outcome = upstream::Outcome::not_connected;
    upstream::Failure failure = upstream::Failure::connect_failed;
    int status = 502;  ///< what to answer if this was the last try
    observe::Reason reason = observe::Reason::none;
    bool client_fault = false;  ///< the request's body was broken: no other server can help
};

net::Task<Started> start(Worker& worker, Exchange& exchange, Attempt& attempt, bool fresh_connection);

/// Ends a try that will not be delivered. Its connection is closed.
net::Task<void> abandon(Attempt& attempt);

}  // namespace nsboot_lb::forward
