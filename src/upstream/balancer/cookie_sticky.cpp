/// cookie-sticky: the server that the client's cookie names, as long as it may be used; else what the fallback picks. A
/// draining server keeps its sessions, and so does an ejected one while there is nothing better. A cookie that names
/// nobody (forged, stale) is as none.
#include <algorithm>
#include <map>

#include "nsboot_lb/upstream/cookie.hpp"
#include "policies.hpp"
#include "seats.hpp"

namespace nsboot_lb::upstream {

namespace {

/// Each endpoint's cookie value, in the order of the endpoints.
std::vector<std::string> sticky_values(const Pool& pool) {
    std::map<std::string_view, int> addresses;
    for (const auto& endpoint : pool.endpoints()) ++addresses[endpoint.server];
    std::vector<std::string> values;
    for (const auto& endpoint : pool.endpoints())
        values.push_back(
            sticky_value(pool.cookie_key(), pool.name(), endpoint.server,
                         addresses[endpoint.server] > 1 ? std::string_view{endpoint.text} : std::string_view{}));
    return values;
}

class CookieSticky final : public Balancer {
  public:
    CookieSticky(std::shared_ptr<const Pool> pool, std::unique_ptr<Balancer> fallback)
        : pool_(std::move(pool)), fallback_(std::move(fallback)), values_(sticky_values(*pool_)) {
        for (std::size_t i = 0; i < values_.size(); ++i) by_value_.emplace(values_[i], i);
    }

    std::optional<std::size_t> pick(const PickContext& context) override {
        const auto named = named_by(context.cookie_value);
        return named && takes(*named, context) ? named : fallback_->pick(context);
    }

    Refusal refusal(const PickContext& context) override { return fallback_->refusal(context); }

    std::string set_cookie(const PickContext& context, std::size_t endpoint) const override {
        const auto named = named_by(context.cookie_value);
        // A session's server that was only full or slow this once keeps its session. One that refused loses it at once:
        // its next requests would go from server to server.
        if (named && (*named == endpoint || (keeps_sessions(*named, context) && !unreachable(*named, context))))
            return {};
        return set_cookie_field(pool_->config().cookie, values_[endpoint]);
    }

    bool knows(std::string_view cookie_value) const override { return by_value_.contains(cookie_value); }

    void go_on_from(const Balancer& before) override {
        if (const auto* const other = dynamic_cast<const CookieSticky*>(&before))
            fallback_->go_on_from(*other->fallback_);
    }

  private:
    std::optional<std::size_t> named_by(std::string_view value) const {
        const auto found = by_value_.find(value);
        return found != by_value_.end() ? std::optional{found->second} : std::nullopt;
    }

    Standing standing(std::size_t index, const PickContext& context) const {
        return pool_->endpoint(index).standing(context.now);
    }

    /// Whether a session stays with its server: not while that is down, nor while it is thrown out and others are not.
    bool keeps_sessions(std::size_t index, const PickContext& context) const {
        switch (standing(index, context)) {
            case Standing::available:
            case Standing::probe_due:
            case Standing::draining: return true;
            case Standing::ejected: return pool_->admits(index, context.tried, context.now);
            case Standing::unhealthy:
            case Standing::down: break;
        }
        return false;
    }

    static bool unreachable(std::size_t index, const PickContext& context) {
        return std::ranges::find(context.unreachable, index) != context.unreachable.end();
    }

    bool takes(std::size_t index, const PickContext& context) const {
        const auto& endpoint = pool_->endpoint(index);
        const auto now_standing = standing(index, context);
        if (tried(context, index) || !keeps_sessions(index, context)) return false;
        if (endpoint.max_connections != 0 && endpoint.state->in_flight() >= endpoint.max_connections) return false;
        return now_standing != Standing::probe_due || endpoint.state->claim_probe(context.now);
    }

    const std::shared_ptr<const Pool> pool_;
    const std::unique_ptr<Balancer> fallback_;
    const std::vector<std::string> values_;
    std::map<std::string_view, std::size_t> by_value_;  ///< into values_
};

}  // namespace

std::unique_ptr<Balancer> make_cookie_sticky(std::shared_ptr<const Pool> pool, std::uint64_t seed) {
    // The configuration does not let a fallback be sticky itself; a loop here would have no end.
    const auto policy = pool->config().cookie.fallback == config::Policy::cookie_sticky
                            ? config::Policy::least_conn
                            : pool->config().cookie.fallback;
    auto fallback = make_balancer(policy, pool, seed);
    return std::make_unique<CookieSticky>(std::move(pool), std::move(fallback));
}

}  // namespace nsboot_lb::upstream
