#pragma once
/// The addresses behind the names that servers are given by. Belongs to the control thread; look-ups happen on a thread
/// of their own, a failed one keeps the last good answer.
#include <functional>

#include <boost/asio/io_context.hpp>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::server {

class Names {
  public:
    /// `changed` is called on the control thread when an address came or went.
    Names(boost::asio::io_context& control, std::function<void()> changed);
    ~Names();
    Names(const Names&) = delete;
    Names& operator=(const Names&) = delete;

    /// The names of this configuration from now on. Those not known yet are looked up before this returns, so that the
    /// first snapshot has them (`first`: at the daemon's start; a name that cannot be resolved is a warning).
    void use(const config::Config& config, bool first);
    const upstream::Addresses& addresses() const;
    void stop();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace nsboot_lb::server
