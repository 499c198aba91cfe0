#pragma once
/// The addresses behind the names that servers are given by. A Resolver belongs to the control thread and calls back on
/// it; the look-ups themselves have threads of their own that nobody waits for. A failed look-up keeps the last good
/// answer. The functions below it are pure.
#include <chrono>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "nsboot_lb/config/config.hpp"
#include "nsboot_lb/upstream/pool.hpp"

namespace nsboot_lb::upstream {

/// How often each name is looked up; the shortest of the pools that use it.
using Names = std::map<std::string, std::chrono::milliseconds, std::less<>>;
/// The names of a configuration: the hosts of its servers that are no literal addresses.
Names names_of(const config::Config& config);

/// Addresses, or what the system says why there are none.
using Answer = std::expected<std::vector<base::IpAddress>, std::string>;
/// Takes a new answer over, in an order that does not depend on the server's; whether it changed anything. A failure,
/// and an answer without addresses, leaves what was known.
bool merge_answer(Addresses& known, const std::string& host, const Answer& answer);

/// What one Resolver has found out and another goes on with.
struct Prepared {
    Addresses addresses{};
    std::set<std::string, std::less<>> failing{};  ///< and has been told
};

class Resolver {
  public:
    struct Listener {
        std::function<void()> changed;  ///< an address came or went: build a new snapshot
        /// Once when a name begins to fail, not at every look-up.
        std::function<void(std::string_view host, std::string_view why)> failing;
    };

    Resolver(boost::asio::io_context& control, Listener listener);
    /// Nothing is called back any more, and no look-up waited for.
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Looks up those of the names that are not known, before a snapshot with them is built: at start and on a reload.
    /// Calls `ready` (not from within) when each has an answer or has failed, at the latest after `patience`.
    void prepare(const Names& names, std::chrono::milliseconds patience, std::function<void()> ready);
    /// Looks these up again and again from now on, and no others: at their intervals, and every second at least while a
    /// name has no address at all. Forgets the answers for the others, and those still to come for what was prepared.
    void follow(const Names& names, Prepared prepared = {});

    const Addresses& addresses() const;

  private:
    class Core;
    std::shared_ptr<Core> core_;
};

}  // namespace nsboot_lb::upstream
