#include "make.hpp"
#include "nsboot_lb/base/units.hpp"
#include "nsboot_lb/forward/exchange.hpp"

namespace nsboot_lb::filter {

namespace {

class BodySize final : public forward::Filter {
  public:
    explicit BodySize(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

    std::string describe() const override { return "max_body " + base::print_size(most_bytes_); }

    forward::RequestVerdict on_request(forward::Exchange& exchange) const override {
        const auto& request = exchange.request;
        if (request.framing != http::Framing::length || request.content_length <= most_bytes_) return {};
        auto answer = forward::error_answer(413, observe::Reason::body_too_large);
        answer.close = true;  // RFC 9110 15.5.14: so that the client stops sending
        return answer;
    }

  private:
    const std::uint64_t most_bytes_;
};

}  // namespace

FilterPtr make_body_size(std::uint64_t most_bytes) {
    return std::make_unique<BodySize>(most_bytes);
}

}  // namespace nsboot_lb::filter
