#pragma once
/// The policies, one file each; how to add one: docs/decisions/balancers.md. Each makes a Balancer for one worker.
#include <cstdint>
#include <memory>

#include "nsboot_lb/upstream/balancer.hpp"

namespace nsboot_lb::upstream {

std::unique_ptr<Balancer> make_round_robin(std::shared_ptr<const Pool> pool, std::uint64_t seed);
std::unique_ptr<Balancer> make_least_conn(std::shared_ptr<const Pool> pool, std::uint64_t seed);
std::unique_ptr<Balancer> make_random_two(std::shared_ptr<const Pool> pool, std::uint64_t seed);
std::unique_ptr<Balancer> make_ip_hash(std::shared_ptr<const Pool> pool);
std::unique_ptr<Balancer> make_uri_hash(std::shared_ptr<const Pool> pool);
/// With the fallback of the pool's configuration.
std::unique_ptr<Balancer> make_cookie_sticky(std::shared_ptr<const Pool> pool, std::uint64_t seed);

}  // namespace nsboot_lb::upstream
