#include "address_changes.hpp"

#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::server {

namespace asio = boost::asio;

/// What the coroutine holds on to.
class AddressChanges::Core : public std::enable_shared_from_this<Core> {
  public:
    Core(asio::io_context& control, Turns& turns, std::function<asio::awaitable<void>()> take_over,
         std::chrono::milliseconds pause)
        : control_(control), turns_(turns), take_over_(std::move(take_over)), pause_(pause), retry_(control) {}

    void happened() {
        outstanding_ = true;
        if (std::exchange(running_, true)) return;
        asio::co_spawn(control_, [self = shared_from_this()] { return self->run(); }, asio::detached);
    }
    void stop() {
        stopped_ = true;
        retry_.cancel();
    }

  private:
    /// Lets nothing out: nobody would hear it.
    asio::awaitable<void> run() {
        const auto self = shared_from_this();
        while (outstanding_ && !stopped_) {
            if (co_await try_once()) continue;
            retry_.expires_after(pause_);
            co_await retry_.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        running_ = false;
    }

    asio::awaitable<bool> try_once() {
        bool successful = false;
        try {
            const auto turn = co_await turns_.take();
            if (stopped_) co_return true;
            outstanding_ = false;
            co_await take_over_();
            successful = true;
        } catch (const std::exception& error) {
            outstanding_ = true;
            observe::log::error("new addresses could not be used, another try follows error={}", error.what());
        }
        co_return successful;
    }

    asio::io_context& control_;
    Turns& turns_;
    const std::function<asio::awaitable<void>()> take_over_;
    const std::chrono::milliseconds pause_;
    asio::steady_timer retry_;
    bool outstanding_ = false;
    bool running_ = false;
    bool stopped_ = false;
};

AddressChanges::AddressChanges(asio::io_context& control, Turns& turns,
                               std::function<asio::awaitable<void>()> take_over, std::chrono::milliseconds pause)
    : core_(std::make_shared<Core>(control, turns, std::move(take_over), pause)) {}

AddressChanges::~AddressChanges() {
    core_->stop();
}

void AddressChanges::happened() {
    core_->happened();
}

}  // namespace nsboot_lb::server
