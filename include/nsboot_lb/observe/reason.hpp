#pragma once
/// Why the daemon answered a request itself, or cut an exchange short. The word is the `reason` of metrics and of the
/// access log, so the set is closed and its spelling is part of the interface. Plain values, usable by any thread.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nsboot_lb::observe {

enum class Reason : std::uint8_t {
    none,
    // The client's fault: answered with a 4xx or 5xx of our own.
    bad_request_line,
    bad_version,
    bad_target,
    bad_header,
    bad_host,
    bad_framing,
    bad_chunk,
    unknown_transfer_coding,
    unknown_expectation,
    method_refused,
    header_too_large,
    uri_too_long,
    too_many_headers,
    body_too_large,
    header_timeout,
    body_timeout,
    loop,
    // Refused by configuration.
    no_route,
    denied,
    unauthorized,
    rate_limited,
    too_many_connections,
    misdirected,
    // The server's side.
    no_server,
    no_descriptors,
    queue_full,
    queue_timeout,
    connect_refused,
    connect_timeout,
    connect_failed,
    upstream_reset,
    upstream_closed,
    upstream_timeout,
    upstream_protocol,
    upstream_header_too_large,
    rejected_content_type,
    // Cut short: no status could be sent any more.
    client_aborted,
    client_too_slow,
    upstream_truncated,
    upstream_stalled,
    shutting_down,
    count_
};

inline constexpr std::size_t reason_count = static_cast<std::size_t>(Reason::count_);

/// The word in metrics and logs, such as "bad_chunk"; "" for none.
std::string_view to_string(Reason reason);

}  // namespace nsboot_lb::observe
