#include <utility>

#include "make.hpp"
#include "nsboot_lb/filter/filters.hpp"

namespace nsboot_lb::filter {

namespace {

/// Collects filters until one cannot be made.
class Collector {
  public:
    void add(Filters& to, FilterPtr filter) { to.push_back(std::move(filter)); }
    void add(Filters& to, MadeFilter made) {
        if (made)
            to.push_back(std::move(*made));
        else if (error.empty())
            error = std::move(made.error());
    }
    std::string error;
};

}  // namespace

// Who may not come in learns nothing else, not even that the body is too large. The response's type is looked at before
// its fields are changed, so that the answer in its place carries no change that was meant for the server's.
std::expected<RouteFilters, std::string> make_filters(const config::Route& route, const Surroundings& surroundings) {
    const bool forwards = !route.pool.empty();
    RouteFilters made;
    Collector collect;
    if (!route.allow.empty() || !route.deny.empty()) collect.add(made.request, make_address_list(route));
    if (route.basic_auth) collect.add(made.request, make_basic_auth(*route.basic_auth, surroundings));
    if (forwards) {
        if (route.max_body) collect.add(made.request, make_body_size(*route.max_body));
        if (!route.rewrite.strip_prefix.empty() || !route.rewrite.add_prefix.empty())
            collect.add(made.request, make_rewrite(route.rewrite));
        if (!route.request_headers.empty()) collect.add(made.request, make_request_headers(route.request_headers));
        if (!route.reject_content_type.empty())
            collect.add(made.response, make_reject_content_type(route.reject_content_type));
        if (!route.response_headers.empty()) collect.add(made.response, make_response_headers(route.response_headers));
    } else if (!route.response_headers.empty()) {
        collect.add(made.request, make_answer_headers(route.response_headers));
    }
    if (!collect.error.empty()) return std::unexpected(std::move(collect.error));
    return made;
}

}  // namespace nsboot_lb::filter
