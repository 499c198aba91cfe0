#include "nsboot_lb/upstream/resolver.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "look_ups.hpp"

namespace nsboot_lb::upstream {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds retry_interval{1000};

}  // namespace

Names names_of(const config::Config& config) {
    Names names;
    for (const auto& pool : config.pools)
        for (const auto& server : pool.servers) {
            if (server.host.empty() || base::IpAddress::parse(server.host)) continue;
            const auto [name, added] = names.try_emplace(server.host, pool.resolve_interval);
            if (!added) name->second = std::min(name->second, pool.resolve_interval);
        }
    return names;
}

bool merge_answer(Addresses& known, const std::string& host, const Answer& answer) {
    if (!answer || answer->empty()) return false;
    auto addresses = *answer;
    std::ranges::sort(addresses);
    const auto repeated = std::ranges::unique(addresses);
    addresses.erase(repeated.begin(), repeated.end());
    auto& before = known[host];
    if (before == addresses) return false;
    before = std::move(addresses);
    return true;
}

/// What handlers that are still to come hold on to.
class Resolver::Core : public std::enable_shared_from_this<Core> {
  public:
    Core(asio::io_context& control, Listener listener)
        : control_(control), look_ups_(std::in_place, control), listener_(std::move(listener)) {}

    void prepare(const Names& names, std::chrono::milliseconds patience, std::function<void()> ready);
    void follow(const Names& names, Prepared prepared);
    void stop();
    const Addresses& addresses() const { return known_; }

  private:
    /// One call of prepare().
    struct Preparation {
        Preparation(asio::io_context& control, std::function<void()> on_ready)
            : patience(control), ready(std::move(on_ready)) {}
        std::map<std::string, std::uint64_t, std::less<>> missing;  ///< and the number of the look-up
        asio::steady_timer patience;
        std::function<void()> ready;
    };
    /// A name that is looked up again and again.
    struct Followed {
        explicit Followed(asio::io_context& control) : timer(control) {}
        std::optional<std::uint64_t> look_up;  ///< that is going on
        asio::steady_timer timer;
        std::chrono::milliseconds interval{0};
    };

    bool take(const std::string& host, const Answer& answer);
    void wait(const std::string& host, const std::shared_ptr<Followed>& followed);
    void finish(const std::shared_ptr<Preparation>& preparation);
    void give_up_all_but(const Names& names);

    asio::io_context& control_;
    std::optional<LookUps> look_ups_;
    Listener listener_;
    Addresses known_;
    std::set<std::string, std::less<>> failing_;
    std::set<std::shared_ptr<Preparation>> preparations_;  ///< that miss something
    std::map<std::string, std::shared_ptr<Followed>, std::less<>> followed_;
    bool stopped_ = false;
};

bool Resolver::Core::take(const std::string& host, const Answer& answer) {
    if (answer && !answer->empty())
        failing_.erase(host);
    else if (failing_.insert(host).second && listener_.failing)
        listener_.failing(host, answer ? "no addresses" : std::string_view{answer.error()});
    return merge_answer(known_, host, answer);
}

void Resolver::Core::prepare(const Names& names, std::chrono::milliseconds patience, std::function<void()> ready) {
    auto preparation = std::make_shared<Preparation>(control_, std::move(ready));
    for (const auto& [host, interval] : names)
        if (!known_.contains(host)) preparation->missing.emplace(host, 0);
    if (preparation->missing.empty()) {
        asio::post(control_, [self = shared_from_this(), preparation] { self->finish(preparation); });
        return;
    }
    preparation->patience.expires_after(patience);
    preparation->patience.async_wait([self = shared_from_this(), preparation](const error_code& error) {
        if (!error) self->finish(preparation);
    });
    preparations_.insert(preparation);
    for (auto& [missing, number] : preparation->missing)
        number = look_ups_->start(missing,
                                  [self = shared_from_this(), this, host = missing, preparation](const Answer& answer) {
                                      const bool late = !preparation->ready;
                                      const bool changed = take(host, answer);
                                      preparation->missing.erase(host);
                                      if (preparation->missing.empty()) {
                                          preparations_.erase(preparation);
                                          finish(preparation);
                                      }
                                      // A snapshot was built without it.
                                      if (late && changed && listener_.changed) listener_.changed();
                                  });
}

void Resolver::Core::finish(const std::shared_ptr<Preparation>& preparation) {
    preparation->patience.cancel();
    const auto ready = std::exchange(preparation->ready, nullptr);
    if (ready && !stopped_) ready();
}

void Resolver::Core::give_up_all_but(const Names& names) {
    std::erase_if(preparations_, [&](const auto& preparation) {
        std::erase_if(preparation->missing, [&](const auto& missing) {
            if (names.contains(missing.first)) return false;
            look_ups_->cancel(missing.second);
            return true;
        });
        if (!preparation->missing.empty()) return false;
        if (preparation->ready)
            asio::post(control_, [self = shared_from_this(), preparation] { self->finish(preparation); });
        return true;
    });
    std::erase_if(followed_, [&](auto& followed) {
        if (names.contains(followed.first)) return false;
        followed.second->timer.cancel();
        if (const auto number = followed.second->look_up) look_ups_->cancel(*number);
        return true;
    });
}

void Resolver::Core::follow(const Names& names, Prepared prepared) {
    known_.merge(prepared.addresses);
    failing_.merge(prepared.failing);
    give_up_all_but(names);
    std::erase_if(known_, [&](const auto& known) { return !names.contains(known.first); });
    std::erase_if(failing_, [&](const auto& host) { return !names.contains(host); });
    for (const auto& [host, interval] : names) {
        auto& followed = followed_[host];
        if (followed && followed->interval == interval) continue;
        if (!followed) followed = std::make_shared<Followed>(control_);
        followed->interval = interval;
        wait(host, followed);
    }
}

void Resolver::Core::wait(const std::string& host, const std::shared_ptr<Followed>& followed) {
    // A name without any address keeps a server out of service.
    const auto interval = known_.contains(host) ? followed->interval : std::min(followed->interval, retry_interval);
    followed->timer.expires_after(interval);
    followed->timer.async_wait([self = shared_from_this(), host, followed](const error_code& error) {
        if (error || self->stopped_) return;
        followed->look_up = self->look_ups_->start(host, [self, host, followed](const Answer& answer) {
            followed->look_up.reset();
            // Another configuration may have come meanwhile.
            const auto current = self->followed_.find(host);
            if (current == self->followed_.end() || current->second != followed) return;
            const bool changed = self->take(host, answer);
            self->wait(host, followed);
            if (changed && self->listener_.changed) self->listener_.changed();
        });
    });
}

void Resolver::Core::stop() {
    stopped_ = true;
    look_ups_.reset();
    for (auto& [host, followed] : followed_) followed->timer.cancel();
    followed_.clear();
    preparations_.clear();
}

Resolver::Resolver(asio::io_context& control, Listener listener)
    : core_(std::make_shared<Core>(control, std::move(listener))) {}

Resolver::~Resolver() {
    core_->stop();
}

void Resolver::prepare(const Names& names, std::chrono::milliseconds patience, std::function<void()> ready) {
    core_->prepare(names, patience, std::move(ready));
}

void Resolver::follow(const Names& names, Prepared prepared) {
    core_->follow(names, std::move(prepared));
}

const Addresses& Resolver::addresses() const {
    return core_->addresses();
}

}  // namespace nsboot_lb::upstream
