#include "nsboot_lb/observe/reason.hpp"

namespace nsboot_lb::observe {

std::string_view to_string(Reason reason) {
    switch (reason) {
        case Reason::none: return "";
        case Reason::bad_request_line: return "bad_request_line";
        case Reason::bad_version: return "bad_version";
        case Reason::bad_target: return "bad_target";
        case Reason::bad_header: return "bad_header";
        case Reason::bad_host: return "bad_host";
        case Reason::bad_framing: return "bad_framing";
        case Reason::bad_chunk: return "bad_chunk";
        case Reason::unknown_transfer_coding: return "unknown_transfer_coding";
        case Reason::unknown_expectation: return "unknown_expectation";
        case Reason::method_refused: return "method_refused";
        case Reason::header_too_large: return "header_too_large";
        case Reason::uri_too_long: return "uri_too_long";
        case Reason::too_many_headers: return "too_many_headers";
        case Reason::body_too_large: return "body_too_large";
        case Reason::header_timeout: return "header_timeout";
        case Reason::body_timeout: return "body_timeout";
        case Reason::loop: return "loop";
        case Reason::no_route: return "no_route";
        case Reason::denied: return "denied";
        case Reason::unauthorized: return "unauthorized";
        case Reason::rate_limited: return "rate_limited";
        case Reason::too_many_connections: return "too_many_connections";
        case Reason::misdirected: return "misdirected";
        case Reason::no_server: return "no_server";
        case Reason::no_descriptors: return "no_descriptors";
        case Reason::queue_full: return "queue_full";
        case Reason::queue_timeout: return "queue_timeout";
        case Reason::connect_refused: return "connect_refused";
        case Reason::connect_timeout: return "connect_timeout";
        case Reason::connect_failed: return "connect_failed";
        case Reason::upstream_reset: return "upstream_reset";
        case Reason::upstream_closed: return "upstream_closed";
        case Reason::upstream_timeout: return "upstream_timeout";
        case Reason::upstream_protocol: return "upstream_protocol";
        case Reason::upstream_header_too_large: return "upstream_header_too_large";
        case Reason::rejected_content_type: return "rejected_content_type";
        case Reason::client_aborted: return "client_aborted";
        case Reason::client_too_slow: return "client_too_slow";
        case Reason::upstream_truncated: return "upstream_truncated";
        case Reason::upstream_stalled: return "upstream_stalled";
        case Reason::shutting_down: return "shutting_down";
        case Reason::count_: break;
    }
    return "";
}

}  // namespace nsboot_lb::observe
