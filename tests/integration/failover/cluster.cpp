#include "cluster.hpp"

#include <algorithm>
#include <charconv>
#include <signal.h>

#include "wire.hpp"

namespace nsboot_lb::test {

namespace {

/// Between how many requests there are at once and what arrived: "2 at once: GET /health".
constexpr std::string_view mark = " at once: ";

}  // namespace

StandIn::StandIn(std::string name, std::string host, std::vector<std::string> options, const std::string& port)
    : name_(std::move(name)), address_(std::move(host) + ":" + port), options_(std::move(options)) {
    start();
}

void StandIn::start() {
    std::vector<std::string> arguments{NSBOOT_STANDIN, "--address", address_, "--hostname", name_, "--log"};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    processes_.push_back(std::make_unique<Process>(std::move(arguments)));
    static constexpr std::string_view listening = " listening on ";
    const auto line = processes_.back()->await_line(Output::standard, listening);
    address_ = line.substr(line.find(listening) + listening.size());
}

void StandIn::kill() {
    signal(SIGKILL);
    if (!processes_.back()->wait_exit(patience)) throw Failure(name_ + " survives SIGKILL");
}

void StandIn::await_request(std::string_view begin) const {
    const auto& process = *processes_.back();
    process.await_line(Output::standard, std::string{mark} + std::string{begin}, process.position(Output::standard));
}

std::size_t StandIn::arrived(std::string_view begin) const {
    const auto wanted = std::string{mark} + std::string{begin};
    std::size_t count = 0;
    for (const auto& process : processes_) {
        const auto log = process->output(Output::standard);
        for (auto at = log.find(wanted); at != log.npos; at = log.find(wanted, at + 1)) ++count;
    }
    return count;
}

int StandIn::most_at_once() const {
    int most = 0;
    for (const auto& process : processes_) {
        const auto log = process->output(Output::standard);
        for (auto at = log.find(mark); at != log.npos; at = log.find(mark, at + 1)) {
            const auto begin = at == 0 ? 0 : log.rfind('\n', at) + 1;
            int now = 0;
            std::from_chars(log.data() + begin, log.data() + at, now);
            most = std::max(most, now);
        }
    }
    return most;
}

std::vector<std::unique_ptr<StandIn>> three_servers(const std::vector<std::string>& options) {
    std::vector<std::unique_ptr<StandIn>> servers;
    for (const std::string number : {"1", "2", "3"})
        servers.push_back(std::make_unique<StandIn>("nsboot-" + number, "127.0.0.1" + number, options));
    return servers;
}

Substitutions addresses_of(const std::vector<std::unique_ptr<StandIn>>& servers) {
    Substitutions substitutions;
    for (const auto& server : servers)
        substitutions.emplace_back("$" + std::to_string(substitutions.size() + 1), server->address());
    return substitutions;
}

}  // namespace nsboot_lb::test
