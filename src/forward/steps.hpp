#pragma once
/// The steps of serve() and forward() that explain() takes too: the same functions, so that what it tells is what
/// happens. On the worker of the exchange.
#include <optional>
#include <string_view>

#include "notes.hpp"
#include "nsboot_lb/forward/filter.hpp"
#include "nsboot_lb/forward/worker.hpp"
#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/upstream/balancer.hpp"

namespace nsboot_lb::forward {

/// What the daemon can answer without a server, up to the first filter that needs time (serve.cpp).
struct Here {
    std::optional<Answer> answer;
    std::size_t filter = 0;  ///< of the route's request filters: the next one to ask
    bool later = false;      ///< that one has asked for time: answer_later()
};
Here answer_here(Worker& worker, Exchange& exchange, Notes* notes = nullptr);
/// Gives the filter its time and goes on behind it.
net::Task<Here> answer_later(Worker& worker, Exchange& exchange, std::size_t filter, Notes* notes = nullptr);

/// The first value of the pool's cookie in the request's Cookie fields that names a server; one of another site on the
/// domain, or of a server that is gone, hides none behind it (forward.cpp).
std::string_view find_cookie(const Exchange& exchange);

/// What a pick for this exchange goes by (forward.cpp).
upstream::PickContext context_of(const Worker& worker, const Exchange& exchange, std::string_view cookie);

/// Lets the route's filters and the balancer's cookie have their say about worker.response_head, which is of
/// `endpoint`. An answer takes its place (forward.cpp).
std::optional<Answer> filter_response(Worker& worker, Exchange& exchange, std::size_t endpoint,
                                      const upstream::PickContext& context, Notes* notes = nullptr);

}  // namespace nsboot_lb::forward
