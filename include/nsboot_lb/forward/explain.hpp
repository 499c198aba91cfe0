#pragma once
/// What would become of a request, without anything being sent: for `nsboot-lb explain`. It takes the very steps of
/// serve() and forward() and writes down what they decide. On the thread of its worker, which has no traffic.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "nsboot_lb/forward/filter.hpp"
#include "nsboot_lb/net/task.hpp"
#include "nsboot_lb/route/route_table.hpp"

namespace nsboot_lb::forward {

/// A filter that was asked, and what it did.
struct FilterNote {
    std::string filter;                ///< as it describes itself
    std::vector<std::string> effects;  ///< "takes Cookie away", "adds X-Role: admin"; none: it lets things be
    bool answers = false;              ///< with Explanation::answer
};

struct Explanation {
    std::optional<route::Explanation> routes;  ///< nothing where the request is answered before a route is looked for
    std::vector<FilterNote> request_filters;
    std::optional<Answer> answer;         ///< the daemon's own; nothing where a server answers
    std::optional<std::size_t> endpoint;  ///< of the pool: who would be asked first
    std::string request_head;             ///< what that server would get
    /// Those that will look at the response, with what they do to any.
    std::vector<FilterNote> response_filters;
};

/// `exchange` is as for serve(). Afterwards it holds what was decided: route, client, additions.
net::Task<Explanation> explain(Worker& worker, Exchange& exchange);

}  // namespace nsboot_lb::forward
