#pragma once
/// Where passwords are checked that no event loop has the time for: a few threads, and a bounded queue that is fair by
/// client. A check costs what the hash was made to cost, so a flood of wrong passwords must neither keep those out that
/// come with right ones nor hold up a stop. The Server owns it; workers wait in it by way of a Check.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "nsboot_lb/base/basic_credentials.hpp"
#include "nsboot_lb/base/cidr.hpp"
#include "nsboot_lb/base/htpasswd.hpp"
#include "nsboot_lb/filter/fair_queue.hpp"
#include "nsboot_lb/net/reactor.hpp"
#include "nsboot_lb/net/task.hpp"

namespace nsboot_lb::filter {

class PasswordChecks {
  public:
    /// What wait at most: all in all, and of one client (an IPv6 client is its /64).
    static constexpr std::size_t most_waiting = 512;
    static constexpr std::size_t most_waiting_per_client = 8;
    static constexpr unsigned usual_threads = 2;

    enum class Verdict : std::uint8_t {
        right,
        wrong,
        refused,  ///< too many wait already, of this client or in all
        dropped,  ///< the daemon stops, or nobody needs to know
    };

    class Check;

    explicit PasswordChecks(unsigned threads = usual_threads) : most_threads_(threads) {}
    /// Waits for the checks that are being made; drops the others.
    ~PasswordChecks();
    PasswordChecks(const PasswordChecks&) = delete;
    PasswordChecks& operator=(const PasswordChecks&) = delete;

    /// Drops what waits, and what comes from now on. From any thread.
    void stop();

  private:
    struct Job;
    using JobPtr = std::shared_ptr<Job>;

    std::optional<Verdict> enter(const JobPtr& job);
    void leave(const JobPtr& job);
    bool start_threads();
    void run();
    static void tell(const JobPtr& job, Verdict verdict);

    const unsigned most_threads_;
    std::mutex mutex_;
    // Guarded by mutex_.
    std::condition_variable work_;
    FairQueue<base::IpAddress, JobPtr> queue_{most_waiting, most_waiting_per_client};
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

/// Belongs to the coroutine that waits and to its worker; destroying it while it waits, or while the check is being
/// made, leaves the queue and wakes nobody.
class PasswordChecks::Check {
  public:
    Check(PasswordChecks& checks, net::Reactor& reactor, const base::IpAddress& client,
          std::shared_ptr<const base::Htpasswd> users, base::BasicCredentials credentials);
    ~Check();
    Check(const Check&) = delete;
    Check& operator=(const Check&) = delete;

    /// `dropped` if the scope is cancelled.
    net::Task<Verdict> wait(net::Scope& scope);

    // What wait() is made of.
    /// Whether there is a verdict at once.
    bool enter();
    Verdict verdict() const { return verdict_; }

  private:
    friend class PasswordChecks;
    void finish(Verdict verdict);

    PasswordChecks& checks_;
    net::Readiness told_;
    const JobPtr job_;
    Verdict verdict_ = Verdict::refused;
};

}  // namespace nsboot_lb::filter
