#pragma once
/// Gets a response for an exchange from its route's pool: tries one endpoint after the other while that is allowed,
/// within the pool's retry policy and budget. A response is passed on once its head is accepted; what remains is an
/// answer of our own.
#include <expected>

#include "nsboot_lb/forward/filter.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::forward {

/// The response was delivered (as well as it could be), or the client gets this answer.
using Forwarded = std::expected<End, Answer>;

net::Task<Forwarded> forward(Worker& worker, Exchange& exchange);

}  // namespace nsboot_lb::forward
