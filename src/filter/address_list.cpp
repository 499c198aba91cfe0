#include <utility>
#include <vector>

#include "make.hpp"
#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/forward/exchange.hpp"

namespace nsboot_lb::filter {

namespace {

class AddressList final : public forward::Filter {
  public:
    AddressList(std::vector<base::Cidr> allow, std::vector<base::Cidr> deny)
        : allow_(std::move(allow)), deny_(std::move(deny)) {}

    std::string describe() const override {
        std::string text;
        if (!allow_.empty()) text += "allow " + list(allow_);
        if (!deny_.empty()) text += (text.empty() ? "" : ", ") + ("deny " + list(deny_));
        return text;
    }

    forward::RequestVerdict on_request(forward::Exchange& exchange) const override {
        const auto& client = exchange.client_address;
        const bool allowed = allow_.empty() || base::any_contains(allow_, client);
        if (allowed && !base::any_contains(deny_, client)) return {};
        return forward::error_answer(403, observe::Reason::denied);
    }

  private:
    static std::string list(const std::vector<base::Cidr>& ranges) {
        std::string text;
        for (const auto& range : ranges) text += (text.empty() ? "" : " ") + range.text();
        return text;
    }

    const std::vector<base::Cidr> allow_;  ///< empty: everybody
    const std::vector<base::Cidr> deny_;   ///< wins over allow
};

}  // namespace

FilterPtr make_address_list(const config::Route& route) {
    return std::make_unique<AddressList>(route.allow, route.deny);
}

}  // namespace nsboot_lb::filter
