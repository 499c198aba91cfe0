#pragma once
/// Decides which endpoint of a pool an exchange goes to. A Balancer belongs to one worker (its cursors and tables are
/// plain fields, pick() is not thread-safe); what all workers share is in the EndpointStates. There is one per worker,
/// pool and policy, living as long as the worker's view of the pool; the next view's goes on where it stands.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/upstream/endpoint.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::upstream {

struct PickContext {
    base::IpAddress client;                ///< for ip-hash
    std::string_view path;                 ///< of the target as it came, for uri-hash; a query behind it is left out
    std::string_view cookie_value;         ///< of the pool's cookie, one that the balancer knows(); for cookie-sticky
    std::span<const std::uint16_t> tried;  ///< endpoints this exchange has tried already
    TimePoint now;
    std::span<const std::uint16_t> unreachable = {};  ///< of `tried`: those that no connection could be made to
};

/// Why there is nothing to pick.
enum class Refusal : std::uint8_t {
    no_server,  ///< none is available: 503
    all_tried,  ///< the exchange has been everywhere: answer with what the last attempt gave
    full,       ///< max_connections binds on all that are left: wait in the pool's queue
};

class Balancer {
  public:
    virtual ~Balancer() = default;
    /// The endpoint's index in the pool. Weight, drain, health, ejection, slow start, backup and max_connections hold
    /// for every policy. Never allocates. Time may not run backwards between calls.
    virtual std::optional<std::size_t> pick(const PickContext& context) = 0;
    /// Why a pick() gave (or would give) nothing.
    virtual Refusal refusal(const PickContext& context) = 0;
    /// The value of a Set-Cookie field to add to the response of `endpoint`, empty if none is needed. Only of
    /// cookie-sticky; may allocate.
    virtual std::string set_cookie(const PickContext& context, std::size_t endpoint) const;
    /// Whether a cookie of that value names an endpoint of the pool. Only of cookie-sticky.
    virtual bool knows(std::string_view cookie_value) const;
    /// Takes its turn from another one of the same policy, over an earlier Pool of the same state: servers that both
    /// have keep what they have coming. Before the first pick().
    virtual void go_on_from(const Balancer& before);
};

/// `seed` differs from worker to worker (its number does), so that they do not march in step. Some policies make tables
/// for the whole pool the first time; call this on the control thread, then hand the Balancer to its worker.
std::unique_ptr<Balancer> make_balancer(config::Policy policy, std::shared_ptr<const Pool> pool, std::uint64_t seed);

/// A picked endpoint with a slot of it taken.
struct Admitted {
    std::size_t endpoint = 0;
    InFlight slot;
};

}  // namespace nsboot_lb::upstream
