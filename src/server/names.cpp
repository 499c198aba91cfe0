#include "names.hpp"
namespace nsboot_lb::server {
class Names::Impl {
  public:
    upstream::Addresses addresses;
};
Names::Names(boost::asio::io_context&, std::function<void()>) : impl_(std::make_unique<Impl>()) {}
Names::~Names() = default;
void Names::use(const config::Config&, bool) {}
const upstream::Addresses& Names::addresses() const {
    return impl_->addresses;
}
void Names::stop() {}
}  // namespace nsboot_lb::server
