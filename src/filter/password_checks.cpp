#include "nsboot_lb/filter/password_checks.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace nsboot_lb::filter {

namespace {

/// Whoever has an IPv6 address has the other 2^64 of its network as well.
base::IpAddress client_of(base::IpAddress address) {
    if (!address.is_v4()) std::fill(address.bytes.begin() + 8, address.bytes.end(), std::uint8_t{0});
    return address;
}

}  // namespace

/// What a check needs, kept alive by whoever has to do with it: the threads touch nothing of the exchange.
struct PasswordChecks::Job {
    const base::IpAddress client;
    const std::shared_ptr<const base::Htpasswd> users;
    const base::BasicCredentials credentials;
    Check* check = nullptr;           ///< touched on its worker only; null once nobody waits
    net::Reactor* reactor = nullptr;  ///< guarded by the mutex; null once nobody wants to know
};

PasswordChecks::~PasswordChecks() {
    stop();
    for (auto& thread : threads_) thread.join();
}

void PasswordChecks::stop() {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    while (!queue_.empty()) tell(queue_.take(), Verdict::dropped);
    work_.notify_all();
}

/// The verdict, if there is one at once.
std::optional<PasswordChecks::Verdict> PasswordChecks::enter(const JobPtr& job) {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return Verdict::dropped;
    if (!start_threads()) return Verdict::refused;
    const auto entered = queue_.enter(job->client, job);
    if (!entered.successful) return Verdict::refused;
    if (entered.displaced) tell(*entered.displaced, Verdict::refused);
    work_.notify_one();
    return std::nullopt;
}

void PasswordChecks::leave(const JobPtr& job) {
    const std::scoped_lock lock(mutex_);
    job->reactor = nullptr;
    queue_.leave(job->client, job);
}

/// Only daemons that check passwords have the threads. One is enough.
bool PasswordChecks::start_threads() {
    try {
        while (threads_.size() < most_threads_) threads_.emplace_back([this] { run(); });
    } catch (const std::system_error&) {
        return !threads_.empty();
    }
    return true;
}

void PasswordChecks::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
        if (stopped_) return;
        const auto job = queue_.take();
        lock.unlock();
        const bool right = job->users->verify(job->credentials.user, job->credentials.password);
        lock.lock();
        tell(job, right ? Verdict::right : Verdict::wrong);
    }
}

/// With the mutex held: who leaves waits for it, so that its worker is still there.
void PasswordChecks::tell(const JobPtr& job, Verdict verdict) {
    auto* const reactor = std::exchange(job->reactor, nullptr);
    if (reactor == nullptr) return;
    reactor->post([job, verdict] {
        if (job->check != nullptr) job->check->finish(verdict);
    });
}

PasswordChecks::Check::Check(PasswordChecks& checks, net::Reactor& reactor, const base::IpAddress& client,
                             std::shared_ptr<const base::Htpasswd> users, base::BasicCredentials credentials)
    : checks_(checks),
      told_(reactor),
      job_(std::make_shared<Job>(client_of(client), std::move(users), std::move(credentials), this, &reactor)) {}

PasswordChecks::Check::~Check() {
    job_->check = nullptr;
    checks_.leave(job_);
}

bool PasswordChecks::Check::enter() {
    const auto at_once = checks_.enter(job_);
    if (at_once) verdict_ = *at_once;
    return at_once.has_value();
}

net::Task<PasswordChecks::Verdict> PasswordChecks::Check::wait(net::Scope& scope) {
    if (enter()) co_return verdict_;
    const auto ready = co_await told_.wait(scope);
    co_return ready == net::Ready::ok ? verdict_ : Verdict::dropped;
}

/// On the worker's loop.
void PasswordChecks::Check::finish(Verdict verdict) {
    verdict_ = verdict;
    job_->check = nullptr;
    told_.set();
}

}  // namespace nsboot_lb::filter
