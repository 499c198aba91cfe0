#include "nsboot_lb/observe/log.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::observe {
namespace {

using testing::ContainsRegex;
using testing::EndsWith;
using testing::MatchesRegex;

class LogTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = std::filesystem::temp_directory_path() / "nsboot-lb-log-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        ASSERT_TRUE(log::init(log::Level::info, file()).has_value());
    }
    void TearDown() override {
        ASSERT_TRUE(log::init(log::Level::info, "stderr").has_value());
        std::filesystem::remove_all(directory_);
    }
    std::string file(const std::string& name = "log") const { return directory_ / name; }
    std::string content(const std::string& name = "log") const {
        std::ifstream stream(file(name));
        return {std::istreambuf_iterator<char>(stream), {}};
    }

  private:
    std::filesystem::path directory_;
};

TEST_F(LogTest, a_line_has_time_level_and_message) {
    log::warn("server is down pool={} server={} fails={}", "nsboot", std::string("nsboot-1"), 3);
    EXPECT_THAT(content(), MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z "
                                        "warn server is down pool=nsboot server=nsboot-1 fails=3\n"));
}

TEST_F(LogTest, text_from_outside_forges_neither_a_line_nor_a_pair) {
    log::info("uri={} agent={}", "/x\n2026-01-01 error root=yes", "a\" admin=true \x1b[2J");
    EXPECT_THAT(content(),
                EndsWith(" uri=\"/x\\u000a2026-01-01 error root=yes\" agent=\"a\\\" admin=true \\u001b[2J\"\n"));
}

TEST_F(LogTest, text_that_could_be_taken_for_something_else_is_quoted) {
    EXPECT_EQ(log::quoted("nsboot-1:80"), "nsboot-1:80");
    EXPECT_EQ(log::quoted(""), "\"\"");
    EXPECT_EQ(log::quoted("connection refused"), "\"connection refused\"");
    EXPECT_EQ(log::quoted("a=b"), "\"a=b\"");
    EXPECT_EQ(log::quoted("größe"), "\"größe\"");
    EXPECT_EQ(log::quoted(std::string(5000, 'x')).size(), 1024U);
    EXPECT_LE(log::quoted(std::string(5000, '\n')).size(), 1026U);
}

TEST_F(LogTest, only_lines_of_the_level_and_above_are_written) {
    log::debug("too low");
    log::set_level(log::Level::debug);
    log::debug("now written");
    log::set_level(log::Level::error);
    log::warn("too low again");
    log::error("an error");
    EXPECT_THAT(content(), MatchesRegex("[^ ]+ debug now written\n[^ ]+ error an error\n"));
}

TEST_F(LogTest, levels_have_names) {
    for (const auto level : {log::Level::trace, log::Level::debug, log::Level::info, log::Level::warn,
                             log::Level::error, log::Level::off}) {
        EXPECT_EQ(log::level_of(log::to_string(level)), level);
    }
    EXPECT_EQ(log::level_of("loud"), std::nullopt);
}

TEST_F(LogTest, a_reopen_follows_the_name) {
    log::info("old");
    std::filesystem::rename(file(), file("log.1"));
    log::reopen();
    log::info("new");
    EXPECT_THAT(content("log.1"), EndsWith(" old\n"));
    EXPECT_THAT(content(), EndsWith(" new\n"));
}

TEST_F(LogTest, a_target_that_cannot_be_opened_is_an_error_and_the_old_one_stays) {
    const auto failed = log::init(log::Level::error, file("none/log"));
    ASSERT_FALSE(failed.has_value());
    EXPECT_THAT(failed.error(), ContainsRegex("none/log.*No such file"));
    log::info("still here");
    EXPECT_THAT(content(), EndsWith(" still here\n"));
}

TEST_F(LogTest, a_full_disk_is_counted) {
    ASSERT_TRUE(log::init(log::Level::info, "/dev/full").has_value());
    const auto before = log::lost_lines();
    log::error("nobody will read this");
    EXPECT_EQ(log::lost_lines(), before + 1);
}

/// A disk that fills within a line: RLIMIT_FSIZE is as good. The next line must not look like the end of the torn one,
/// also when the file was opened anew meanwhile and is still the same one.
TEST_F(LogTest, a_torn_line_is_ended_before_the_next) {
    ASSERT_NE(::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    rlimit old_limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    const auto before = log::lost_lines();
    const rlimit fifty_bytes{50, old_limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &fifty_bytes), 0);
    for (const char* text : {"torn apart by the limit", "lost"}) log::info("{}", text);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    EXPECT_EQ(log::lost_lines(), before + 2);
    EXPECT_EQ(content().size(), 50U);
    log::reopen();
    log::info("after");
    EXPECT_THAT(content(), ContainsRegex("info \"torn apart by t?h?e?.*\n[^ ]+ info after\n$"));
    EXPECT_EQ(log::lost_lines(), before + 2);
}

TEST_F(LogTest, a_very_long_line_is_cut_and_stays_a_line) {
    const std::string long_text(1000, 'x');
    log::info("{} {} {} {} {} {}", long_text, long_text, long_text, long_text, long_text, long_text);
    EXPECT_EQ(content().size(), 4096U);
    EXPECT_EQ(content().find('\n'), 4095U);
}

TEST_F(LogTest, a_reopen_that_fails_says_so_where_it_stays) {
    std::filesystem::create_directory(file("d"));
    ASSERT_TRUE(log::init(log::Level::info, file("d/log")).has_value());
    std::filesystem::rename(file("d"), file("moved"));
    log::reopen();
    EXPECT_THAT(content("moved/log"),
                MatchesRegex("[^ ]+ error log stays where it was error=\"cannot open .*No such file or directory\"\n"));
    log::set_level(log::Level::off);
    log::reopen();
    log::set_level(log::Level::info);
    log::info("kept");
    EXPECT_THAT(content("moved/log"), MatchesRegex("[^\n]*\n[^ ]+ info kept\n"));
}

TEST_F(LogTest, a_queue_keeps_lines_in_order_and_each_in_its_file) {
    {
        const log::Queue queue;
        for (int i = 0; i < 100; ++i) log::info("{}", i);
        auto next = log::Target::open(file("next"));
        ASSERT_TRUE(next.has_value());
        log::use(std::move(*next));
        for (int i = 100; i < 200; ++i) log::info("{}", i);
        auto last = log::Target::open(file("last"));
        ASSERT_TRUE(last.has_value());
        log::use(std::move(*last));
        for (int i = 200; i < 300; ++i) log::info("{}", i);
    }
    log::info("300");
    int expected = 0;
    for (const auto* name : {"log", "next", "last"}) {
        std::ifstream stream(file(name));
        for (std::string text; std::getline(stream, text); ++expected)
            ASSERT_THAT(text, EndsWith(" info " + std::to_string(expected)));
        EXPECT_EQ(expected % 100, name == std::string("last") ? 1 : 0) << name;
    }
    EXPECT_EQ(expected, 301);
}

TEST_F(LogTest, threads_log_at_the_same_time) {
    {
        const log::Queue queue;
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([i] {
                for (int line = 0; line < 250; ++line) log::info("thread={} line={}", i, line);
            });
        }
        log::reopen();
        for (std::thread& thread : threads) thread.join();
    }
    std::ifstream stream(file());
    int lines = 0;
    for (std::string text; std::getline(stream, text); ++lines) {
        ASSERT_THAT(text, MatchesRegex("[^ ]+ info thread=[0-3] line=[0-9]+"));
    }
    EXPECT_EQ(lines, 1000);
}

}  // namespace
}  // namespace nsboot_lb::observe
