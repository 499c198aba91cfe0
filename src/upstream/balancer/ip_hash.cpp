/// ip-hash: a client's whole address decides, always the same way, whatever the load.
#include "hash.hpp"
#include "hashing.hpp"
#include "policies.hpp"

namespace nsboot_lb::upstream {

namespace {

class IpHash final : public HashingBalancer {
  public:
    explicit IpHash(std::shared_ptr<const Pool> pool) : HashingBalancer(std::move(pool)) {}

  private:
    std::optional<std::size_t> choose(std::size_t tier, const PickContext& context) override {
        return first_in_line(hash_address(context.client), tier, context, unbounded);
    }
};

}  // namespace

std::unique_ptr<Balancer> make_ip_hash(std::shared_ptr<const Pool> pool) {
    return std::make_unique<IpHash>(std::move(pool));
}

}  // namespace nsboot_lb::upstream
