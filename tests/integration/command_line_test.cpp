/// The command line as people meet it: files that are not there, may not be read or hold something else, directories
/// that may not be written in, output that goes nowhere. --check finds all that would keep the daemon from starting.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "daemon.hpp"
#include "process.hpp"
#include "temporary_directory.hpp"

namespace nsboot_lb::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

namespace fs = std::filesystem;

/// The program, without what lets root read and write everything.
std::vector<std::string> as_anybody(std::vector<std::string> arguments) {
    std::vector<std::string> whole;
    if (::geteuid() == 0) {
        const std::string rights = "-dac_override,-dac_read_search";
        whole = {"/usr/bin/setpriv", "--bounding-set=" + rights, "--inh-caps=" + rights};
    }
    whole.push_back(daemon_binary());
    std::ranges::move(arguments, std::back_inserter(whole));
    return whole;
}

struct Variant {
    std::string pool = "";
    std::string route = "";
    std::string rest = "";

    std::string text() const {
        return "listeners:\n  - address: 127.0.0.1:0\npools:\n  p: {servers: [\"127.0.0.1:81\"]" + pool +
               "}\nroutes:\n  - {pool: p" + route + "}\n" + rest;
    }
};

class CommandLineTest : public testing::Test {
  protected:
    std::string write(const std::string& name, std::string_view text) const {
        return directory_.write(name, text).string();
    }
    std::string path(const std::string& name) const { return (directory_.path() / name).string(); }

    Completed check(const Variant& variant) const {
        return run(as_anybody({"--check", "--config", write("c.yaml", variant.text())}));
    }
    /// Both refuse it, with the same line.
    void expect_refused(const Variant& variant, const std::string& problem) const {
        SCOPED_TRACE(variant.text());
        const auto checked = check(variant);
        EXPECT_EQ(checked.status, 1);
        EXPECT_THAT(checked.output, AllOf(StartsWith(path("c.yaml") + ":"), EndsWith(problem + "\n")));
        const auto started = run(as_anybody({"--config", path("c.yaml")}));
        EXPECT_EQ(started.status, 1);
        EXPECT_EQ(started.error, checked.output);
    }

    const TemporaryDirectory directory_;
};

TEST_F(CommandLineTest, AConfigurationThatCannotBeReadIsAProblemOfItsFirstLine) {
    const auto unreadable = write("unreadable.yaml", Variant{}.text());
    ASSERT_EQ(::chmod(unreadable.c_str(), 0), 0);
    const auto directory = directory_.path().string();
    const std::vector<std::pair<std::string, std::string>> files{
        {path("none.yaml"), "No such file or directory; make it, or name another with --config"},
        {unreadable, "Permission denied; give the user who runs this the right to read it"},
        {directory, "Is a directory; name a file in it"}};
    for (const auto& [file, why] : files) {
        const auto line = file + ":1:1: error: cannot read the file: " + why + "\n";
        const auto checked = run(as_anybody({"--check", "--config", file}));
        EXPECT_EQ(checked.status, 1);
        EXPECT_EQ(checked.output, line);
        for (const std::vector<std::string>& mode :
             {std::vector<std::string>{}, {"--print-config"}, {"explain", "GET", "/"}}) {
            auto arguments = mode;
            arguments.insert(arguments.end(), {"--config", file});
            const auto completed = run(as_anybody(arguments));
            EXPECT_EQ(completed.status, 1);
            EXPECT_EQ(completed.output, "");
            EXPECT_EQ(completed.error, line);
        }
    }
}

TEST_F(CommandLineTest, FilesThatMayNotBeReadAreFoundByCheckAndStart) {
    const auto secret = write("secret", "s\n");
    ASSERT_EQ(::chmod(secret.c_str(), 0), 0);
    const auto why = secret + ": Permission denied; give the daemon's user the right to read it";
    expect_refused({.route = ", basic_auth: {file: secret}"}, "file: cannot read the password file " + why);
    expect_refused({.pool = ", balance: cookie-sticky, cookie: {key_file: secret}"},
                   "key_file: cannot read the key file " + why);
    expect_refused({.rest = "admin: {address: \"127.0.0.1:0\", token_file: secret}\n"},
                   "token_file: cannot read the token file " + why);
}

TEST_F(CommandLineTest, FilesThatHoldSomethingElseAreFoundByCheckAndStart) {
    write("nobody", "no colon\n");
    write("plain", "# users\nuser:password\n");
    write("empty", "\n");
    expect_refused({.route = ", basic_auth: {file: nobody}"},
                   "error: file: " + path("nobody") + ":1: not of the form USER:HASH");
    expect_refused({.route = ", basic_auth: {file: plain}"},
                   "error: file: " + path("plain") +
                       ":2: user \"user\" has a password that is plain text or hashed in an unknown way; make it with "
                       "htpasswd -B");
    expect_refused({.pool = ", balance: cookie-sticky, cookie: {key_file: empty}"},
                   "error: key_file: the key file " + path("empty") + " is empty; put a secret into it");
}

TEST_F(CommandLineTest, FilesThatAreOfNoUseYetAreWarnedOf) {
    write("empty", "");
    const auto users = check({.route = ", basic_auth: {file: empty}"});
    EXPECT_EQ(users.status, 0);
    EXPECT_THAT(users.output, HasSubstr("warning: file: the password file " + path("empty") +
                                        " names no user, so nobody gets in; add one with htpasswd -B\n"));
    const auto token = check({.rest = "admin: {address: \"127.0.0.1:0\", token_file: empty}\n"});
    EXPECT_EQ(token.status, 0);
    EXPECT_THAT(token.output, HasSubstr("warning: token_file: the first line of " + path("empty") +
                                        " is empty, so nobody can change anything; put a token into it\n"));
}

TEST_F(CommandLineTest, PlacesThatMayNotBeWrittenAreFoundByCheckAndStart) {
    fs::create_directory(path("sealed"));
    write("sealed.log", "");
    ASSERT_EQ(::chmod(path("sealed").c_str(), 0555), 0);
    ASSERT_EQ(::chmod(path("sealed.log").c_str(), 0444), 0);
    const auto directory = "cannot write in the directory " + path("sealed") +
                           ": Permission denied; give the daemon's user the right to write there";
    expect_refused({.rest = "logging: {target: sealed/events.log}\n"}, "error: target: " + directory);
    expect_refused({.rest = "logging: {access: {target: sealed/access.log}}\n"}, "error: target: " + directory);
    expect_refused({.rest = "admin: {address: \"unix:" + path("sealed") + "/socket\"}\n"},
                   "error: address: " + directory);
    expect_refused({.rest = "logging: {target: sealed.log}\n"},
                   "error: target: cannot write to " + path("sealed.log") +
                       ": Permission denied; give the daemon's user the right to write to it");
    expect_refused(
        {.rest = "logging: {target: c.yaml/events.log}\n"},
        "error: target: cannot write in the directory " + path("c.yaml") + ": Not a directory; name another");
}

TEST_F(CommandLineTest, PrintConfigPrintsNothingOfWhatDoesNotLoad) {
    const auto file = write("c.yaml", "listeners: []\n");
    const auto completed = run({daemon_binary(), "--print-config", "--config", file});
    EXPECT_EQ(completed.status, 1);
    EXPECT_EQ(completed.output, "");
    EXPECT_THAT(completed.error, HasSubstr("c.yaml:1:12: error: listeners: the list is empty"));
}

TEST_F(CommandLineTest, WarningsDoNotGetIntoWhatIsPrinted) {
    const auto file = write("c.yaml", Variant{.rest = "  - {name: late, pool: p}\n"}.text());
    const auto printed = run({daemon_binary(), "--print-config", "--config", file});
    EXPECT_EQ(printed.status, 0);
    EXPECT_THAT(printed.error, HasSubstr("c.yaml:7:5: warning: the route 'late' can never match"));
    const auto again = run({daemon_binary(), "--print-config", "--config", write("again.yaml", printed.output)});
    EXPECT_EQ(again.status, 0);
    EXPECT_EQ(again.output, printed.output);
}

TEST_F(CommandLineTest, OutputThatIsLostIsAFailure) {
    const auto file = write("c.yaml", Variant{}.text());
    for (const auto* what : {"--version", "--check", "--print-config", "explain GET /"}) {
        const auto line = "exec " + daemon_binary() + " " + what + " --config " + file;
        const auto full = run({"/bin/sh", "-c", line + " >/dev/full"});
        EXPECT_EQ(full.status, 1) << what;
        EXPECT_EQ(full.error, "nsboot-lb: error: cannot write to the standard output\n") << what;
        // As into a pager that was left.
        const auto left = run({"/bin/sh", "-c", line.substr(5) + " | true"});
        EXPECT_EQ(left.status, 0) << what;
        EXPECT_THAT(left.error, IsEmpty()) << what;
    }
}

TEST_F(CommandLineTest, MistakesInTheCommandItselfAreNamed) {
    const std::vector<std::pair<std::vector<std::string>, std::string>> mistakes{
        {{"--chek"}, "--chek"},
        {{"c.yaml"}, "c.yaml"},
        {{"--config"}, "--config: 1 required FILE missing"},
        {{"--config", ""}, "--config: the name of the file is empty"},
        {{"--config", "a", "--config", "b"}, "--config: "},
    };
    for (const auto& [words, said] : mistakes) {
        std::vector<std::string> arguments{daemon_binary()};
        std::ranges::copy(words, std::back_inserter(arguments));
        const auto completed = run(arguments);
        EXPECT_GT(completed.status, 1) << said;
        EXPECT_THAT(completed.error, AllOf(HasSubstr(said), HasSubstr("Run with --help for more information.")));
    }
}

}  // namespace
}  // namespace nsboot_lb::test
