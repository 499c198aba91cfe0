#include "daemon.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <signal.h>

#include <gtest/gtest.h>

#include "wire.hpp"

namespace nsboot_lb::test {
namespace {

constexpr std::chrono::milliseconds graceful{1000};

std::uint16_t port_after(std::string_view line, std::string_view mark) {
    const auto at = line.find(mark);
    if (at == line.npos) return 0;
    const auto rest = line.substr(at + mark.size());
    const auto address = rest.substr(0, rest.find(' '));
    const auto digits = address.substr(address.rfind(':') + 1);
    std::uint16_t port = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return port;
}

/// The sample's value if it is of that metric and has those labels.
std::optional<double> sample(std::string_view line, std::string_view name, const Labels& labels) {
    if (!line.starts_with(name) || line.size() == name.size()) return std::nullopt;
    if (line[name.size()] != '{' && line[name.size()] != ' ') return std::nullopt;
    const auto space = line.rfind(' ');
    const auto shown_labels = line.substr(name.size(), space - name.size());
    for (const auto& [label, value] : labels) {
        if (shown_labels.find(label + "=\"" + value + "\"") == shown_labels.npos) return std::nullopt;
    }
    return std::strtod(std::string{line.substr(space + 1)}.c_str(), nullptr);
}

bool has_sanitizer_report(std::string_view log) {
    static constexpr std::array marks{"ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
                                      "runtime error: ", "UndefinedBehaviorSanitizer"};
    for (const std::string_view mark : marks) {
        if (log.find(mark) != log.npos) return true;
    }
    return false;
}

}  // namespace

std::string substitute(std::string text, const Substitutions& substitutions) {
    for (const auto& [name, value] : substitutions) {
        for (auto at = text.find(name); at != text.npos; at = text.find(name, at + value.size())) {
            text.replace(at, name.size(), value);
        }
    }
    return text;
}

std::string daemon_binary() {
    const char* const chosen = std::getenv("NSBOOT_LB_BINARY");
    return chosen != nullptr ? chosen : NSBOOT_LB_BINARY_DEFAULT;
}

Daemon::Daemon(const std::string& config, Substitutions substitutions, std::vector<std::string> environment,
               const std::string& event_log)
    : substitutions_(std::move(substitutions)) {
    substitutions_.emplace_back("$dir", directory_.path().string());
    config_file_ = directory_.write("nsboot-lb.yaml", substitute(config, substitutions_));
    process_ = std::make_unique<Process>(std::vector<std::string>{daemon_binary(), "--config", config_file_.string()},
                                         std::move(environment));
    if (event_log.empty()) {
        process_->await_line(Output::error, " ready");
    } else {
        event_log_ = directory() / event_log;
        await_file_contains(event_log_, " ready");
    }
    learn_ports();
}

Daemon::~Daemon() {
    stop();
}

void Daemon::learn_ports() {
    static constexpr std::string_view admin_mark = "admin listening on ";
    static constexpr std::string_view mark = "listening on ";
    const std::string text = log();
    for (std::string_view rest = text; !rest.empty();) {
        const auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        if (line.find(admin_mark) != line.npos) {
            admin_port_ = port_after(line, admin_mark);
        } else if (const auto port = port_after(line, mark); port != 0) {
            const auto name = line.find("name=");
            const auto end = name == line.npos ? name : line.find(' ', name);
            bound_.push_back({std::string{name == line.npos ? "" : line.substr(name + 5, end - name - 5)}, port});
        }
    }
}

/// Stops the daemon as an operator would, and says so if that is not how it ended.
void Daemon::stop() {
    process_->signal(SIGTERM);
    auto status = process_->wait_exit(graceful);
    if (!status) {
        process_->signal(SIGTERM);
        status = process_->wait_exit(patience);
    }
    if (!status) {
        ADD_FAILURE() << "the daemon did not stop after two SIGTERMs; its log:\n" << log();
    } else if (*status != 0) {
        ADD_FAILURE() << "the daemon ended with status " << *status << "; its log:\n" << log();
    } else if (has_sanitizer_report(log())) {
        ADD_FAILURE() << "a sanitizer complained:\n" << log();
    }
}

std::uint16_t Daemon::port(std::string_view listener, std::size_t index) const {
    for (const Bound& bound : bound_) {
        if ((listener.empty() || bound.listener == listener) && index-- == 0) return bound.port;
    }
    throw Failure("the log names no port of listener \"" + std::string{listener} + "\":\n" + log());
}

std::string Daemon::log() const {
    const std::string said = process_->output(Output::error);
    return event_log_.empty() ? said : read_file(event_log_) + said;
}

Message Daemon::ask_admin(std::string_view request) const {
    if (admin_port_ == 0) throw Failure("the log names no admin port:\n" + log());
    Client client{admin_port_};
    return client.exchange(request);
}

Message Daemon::admin_get(std::string_view target) const {
    return ask_admin(get(target, "127.0.0.1"));
}

Message Daemon::admin_post(std::string_view target, std::string_view json) const {
    return ask_admin("POST " + std::string{target} + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json" +
                     "\r\nContent-Length: " + std::to_string(json.size()) + "\r\n\r\n" + std::string{json});
}

double Daemon::metric(std::string_view name, const Labels& labels) const {
    const Message scraped = admin_get("/metrics");
    if (scraped.status() != 200) throw Failure("/metrics answers " + scraped.start_line);
    double sum = 0;
    for (std::string_view rest = scraped.body; !rest.empty();) {
        const auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        sum += sample(line, name, labels).value_or(0);
    }
    return sum;
}

void Daemon::await_metric(std::string_view name, const Labels& labels, double value) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    double last = 0;
    do {
        last = metric(name, labels);
        if (std::abs(last - value) < 1e-9) return;
    } while (std::chrono::steady_clock::now() < deadline);
    throw Failure(std::string{name} + " is " + std::to_string(last) + " and not " + std::to_string(value));
}

void Daemon::rewrite_config(const std::string& config) {
    directory_.write(config_file_.filename().string(), substitute(config, substitutions_));
}

/// A number of /proc/PID/status.
std::size_t Daemon::process_status(std::string_view field) const {
    std::ifstream status{"/proc/" + std::to_string(process_->pid()) + "/status"};
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(field)) return std::stoul(line.substr(field.size()));
    }
    throw Failure("the daemon has no " + std::string{field});
}

std::size_t Daemon::resident_bytes() const {
    return process_status("VmRSS:") * 1024;
}

std::size_t Daemon::threads() const {
    return process_status("Threads:");
}

std::size_t Daemon::descriptors() const {
    const std::filesystem::directory_iterator all{"/proc/" + std::to_string(process_->pid()) + "/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace nsboot_lb::test
