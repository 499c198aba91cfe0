#include "listeners.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

namespace nsboot_lb::server {

namespace {

/// A worker lets go of a listening socket in its next turn. One that takes longer than this is stuck.
constexpr std::chrono::seconds retire_patience{2};

/// What tells a listening address from the others: its text, except that each port 0 is a port of its own.
std::string key_of(const config::Listener& listener, const config::BindAddress& address) {
    const bool chosen_by_kernel = address.unix_path.empty() && address.port == 0;
    return chosen_by_kernel ? listener.name + " " + address.text() : address.text();
}

}  // namespace

/// How much has been retired and is still open.
struct Listeners::Retiring {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t open = 0;  ///< guarded by mutex
};

Listeners::Listeners(unsigned workers, observe::Statistics& statistics)
    : workers_(workers), statistics_(statistics), retiring_(std::make_shared<Retiring>()) {}

std::shared_ptr<void> Listeners::retire(std::vector<BoundAddress> addresses) {
    if (addresses.empty()) return nullptr;
    {
        const std::lock_guard lock{retiring_->mutex};
        ++retiring_->open;
    }
    return {new std::vector<BoundAddress>(std::move(addresses)),
            [retiring = retiring_](std::vector<BoundAddress>* retired) {
                delete retired;
                const std::lock_guard lock{retiring->mutex};
                --retiring->open;
                retiring->changed.notify_all();
            }};
}

std::expected<void, std::string> Listeners::bind(const config::Config& config, InheritedSockets* inherited) {
    {
        std::unique_lock lock{retiring_->mutex};
        (void)retiring_->changed.wait_for(lock, retire_patience, [this] { return retiring_->open == 0; });
    }
    std::map<std::string, BoundAddress> fresh;
    for (const auto& listener : config.listeners) {
        for (const auto& address : listener.addresses) {
            const auto key = key_of(listener, address);
            if (bound_.contains(key) || fresh.contains(key)) continue;
            auto bound = bind_one(key, address, inherited);
            if (!bound) return std::unexpected{std::move(bound.error())};
            if (keeps_files_) bound->keep_file();
            fresh.emplace(key, std::move(*bound));
        }
    }
    bound_.merge(fresh);
    return {};
}

std::expected<BoundAddress, std::string> Listeners::bind_one(const std::string& key, const config::BindAddress& address,
                                                             InheritedSockets* inherited) {
    if (inherited != nullptr) {
        auto claimed = inherited->claim(key, address);
        if (!claimed.empty()) return BoundAddress::adopt(address, std::move(claimed), workers_);
    }
    return BoundAddress::bind(address, workers_);
}

Listeners::Published Listeners::publish(const config::Config& config) {
    listening_.clear();
    Published published;
    published.setups.resize(workers_);
    std::set<std::string> wanted;
    for (const auto& listener : config.listeners) {
        const auto counters = statistics_.listener(listener.name);
        for (const auto& address : listener.addresses) {
            const auto key = key_of(listener, address);
            const auto& bound = bound_.at(key);
            wanted.insert(key);
            listening_.push_back({listener.name, bound.text()});
            for (unsigned i = 0; i < workers_; ++i) {
                for (const int descriptor : bound.descriptors_of(i, workers_)) {
                    published.setups[i].push_back({bound.text(), descriptor, counters, listener.proxy_protocol.enabled,
                                                   listener.proxy_protocol.from});
                }
            }
        }
    }
    std::vector<BoundAddress> retired;
    for (auto bound = bound_.begin(); bound != bound_.end();) {
        if (wanted.contains(bound->first)) {
            ++bound;
            continue;
        }
        retired.push_back(std::move(bound->second));
        bound = bound_.erase(bound);
    }
    published.retired = retire(std::move(retired));
    return published;
}

std::vector<ListeningSockets> Listeners::sockets() const {
    std::vector<ListeningSockets> all;
    for (const auto& [key, bound] : bound_) all.push_back({key, bound.descriptors()});
    return all;
}

void Listeners::keep_files() {
    keeps_files_ = true;
    for (auto& [key, bound] : bound_) bound.keep_file();
}

}  // namespace nsboot_lb::server
