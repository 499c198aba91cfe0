#pragma once
/// Name look-ups by the system's resolver, on threads that nobody ever waits for: it may take its half minute, and
/// cannot be interrupted. Belongs to one thread and calls back on its loop; the Resolver has one.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "nsboot_lb/upstream/resolver.hpp"

namespace nsboot_lb::upstream {

class LookUps {
  public:
    using Done = std::function<void(const Answer&)>;
    /// So many at once; the others wait for theirs.
    static constexpr std::size_t most_at_once = 8;

    explicit LookUps(boost::asio::io_context& loop);
    /// What has no answer yet gets none. Threads that still wait for one end by themselves.
    ~LookUps();
    LookUps(const LookUps&) = delete;
    LookUps& operator=(const LookUps&) = delete;

    /// `done` is called from the loop, which has work until then.
    std::uint64_t start(const std::string& host, Done done);
    /// Of a start() whose `done` is not to be called any more. Nobody is asked, unless that has begun.
    void cancel(std::uint64_t number);

  private:
    class Core;
    const std::shared_ptr<Core> core_;
};

}  // namespace nsboot_lb::upstream
