#pragma once
/// A body that is in memory: of an answer that the daemon makes itself. The text outlives it.
#include <string_view>

#include "nsboot_lb/http/body.hpp"

namespace nsboot_lb::forward {

class TextBody final : public http::BodySource {
  public:
    TextBody(net::Reactor& reactor, std::string_view text) : readable_(reactor), left_(text) { readable_.set(); }

    Batch try_read(std::size_t most) override {
        started_ = true;
        const auto text = left_.substr(0, most);
        piece_ = {const_cast<char*>(text.data()), text.size()};  // only ever read from
        return {
            .pieces = {&piece_, text.empty() ? 0U : 1U}, .bytes = text.size(), .ended = text.size() == left_.size()};
    }
    void consume(std::uint64_t bytes) override { left_.remove_prefix(static_cast<std::size_t>(bytes)); }
    net::Readiness& readable() override { return readable_; }
    bool ended() const override { return left_.empty(); }
    bool started() const override { return started_; }
    const http::Fields& trailers() const override { return no_trailers_; }
    net::Stream* unseen() override { return nullptr; }
    std::uint64_t unseen_bytes() const override { return 0; }
    void skip(std::uint64_t /*bytes*/) override {}
    bool ends_here() override { return true; }

  private:
    net::Readiness readable_;
    std::string_view left_;
    iovec piece_{};
    http::Fields no_trailers_;
    bool started_ = false;
};

}  // namespace nsboot_lb::forward
