/// Both logs over the life of a daemon: rotation, full disks, and that nothing from the network forges a line.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <vector>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "client.hpp"
#include "daemon.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// "$logging" is the logging section.
constexpr const char* log_config = R"(
workers: 1
listeners: [{address: "127.0.0.1:0"}]
pools: {servers: {servers: [{address: "$origin", name: s1}], passive_health: {max_fails: 0}}}
routes: [{name: all, pool: servers}]
forwarded: {trust: [127.0.0.0/8]}
logging: $logging
admin: {address: "127.0.0.1:0"}
)";

constexpr const char* lost_access_lines = "nsboot_lb_access_log_lost_lines_total";
constexpr const char* lost_event_lines = "nsboot_lb_event_log_lost_lines_total";

/// An origin and a daemon with that logging section; "event.log" in its directory is the event log.
class LoggingDaemon {
  public:
    explicit LoggingDaemon(const std::string& logging)
        : daemon_{log_config, {{"$logging", logging}, {"$origin", origin_.address()}}, {}, "event.log"} {}
    Origin& origin() { return origin_; }
    Daemon* operator->() { return &daemon_; }
    Daemon& daemon() { return daemon_; }
    std::filesystem::path file(std::string_view name) const { return daemon_.directory() / name; }

    int status(std::string_view target) const { return daemon_.connect().exchange(get(target)).status(); }
    /// Puts the text in place of the old one, and waits until it is in force or refused.
    void reload(const std::string& logging) {
        const auto before = reloads();
        daemon_.rewrite_config(substitute(log_config, {{"$logging", logging}}));
        daemon_.signal(SIGHUP);
        daemon_.await_metric("nsboot_lb_config_reloads_total", {}, before + 1);
    }
    /// Has the event log say something.
    void make_an_event() const {
        constexpr std::string_view body = R"({"level": "info"})";
        const auto answer = daemon_.ask_admin("PUT /api/v1/log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                                              std::to_string(body.size()) + "\r\n\r\n" + std::string{body});
        if (answer.status() != 200) throw Failure("the admin API answers " + answer.start_line);
    }
    /// How large files may get from now on.
    void limit_files(rlim_t bytes) const {
        const rlimit limit{bytes, RLIM_INFINITY};
        if (::prlimit(daemon_.pid(), RLIMIT_FSIZE, &limit, nullptr) != 0) throw Failure("prlimit");
    }

  private:
    double reloads() const { return daemon_.metric("nsboot_lb_config_reloads_total"); }

    Origin origin_;
    Daemon daemon_;
};

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

TEST(Logs, BothAreReopenedForLogrotate) {
    LoggingDaemon logging{"{target: $dir/event.log, access: {target: $dir/access.log, format: \"{uri}\"}}"};
    EXPECT_EQ(logging.status("/one"), 200);
    await_file_contains(logging.file("access.log"), "/one\n");
    logging.make_an_event();
    for (const auto* name : {"access.log", "event.log"}) {
        std::filesystem::rename(logging.file(name), logging.file(std::string{name} + ".1"));
    }
    logging->signal(SIGUSR1);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!exists(logging.file("access.log")) || !exists(logging.file("event.log"))) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
    EXPECT_EQ(logging.status("/two"), 200);
    logging.make_an_event();
    await_file_contains(logging.file("access.log"), "/two\n");
    await_file_contains(logging.file("event.log"), "level changed");
    EXPECT_EQ(read_file(logging.file("access.log.1")), "/one\n");
    EXPECT_EQ(read_file(logging.file("access.log")), "/two\n");
    EXPECT_THAT(read_file(logging.file("event.log.1")), AllOf(HasSubstr(" ready\n"), EndsWith("level=info\n")));
    EXPECT_EQ(lines_of(read_file(logging.file("event.log"))).size(), 1U);
}

TEST(Logs, AFullDiskCostsLinesAndNothingElse) {
    LoggingDaemon logging{"{target: $dir/event.log, access: {target: /dev/full, format: json}}"};
    for (int i = 0; i < 20; ++i) EXPECT_EQ(logging.status("/"), 200);
    logging->await_metric(lost_access_lines, {}, 20);
    logging->await_metric(lost_event_lines, {}, 0);
    await_file_contains(logging.file("event.log"), "target=/dev/full error=\"No space left on device\"");
    logging.make_an_event();
    await_file_contains(logging.file("event.log"), "level changed");
    const auto said = lines_of(read_file(logging.file("event.log")));
    EXPECT_EQ(std::ranges::count_if(said, [](const auto& line) { return line.contains("lines are lost"); }), 1);

    // What was lost stays known when a reload has brought another log.
    logging.reload("{target: $dir/event.log, access: {target: $dir/access.log, format: \"{uri}\"}}");
    EXPECT_EQ(logging.status("/written"), 200);
    await_file_contains(logging.file("access.log"), "/written\n");
    logging->await_metric(lost_access_lines, {}, 20);
}

TEST(Logs, AFileThatMayNotGrowIsCompletedByNothing) {
    LoggingDaemon logging{"{target: $dir/event.log, access: {target: $dir/access.log, format: \"{uri}\"}}"};
    // Room for a part of a line.
    logging.limit_files(read_file(logging.file("event.log")).size() + 10);
    const std::string target = "/" + std::string(500, 'x');
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(logging.status(target), 200);
        logging.make_an_event();
    }
    logging->await_metric(lost_access_lines, {}, 20);
    logging->await_metric(lost_event_lines, {}, 21);  // one says that the access log cannot be written
    EXPECT_TRUE(logging->running());

    logging.limit_files(RLIM_INFINITY);
    EXPECT_EQ(logging.status("/after"), 200);
    logging.make_an_event();
    await_file_contains(logging.file("access.log"), "\n/after\n");
    await_file_contains(logging.file("event.log"), "access log is written again");
    EXPECT_EQ(logging->metric(lost_access_lines), 20);
    EXPECT_EQ(logging->metric(lost_event_lines), 21);
    for (const auto& line : lines_of(read_file(logging.file("event.log")))) EXPECT_THAT(line, StartsWith("20"));
    for (const auto& line : lines_of(read_file(logging.file("access.log")))) EXPECT_THAT(line, StartsWith("/"));
}

TEST(Logs, AnEventLogOnAFullDiskCostsLinesAndNothingElse) {
    LoggingDaemon logging{"{target: $dir/event.log}"};
    // The harness has read the file; from here on it is full.
    std::filesystem::rename(logging.file("event.log"), logging.file("event.log.1"));
    std::filesystem::create_symlink("/dev/full", logging.file("event.log"));
    logging->signal(SIGUSR1);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    do {
        logging.make_an_event();
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    } while (logging->metric(lost_event_lines) == 0);
    EXPECT_EQ(logging.status("/"), 200);
    const auto lost = logging->metric(lost_event_lines);
    logging.reload("{target: $dir/event.log, level: debug}");
    EXPECT_EQ(logging.status("/"), 200);
    while (logging->metric(lost_event_lines) <= lost) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::filesystem::remove(logging.file("event.log"));
}

// --- What comes from outside ---

const std::vector<std::string> json_keys{"time",       "client",   "method",     "host",
                                         "uri",        "protocol", "status",     "bytes_received",
                                         "bytes_sent", "duration", "server",     "upstream_duration",
                                         "attempts",   "cache",    "route",      "request_id",
                                         "tls",        "reason",   "user_agent", "referer"};

/// Requests with one octet in each place of a head that a client writes.
std::vector<std::string> requests_with(char octet) {
    const std::string odd{'x', octet, 'y'};
    const auto with = [&](const std::string& field) {
        return "GET /field HTTP/1.1\r\nHost: a\r\n" + field + odd + "\r\n\r\n";
    };
    return {
        "GET /" + odd + " HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?" + odd + " HTTP/1.1\r\nHost: a\r\n\r\n",
        "G" + odd + " / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1" + odd + "\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: " + odd + "\r\n\r\n",
        odd,
        with("User-Agent: "),
        with("Referer: "),
        with("X-Request-ID: "),
        with("X-Forwarded-For: 192.0.2.1"),
        with("Forwarded: for=" + odd + ";by="),
        with(odd),
    };
}

/// Sends all requests that have an odd octet in them; gives how many were answered.
std::size_t send_hostile_requests(const Daemon& daemon) {
    std::size_t answers = 0;
    for (int octet = 0; octet < 256; ++octet) {
        for (const auto& request : requests_with(static_cast<char>(octet))) {
            Client client = daemon.connect();
            client.send(request);
            client.half_close();
            client.await_end();
            const std::string& received = client.pending();
            for (auto at = received.find("HTTP/1.1 "); at != received.npos; at = received.find("HTTP/1.1 ", at + 1)) {
                ++answers;
            }
        }
    }
    return answers;
}

/// The log's lines once a last request is among them. There is one worker, so it is the last line.
std::vector<std::string> lines_to_the_last(const LoggingDaemon& logging, const std::filesystem::path& file) {
    EXPECT_EQ(logging.status("/the-last-one"), 200);
    await_file_contains(file, "/the-last-one");
    const std::string text = read_file(file);
    EXPECT_THAT(text, EndsWith("\n"));
    return lines_of(text);
}

std::vector<std::string> keys_of(const boost::json::object& object) {
    std::vector<std::string> keys;
    for (const auto& pair : object) keys.emplace_back(pair.key());
    return keys;
}

bool is_printable(std::string_view line) {
    return std::ranges::all_of(line, [](char c) {
        const auto octet = static_cast<unsigned char>(c);
        return octet >= 0x20 && octet != 0x7f;
    });
}

TEST(LogInjection, EveryLineOfJsonIsAnObjectWithTheKeysThatItHas) {
    LoggingDaemon logging{"{target: $dir/event.log, access: {target: $dir/access.log, format: json}}"};
    const auto answers = send_hostile_requests(logging.daemon());
    EXPECT_GT(answers, 2000U);
    const auto lines = lines_to_the_last(logging, logging.file("access.log"));
    EXPECT_EQ(lines.size(), answers + 1);
    for (const auto& line : lines) {
        EXPECT_TRUE(is_printable(line)) << line;
        boost::json::error_code error;
        const auto value = boost::json::parse(line, error);  // strict: UTF-8, no control characters
        ASSERT_FALSE(error) << error.message() << ": " << line;
        EXPECT_EQ(keys_of(value.as_object()), json_keys) << line;
    }
    EXPECT_TRUE(logging->running());
}

TEST(LogInjection, ALineOfCombinedHasItsQuotesAndNoOther) {
    LoggingDaemon logging{"{target: $dir/event.log, access: {target: $dir/access.log, format: combined}}"};
    const auto answers = send_hostile_requests(logging.daemon());
    const auto lines = lines_to_the_last(logging, logging.file("access.log"));
    EXPECT_EQ(lines.size(), answers + 1);
    for (const auto& line : lines) {
        EXPECT_TRUE(is_printable(line)) << line;
        EXPECT_EQ(std::ranges::count(line, '"'), 6) << line;
        EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) << line;
    }
}

TEST(LogInjection, NothingThatAServerSaysIsALineOfItsOwn) {
    LoggingDaemon logging{"{target: $dir/event.log, level: debug, access: {target: $dir/access.log, format: json}}"};
    constexpr int answers = 256;
    for (int octet = 0; octet < answers; ++octet) {
        const std::string odd{'x', static_cast<char>(octet), 'y'};
        logging.origin().answer("HTTP/1.1 200 " + odd + "\r\nServer: " + odd + "\r\nX-" + odd + ": " + odd +
                                "\r\nContent-Length: 0\r\n\r\n");
        EXPECT_NE(logging.status("/answer"), 0);
    }
    logging.origin().answer(Origin::ok_answer());
    const auto lines = lines_to_the_last(logging, logging.file("access.log"));
    EXPECT_EQ(lines.size(), answers + 1U);
    for (const auto& line : lines) EXPECT_EQ(keys_of(boost::json::parse(line).as_object()), json_keys) << line;
    for (const auto& line : lines_of(read_file(logging.file("event.log")))) {
        EXPECT_TRUE(is_printable(line)) << line;
        EXPECT_THAT(line, testing::ContainsRegex("^20[0-9-]+T[0-9:.]+Z (debug|info|warn|error) "));
    }
}

TEST(LogInjection, AConfigurationThatIsRefusedIsQuoted) {
    LoggingDaemon logging{"{target: $dir/event.log}"};
    logging.reload("{target: $dir/event.log, \"a\\e[31m\\nkey\\u2028\": 1}");
    await_file_contains(logging.file("event.log"), "configuration refused");
    for (const auto& line : lines_of(read_file(logging.file("event.log")))) {
        EXPECT_TRUE(is_printable(line)) << line;
        EXPECT_THAT(line, AllOf(StartsWith("20"), Not(HasSubstr("\xe2\x80\xa8"))));
    }
}

}  // namespace
}  // namespace nsboot_lb::test
