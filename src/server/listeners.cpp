#include "listeners.hpp"

#include <set>
#include <utility>

namespace nsboot_lb::server {

namespace {

/// What tells a listening address from the others: its text, except that each port 0 is a port of its own.
std::string key_of(const config::Listener& listener, const config::BindAddress& address) {
    const bool chosen_by_kernel = address.unix_path.empty() && address.port == 0;
    return chosen_by_kernel ? listener.name + " " + address.text() : address.text();
}

}  // namespace

Listeners::Listeners(unsigned workers, observe::Statistics& statistics) : workers_(workers), statistics_(statistics) {}

std::expected<void, std::string> Listeners::bind(const config::Config& config, InheritedSockets* inherited) {
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
        shared_ = shared_ || !claimed.empty();
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
    for (auto bound = bound_.begin(); bound != bound_.end();) {
        if (wanted.contains(bound->first)) {
            ++bound;
            continue;
        }
        published.retired.push_back(std::move(bound->second));
        bound = bound_.erase(bound);
    }
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
