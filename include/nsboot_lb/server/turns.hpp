#pragma once
/// Has coroutines of one thread do something one at a time. Whoever has no turn yet waits for it.
#include <memory>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nsboot_lb::server {

class Turns {
    struct State {
        explicit State(boost::asio::io_context& loop) : over(loop, boost::asio::steady_timer::time_point::max()) {}
        boost::asio::steady_timer over;  ///< cancelled for those who wait
        bool taken = false;
    };

  public:
    /// Over with the object, which may outlive the Turns.
    class Turn {
      public:
        explicit Turn(std::shared_ptr<State> state) : state_(std::move(state)) { state_->taken = true; }
        Turn(Turn&& other) noexcept = default;
        Turn& operator=(Turn&&) = delete;
        ~Turn() {
            if (!state_) return;
            state_->taken = false;
            state_->over.cancel();
        }

      private:
        std::shared_ptr<State> state_;
    };

    explicit Turns(boost::asio::io_context& loop) : state_(std::make_shared<State>(loop)) {}

    boost::asio::awaitable<Turn> take() {
        const auto state = state_;
        while (state->taken) co_await state->over.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        co_return Turn{state};
    }

  private:
    const std::shared_ptr<State> state_;
};

}  // namespace nsboot_lb::server
