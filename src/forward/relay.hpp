#pragma once
/// Moves one body from a BodySource to a BodySink, as fast as the slower side allows and with no more of it in memory
/// than one read: awaiting the write is the back-pressure. Large plain bodies go through a pipe in the kernel instead.
#include <cstdint>

#include "nsboot_lb/forward/bandwidth.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/http/h1/body.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::forward {

enum class RelayEnd : std::uint8_t {
    complete,          ///< all of the body went over, with its end
    source_truncated,  ///< the source closed in mid-body
    source_reset,
    source_malformed,  ///< broken chunked coding
    source_timed_out,
    sink_failed,
    sink_timed_out,
    too_slow,   ///< the client is below timeouts.min_rate
    too_large,  ///< more than `most_bytes`
    cancelled,
};

struct RelayPlan {
    http::h1::BodySource* source = nullptr;
    http::h1::BodySink* sink = nullptr;
    net::DeadlineList* source_limit = nullptr;  ///< of one wait for the source
    net::DeadlineList* sink_limit = nullptr;
    bool client_is_source = false;
    std::uint64_t least_rate = 0;           ///< bytes per second that the client has to take or give; 0 = any
    std::uint64_t most_bytes = UINT64_MAX;  ///< of the body
    bool forward_trailers = false;
    Bandwidth::Share* bandwidth = nullptr;  ///< null: no limit
    const bool* stop = nullptr;             ///< if given: becomes true with a cancel() that finds nobody waiting
    MovedBytes* moved = nullptr;            ///< counts body bytes; never null
};

net::Task<RelayEnd> relay(Worker& worker, RelayPlan plan);

}  // namespace nsboot_lb::forward
