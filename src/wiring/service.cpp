#include "service.hpp"

#include <algorithm>
#include <ctime>
#include <span>
#include <sys/stat.h>
#include <utility>

#include <systemd/sd-daemon.h>

namespace nsboot_lb::wiring {

namespace {

/// What systemd matches RELOADING=1 and the next READY=1 by (sd_notify(3)).
std::string monotonic_usec() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::to_string(static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                          static_cast<std::uint64_t>(now.tv_nsec) / 1000);
}

/// The kernel passes no more at once (SCM_MAX_FD).
constexpr std::size_t most_descriptors_per_message = 253;

/// Whether there was anybody to take them.
bool store(const std::string& name, std::span<const int> descriptors) {
    const auto text = "FDSTORE=1\nFDNAME=" + name;
    bool taken = false;
    while (!descriptors.empty()) {
        const auto some = descriptors.first(std::min(descriptors.size(), most_descriptors_per_message));
        taken = sd_pid_notify_with_fds(0, 0, text.c_str(), some.data(), static_cast<unsigned>(some.size())) > 0;
        descriptors = descriptors.subspan(some.size());
    }
    return taken;
}

void forget(const std::string& name) {
    sd_notify(0, ("FDSTOREREMOVE=1\nFDNAME=" + name).c_str());
}

std::set<ino_t> identities(const std::vector<int>& descriptors) {
    std::set<ino_t> all;
    for (const int descriptor : descriptors) all.insert(identity_of(descriptor));
    return all;
}

}  // namespace

ino_t identity_of(int descriptor) {
    struct stat file{};
    return ::fstat(descriptor, &file) == 0 ? file.st_ino : 0;
}

Service::Service(boost::asio::io_context& control, WhenAllTurn when_all_turn, StoredSockets stored)
    : timer_(control), when_all_turn_(std::move(when_all_turn)), stored_(std::move(stored)) {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) > 0) watchdog_ = std::chrono::microseconds{microseconds};
    if (watchdog_.count() != 0) feed_watchdog();
}

void Service::ready(const config::Config& config) {
    sd_notifyf(0, "READY=1\nSTATUS=Serving %zu listeners, %zu pools, %zu routes", config.listeners.size(),
               config.pools.size(), config.routes.size());
}

void Service::reloading() {
    sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + monotonic_usec()).c_str());
}

void Service::stopping() {
    if (!silent_) sd_notify(0, "STOPPING=1\nSTATUS=Draining");
}

bool Service::keep(const std::vector<server::ListeningSockets>& sockets) {
    StoredSockets wanted;
    for (const auto& socket : sockets)
        wanted[server::descriptor_name(socket.name)].merge(identities(socket.descriptors));
    // Only all of a name can be taken out at once.
    for (const auto& [name, before] : std::exchange(stored_, wanted)) {
        const auto same = wanted.find(name);
        if (same == wanted.end() || !std::ranges::includes(same->second, before)) forget(name);
    }
    bool kept = false;
    for (const auto& socket : sockets) kept = store(server::descriptor_name(socket.name), socket.descriptors) || kept;
    return kept;
}

void Service::hand_over(pid_t process) {
    sd_notify(0, ("MAINPID=" + std::to_string(process)).c_str());
    silent_ = true;
    timer_.cancel();
}

// A loop that stands still answers nothing, and then nothing is fed. Half the time leaves room for a slow turn.
void Service::feed_watchdog() {
    when_all_turn_([this] {
        if (silent_) return;
        sd_notify(0, "WATCHDOG=1");
        timer_.expires_after(watchdog_ / 2);
        timer_.async_wait([this](const boost::system::error_code& error) {
            if (!error) feed_watchdog();
        });
    });
}

}  // namespace nsboot_lb::wiring
