#include "policies.hpp"

namespace nsboot_lb::upstream {

std::string Balancer::set_cookie(const PickContext&, std::size_t) const {
    return {};
}

bool Balancer::knows(std::string_view /*cookie_value*/) const {
    return false;
}

void Balancer::go_on_from(const Balancer& /*before*/) {}

std::unique_ptr<Balancer> make_balancer(config::Policy policy, std::shared_ptr<const Pool> pool, std::uint64_t seed) {
    switch (policy) {
        case config::Policy::round_robin:
        case config::Policy::weighted: return make_round_robin(std::move(pool), seed);
        case config::Policy::least_conn: return make_least_conn(std::move(pool), seed);
        case config::Policy::ip_hash: return make_ip_hash(std::move(pool));
        case config::Policy::cookie_sticky: return make_cookie_sticky(std::move(pool), seed);
        case config::Policy::random_two: return make_random_two(std::move(pool), seed);
        case config::Policy::uri_hash: return make_uri_hash(std::move(pool));
    }
    return nullptr;
}

}  // namespace nsboot_lb::upstream
