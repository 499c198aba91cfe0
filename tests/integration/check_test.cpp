/// The command line from outside: --check, --print-config, --version, --help and their exit statuses.
#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "daemon.hpp"
#include "origin.hpp"
#include "process.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr const char* smallest =
    "listeners:\n  - address: 127.0.0.1:0\npools:\n  nsboot:\n    servers: [127.0.0.1:81, 127.0.0.1:82]\nroutes:\n  - "
    "pool: nsboot\n";

class CheckTest : public testing::Test {
  protected:
    Completed check(const std::string& text, std::vector<std::string> environment = {}) const {
        return run({daemon_binary(), "--check", "--config", directory_.write("c.yaml", text).string()},
                   std::move(environment));
    }
    std::string file() const { return (directory_.path() / "c.yaml").string(); }
    const TemporaryDirectory& directory() const { return directory_; }

  private:
    TemporaryDirectory directory_;
};

std::string all_output(const Completed& completed) {
    return completed.output + completed.error;
}

TEST_F(CheckTest, AGoodFileIsFine) {
    const Completed completed = check(smallest);
    EXPECT_EQ(completed.status, 0) << all_output(completed);
    EXPECT_THAT(all_output(completed), Not(HasSubstr("error")));
}

TEST_F(CheckTest, ShortOptionsMeanTheSame) {
    const auto path = directory().write("c.yaml", smallest).string();
    EXPECT_EQ(run({daemon_binary(), "-t", "-c", path}).status, 0);
    directory().write("c.yaml", "x: y\n");
    EXPECT_EQ(run({daemon_binary(), "-t", "-c", path}).status, 1);
}

TEST_F(CheckTest, EveryProblemIsPrintedWithItsPlaceAndAHint) {
    const Completed completed = check(R"(listeners:
  - adress: 127.0.0.1:0
pools:
  nsboot:
    balance: least-con
    servers: [127.0.0.1:81]
    timeouts: {connect: fast}
routes:
  - pool: nsbot
shutdown: {drain_timeout: 3}
)");
    EXPECT_EQ(completed.status, 1);
    const auto output = all_output(completed);
    EXPECT_THAT(output, ContainsRegex("c\\.yaml:2:5: error: [^\n]*adress[^\n]*; [^\n]*address"));
    EXPECT_THAT(output, ContainsRegex("c\\.yaml:5:14: error: [^\n]*least-con[^\n]*; [^\n]*least-conn"));
    EXPECT_THAT(output, ContainsRegex("c\\.yaml:7:25: error: [^\n]*fast"));
    EXPECT_THAT(output, ContainsRegex("c\\.yaml:9:11: error: [^\n]*nsbot[^\n]*; [^\n]*nsboot"));
    EXPECT_THAT(output, ContainsRegex("c\\.yaml:10:27: error: "));
}

TEST_F(CheckTest, BrokenYamlIsAnErrorWithItsPlace) {
    const Completed completed = check("listeners: [\n");
    EXPECT_EQ(completed.status, 1);
    EXPECT_THAT(all_output(completed), ContainsRegex("c\\.yaml:[0-9]+:[0-9]+: error: "));
    EXPECT_EQ(check("").status, 1);
    EXPECT_EQ(check("listeners: []\nlisteners: []\n").status, 1);
}

TEST_F(CheckTest, ARouteThatCanNeverMatchIsAWarning) {
    const Completed completed = check(std::string{smallest} + "  - {match: {path: /late}, pool: nsboot}\n");
    EXPECT_EQ(completed.status, 0);
    EXPECT_THAT(all_output(completed), ContainsRegex("c\\.yaml:8:[0-9]+: warning: "));
}

TEST_F(CheckTest, WhatALaterVersionWillHaveIsRefusedByName) {
    for (const auto* later : {"caches: {images: {memory: 1MiB}}\n", "rate_limits: {login: {rate: 5/m}}\n"}) {
        const Completed completed = check(std::string{smallest} + later);
        EXPECT_EQ(completed.status, 1) << later;
        EXPECT_THAT(all_output(completed), ContainsRegex("c\\.yaml:8:[0-9]+: error: [^\n]*(caches|rate_limits)"));
    }
    EXPECT_EQ(check(std::string{smallest} + "    cors: {origins: [\"*\"]}\n").status, 1);
}

TEST_F(CheckTest, AFileThatCannotBeReadIsAnError) {
    const Completed completed = run({daemon_binary(), "--check", "--config", "/nowhere/c.yaml"});
    EXPECT_EQ(completed.status, 1);
    EXPECT_THAT(all_output(completed), HasSubstr("/nowhere/c.yaml"));
}

TEST_F(CheckTest, FilesThatARouteNeedsAreLookedAt) {
    const Completed completed = check(std::string{smallest} + "    basic_auth: {file: /nowhere/htpasswd}\n");
    EXPECT_EQ(completed.status, 1);
    EXPECT_THAT(all_output(completed), HasSubstr("/nowhere/htpasswd"));
}

TEST_F(CheckTest, NoPortIsBound) {
    const Origin taken;
    const Completed completed = check("listeners: [{address: \"" + taken.address() +
                                      "\"}]\npools: {p: {servers: [127.0.0.1:81]}}\nroutes: [{pool: p}]\n");
    EXPECT_EQ(completed.status, 0) << all_output(completed);
    EXPECT_EQ(taken.connections(), 0);
}

TEST_F(CheckTest, TheEnvironmentFillsInValues) {
    const std::string text =
        "listeners: [{address: \"127.0.0.1:${PORT:-0}\"}]\npools: {p: {servers: [\"${SERVER}\"]}}\nroutes: [{pool: "
        "p}]\n";
    EXPECT_EQ(check(text, {"SERVER=127.0.0.1:81"}).status, 0);
    EXPECT_EQ(check(text, {"SERVER=127.0.0.1:81", "PORT=none"}).status, 1);
    const Completed missing = check(text);
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(all_output(missing), AllOf(HasSubstr("SERVER"), HasSubstr("c.yaml:2:")));
}

TEST_F(CheckTest, IncludedFilesAreCheckedUnderTheirOwnName) {
    std::filesystem::create_directory(directory().path() / "conf.d");
    directory().write("conf.d/pools.yaml", "pools: {nsboot: {servers: [127.0.0.1:81], wieght: 3}}\n");
    const Completed completed =
        check("include: [\"conf.d/*.yaml\"]\nlisteners: [{address: \"127.0.0.1:0\"}]\nroutes: [{pool: nsboot}]\n");
    EXPECT_EQ(completed.status, 1);
    EXPECT_THAT(all_output(completed), ContainsRegex("pools\\.yaml:1:[0-9]+: error: [^\n]*wieght"));
}

TEST_F(CheckTest, ThePrintedConfigurationLoadsAgainToTheSame) {
    const auto path =
        directory()
            .write("c.yaml",
                   std::string{smallest} +
                       R"(    match: {path_prefix: [/a, /b], host: "*.example.com", header: {X-A: {regex: "a.*"}}}
    response_headers: {set: {X-B: "{request_id}"}}
    rewrite: {strip_prefix: /a}
  - respond: {status: 418, body: "a \"quoted\"\n line: #1"}
forwarded: {trust: [10.0.0.0/8]}
logging: {access: {format: "{client} {status}"}}
admin: {address: "127.0.0.1:8404"}
)")
            .string();
    const Completed printed = run({daemon_binary(), "--print-config", "--config", path});
    ASSERT_EQ(printed.status, 0) << printed.error;
    for (const auto* text : {"drain_timeout: 30s", "balance: least-conn", "header_size: 32KiB", "max_idle: 32"}) {
        EXPECT_THAT(printed.output, HasSubstr(text));
    }
    const auto again = directory().write("again.yaml", printed.output).string();
    EXPECT_EQ(run({daemon_binary(), "--check", "--config", again}).status, 0);
    EXPECT_EQ(run({daemon_binary(), "--print-config", "--config", again}).output, printed.output);
}

TEST(CommandLine, VersionNamesTheDaemonAndItsLibraries) {
    const Completed completed = run({daemon_binary(), "--version"});
    EXPECT_EQ(completed.status, 0);
    EXPECT_THAT(completed.output, AllOf(HasSubstr("nsboot-lb"), ContainsRegex("[0-9]+\\.[0-9]+\\.[0-9]+"),
                                        HasSubstr("Boost"), HasSubstr("yaml-cpp"), HasSubstr("spdlog")));
}

TEST(CommandLine, HelpNamesEveryOption) {
    const Completed completed = run({daemon_binary(), "--help"});
    EXPECT_EQ(completed.status, 0);
    EXPECT_THAT(completed.output, AllOf(HasSubstr("--config"), HasSubstr("--check"), HasSubstr("--print-config"),
                                        HasSubstr("--version")));
}

TEST(CommandLine, AnUnknownOptionIsAnError) {
    const Completed completed = run({daemon_binary(), "--no-such-option"});
    EXPECT_NE(completed.status, 0);
    EXPECT_THAT(all_output(completed), HasSubstr("--no-such-option"));
}

}  // namespace
}  // namespace nsboot_lb::test
