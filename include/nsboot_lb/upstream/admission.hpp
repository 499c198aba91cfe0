#pragma once
/// Picks an endpoint and takes a slot of it, in one step: what the data path calls for each attempt. On the worker that
/// owns the Balancer.
///
///     auto admitted = admit(balancer, pool, context);
///     if (!admitted && admitted.error() == Refusal::full) {
///         WaitTicket ticket{pool, context.tried, [&] { post to this worker: wake the exchange }};
///         if (!pool.state().queue.enter(ticket, now)) -> 503, queue_full
///         wait for the wake or timeouts.queue; then ticket.take(), and if that is nothing -> 503, queue_timeout
///     }
#include <expected>

#include "nsboot_lb/upstream/balancer.hpp"

namespace nsboot_lb::upstream {

/// While others wait in the pool's queue, newcomers are refused as `full`, so that they queue up behind them.
std::expected<Admitted, Refusal> admit(Balancer& balancer, const Pool& pool, const PickContext& context);

}  // namespace nsboot_lb::upstream
