#pragma once
/// How the control thread learns that every worker has taken what it was given: what goes to the workers carries a
/// token along, and the last one to let go of it, on whichever thread, has the control thread told.
#include <chrono>
#include <memory>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsboot_lb::server {

using Token = std::shared_ptr<void>;

/// A token after which `then` runs on the control thread.
template <class Then>
Token token_before(boost::asio::io_context& control, Then then) {
    return {nullptr, [&control, then = std::move(then)](void*) { boost::asio::post(control, then); }};
}

/// Lets a coroutine of the control thread wait for it.
class Adoption {
    struct State {
        explicit State(boost::asio::io_context& control) : limit(control) {}
        boost::asio::steady_timer limit;
        bool complete = false;
    };

  public:
    explicit Adoption(boost::asio::io_context& control)
        : state_(std::make_shared<State>(control)), token_(token_before(control, [state = state_] {
              state->complete = true;
              state->limit.cancel();
          })) {}

    const Token& token() const { return token_; }

    /// Whether everybody has let go of the token within that time.
    boost::asio::awaitable<bool> wait(std::chrono::milliseconds most) {
        token_.reset();
        if (!state_->complete) {
            state_->limit.expires_after(most);
            co_await state_->limit.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        }
        co_return state_->complete;
    }

  private:
    const std::shared_ptr<State> state_;
    Token token_;
};

}  // namespace nsboot_lb::server
