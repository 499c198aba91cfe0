// nsboot-standin: behaves as an NSBoot server does, for the demo and for tests. Says on standard output where it
// listens.
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>

#include "server.hpp"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

std::optional<tcp::endpoint> parse_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (problem != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;

    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error) return std::nullopt;
    return tcp::endpoint(address, port);
}

using nsboot_lb::standin::Conduct;

void run(const tcp::endpoint& address, const std::string& hostname, const Conduct::Options& conduct) {
    asio::io_context context(1);
    nsboot_lb::standin::Server server(context, address, hostname, conduct);
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](const boost::system::error_code& error, int) {
        if (error) return;
        server.stop();
        signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });  // the second one: at once
    });
    asio::signal_set faults(context, SIGUSR1);
    std::function<void()> await_toggle = [&] {
        faults.async_wait([&](const boost::system::error_code& error, int) {
            if (error) return;
            server.conduct().toggle_faults();
            await_toggle();
        });
    };
    await_toggle();
    server.start();
    std::cout << hostname << " listening on " << server.local_endpoint() << std::endl;
    while (server.working() && context.run_one() != 0) {
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "A stand-in for an NSBoot server: health, API, uploads, WebSocket, boot scripts and generated images.");
    std::string address = "127.0.0.1:0";
    std::string hostname = "nsboot-1";
    app.add_option("--address", address, "HOST:PORT to listen on; port 0 lets the system choose")
        ->capture_default_str();
    app.add_option("--hostname", hostname, "name that it gives as its own")->capture_default_str();
    Conduct::Options conduct;
    std::uint32_t delay_ms = 0;
    app.add_flag("--log", conduct.log, "say on standard output what arrives, and how many requests are there at once");
    app.add_option("--delay", delay_ms, "milliseconds to wait before each answer but those of /health");
    app.add_option("--faults", conduct.faults, "share of exchanges to break; SIGUSR1 turns it on and off")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--seed", conduct.seed, "of what is random")->capture_default_str();
    CLI11_PARSE(app, argc, argv);

    const auto endpoint = parse_address(address);
    if (!endpoint) {
        std::cerr << "nsboot-standin: --address must be HOST:PORT with a literal address, not '" << address << "'\n";
        return 1;
    }
    try {
        conduct.delay = std::chrono::milliseconds{delay_ms};
        run(*endpoint, hostname, conduct);
    } catch (const std::exception& error) {
        std::cerr << "nsboot-standin: " << address << ": " << error.what() << '\n';
        return 1;
    }
    return 0;
}
