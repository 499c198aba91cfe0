/// The command line: load, wire, run. Nothing else.
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

#include "inheritance.hpp"
#include "lifecycle.hpp"
#include "nsboot_lb/config/load.hpp"
#include "nsboot_lb/explain/explain.hpp"
#include "nsboot_lb/observe/access_log.hpp"
#include "nsboot_lb/observe/log.hpp"
#include "nsboot_lb/server/server.hpp"
#include "service.hpp"
#include "signals.hpp"
#include "version.hpp"
#include "wiring.hpp"

namespace {

using namespace nsboot_lb;

namespace log = observe::log;

constexpr int exit_error = 1;

void print_problems(const config::LoadResult& loaded, std::ostream& out) {
    for (const auto& problem : loaded.problems) out << problem.text() << '\n';
}

int check(const std::string& file) {
    const auto loaded = config::load(file);
    print_problems(loaded, std::cout);
    if (!loaded.ok()) return exit_error;
    std::cout << file << ": configuration is fine\n";
    return 0;
}

int print_config(const std::string& file) {
    const auto loaded = config::load(file);
    print_problems(loaded, std::cerr);
    if (!loaded.ok()) return exit_error;
    std::cout << config::print(*loaded.config);
    return 0;
}

CLI::App* add_explain(CLI::App& app, explain::Arguments& asked) {
    auto* const command = app.add_subcommand("explain", "Say what the configuration would do with a request, and why");
    command->fallthrough();  // for --config
    command->footer("The configuration is that of --config, as for the daemon. Nothing is sent.");
    command->add_option("METHOD", asked.method, "Its method, such as GET")->required();
    command->add_option("URL", asked.url, "An http:// or https:// URL, or a path alone")->required();
    command->add_option("--from", asked.from, "The client's address")->type_name("IP");
    command->add_option("-H,--header", asked.headers, "A header field, such as 'X-Role: admin'; as many as needed")
        ->type_name("FIELD")
        ->allow_extra_args(false);
    return command;
}

/// What could not be printed must not pass for printed.
int printed(int status) {
    if (std::cout.flush()) return status;
    std::cerr << "nsboot-lb: error: cannot write to the standard output\n";
    return exit_error;
}

/// Only an order ends the loop: what failed is logged, and whoever needs it tries again.
void run_loop(boost::asio::io_context& control) {
    while (!control.stopped()) {
        try {
            control.run();
        } catch (const std::exception& failure) {
            log::error("something failed on the control thread, which goes on error={}", failure.what());
        } catch (...) {
            log::error("something failed on the control thread, which goes on");
        }
    }
}

/// Runs until told to stop.
int run(const std::string& file, const wiring::CommandLine& command) {
    // A log whose reader is gone, or whose file may not grow (RLIMIT_FSIZE), loses lines: no reason to die.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    auto inheritance = wiring::inherit();
    auto loaded = config::load(file);
    print_problems(loaded, std::cerr);
    if (!loaded.ok()) return exit_error;
    const auto& logging = loaded.config->logging;
    if (const auto ready = log::init(wiring::log_level(logging.level), logging.target); !ready) {
        std::cerr << "nsboot-lb: error: " << ready.error() << '\n';
        return exit_error;
    }
    const log::Queue log_queue;

    boost::asio::io_context control{1};
    wiring::Signals signals{control};
    server::Server server{control, file, server::worker_count(*loaded.config)};
    const auto started = server.start(std::move(*loaded.config), inheritance.sockets, inheritance.servers);
    if (!started) {
        for (const auto& error : started.error()) log::error("{}", error);
        return exit_error;
    }
    wiring::Service service{control, [&](auto turned) { server.when_all_turn(std::move(turned)); },
                            std::move(inheritance.stored)};
    wiring::Admin admin{control, server, service, file};
    if (const auto applied = admin.start(inheritance.sockets); !applied) {
        log::error("{}", applied.error());
        return exit_error;
    }
    for (const auto& address : inheritance.sockets.close_rest())
        log::warn("an inherited socket is of no listener address={}", address);

    wiring::Lifecycle lifecycle{control, signals, server, service, admin, command};
    lifecycle.begin(inheritance.channel);
    run_loop(control);
    log::info("stopped");
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    const nsboot_lb::wiring::CommandLine command{count, arguments};
    CLI::App app{"HTTP load balancer for clusters of NSBoot servers", "nsboot-lb"};
    std::string file = "/etc/nsboot-lb/nsboot-lb.yaml";
    bool only_check = false;
    bool only_print = false;
    bool only_version = false;
    app.add_option("-c,--config", file, "Configuration file")
        ->capture_default_str()
        ->type_name("FILE")
        ->check(
            [](const std::string& name) { return std::string(name.empty() ? "the name of the file is empty" : ""); });
    auto* const checks = app.add_flag("-t,--check", only_check, "Check the configuration and exit: 0 fine, 1 errors");
    auto* const prints =
        app.add_flag("--print-config", only_print, "Print the effective configuration with every default and exit");
    app.add_flag("--version", only_version, "Print the versions of the daemon and of its libraries and exit");
    nsboot_lb::explain::Arguments asked;
    auto* const explains = add_explain(app, asked);
    explains->excludes(checks)->excludes(prints);
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    try {
        if (only_version) {
            std::cout << wiring::version_text();
            return printed(0);
        }
        if (explains->parsed()) return printed(explain::print_explanation(file, asked, std::cout, std::cerr));
        if (only_check) return printed(check(file));
        if (only_print) return printed(print_config(file));
        const int status = run(file, command);
        observe::wait_for_access_logs();
        return status;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "nsboot-lb: error: %s\n", error.what());
        return exit_error;
    }
}
