#pragma once
/// The addresses behind the names that servers are given by. Belongs to the control thread; look-ups happen on other
/// threads, a failed one keeps the last good answer.
#include <functional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/upstream/resolver.hpp"

namespace nsboot_lb::server {

class Names {
  public:
    /// `changed` is called on the control thread when an address came or went.
    Names(boost::asio::io_context& control, std::function<void()> changed);
    Names(const Names&) = delete;
    Names& operator=(const Names&) = delete;

    /// Looks up what is new, so that the first snapshot with it has it. Two seconds at most: a name that cannot be
    /// resolved is a warning, and its servers come when it can.
    boost::asio::awaitable<void> prepare(const config::Config& config);
    /// The same before the control thread's loop runs.
    void prepare_now(const config::Config& config);
    /// The names of the configuration in force: looked up again and again from now on, and no others.
    void follow(const config::Config& config);
    /// The configuration that names were prepared for has come to nothing: what was for it alone is forgotten.
    void forget_prepared();
    /// The last good answers.
    upstream::Addresses addresses() const;

  private:
    boost::asio::io_context& control_;
    upstream::Prepared prepared_;  ///< at the start
    upstream::Names followed_;
    upstream::Resolver resolver_;
};

}  // namespace nsboot_lb::server
