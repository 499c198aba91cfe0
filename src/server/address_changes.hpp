#pragma once
/// Has changed addresses taken over: soon, in turn with reloads, and again and again until it works. Nobody asks for a
/// changed answer twice, so one that is dropped would be lost for good. Control thread; the Server owns it.
#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "nsboot_lb/server/turns.hpp"

namespace nsboot_lb::server {

class AddressChanges {
  public:
    /// `take_over` makes the addresses of that moment the ones in use; what it throws is logged, and it is called again
    /// after `pause`.
    AddressChanges(boost::asio::io_context& control, Turns& turns,
                   std::function<boost::asio::awaitable<void>()> take_over,
                   std::chrono::milliseconds pause = std::chrono::milliseconds{1000});
    /// Nothing is called any more.
    ~AddressChanges();
    AddressChanges(const AddressChanges&) = delete;
    AddressChanges& operator=(const AddressChanges&) = delete;

    void happened();

  private:
    class Core;
    const std::shared_ptr<Core> core_;
};

}  // namespace nsboot_lb::server
