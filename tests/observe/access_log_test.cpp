#include "nsboot_lb/observe/access_log.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace nsboot_lb::observe {
namespace {

using namespace std::chrono_literals;

class AccessLogTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = std::filesystem::temp_directory_path() / "nsboot-lb-access-log-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::string file(const std::string& name) const { return directory_ / name; }
    static std::string content(const std::string& path) {
        std::ifstream stream(path);
        return {std::istreambuf_iterator<char>(stream), {}};
    }
    static std::shared_ptr<AccessLog> open(const std::string& target, const std::string& format) {
        auto log = AccessLog::open(target, format);
        EXPECT_TRUE(log.has_value()) << log.error();
        return *log;
    }

  private:
    std::filesystem::path directory_;
};

AccessRecord record_of(std::string_view uri) {
    AccessRecord record;
    record.uri = uri;
    return record;
}

TEST_F(AccessLogTest, lines_reach_the_file_when_flushed_and_in_order) {
    const auto log = open(file("log"), "{uri}");
    AccessLogBuffer buffer(log);
    buffer.write(record_of("/1"));
    buffer.write(record_of("/2"));
    EXPECT_EQ(content(file("log")), "");
    buffer.flush();
    ASSERT_TRUE(log->wait_written(10s));
    EXPECT_EQ(content(file("log")), "/1\n/2\n");
}

TEST_F(AccessLogTest, a_full_block_goes_by_itself) {
    const auto log = open(file("log"), "{uri}");
    AccessLogBuffer buffer(log);
    const std::string uri(1000, 'u');
    for (int i = 0; i < 70; ++i) buffer.write(record_of(uri));
    ASSERT_TRUE(log->wait_written(10s));
    EXPECT_GE(content(file("log")).size(), 64U * 1024);
}

TEST_F(AccessLogTest, what_was_not_flushed_is_written_at_the_end) {
    {
        AccessLogBuffer buffer(open(file("log"), "{uri}"));
        buffer.write(record_of("/last"));
    }
    EXPECT_TRUE(wait_for_access_logs());
    EXPECT_EQ(content(file("log")), "/last\n");
}

TEST_F(AccessLogTest, workers_log_at_the_same_time_and_no_line_is_torn) {
    constexpr int workers = 4;
    constexpr int lines = 5000;
    {
        const auto log = open(file("log"), "{uri}");
        std::vector<std::thread> threads;
        for (int worker = 0; worker < workers; ++worker) {
            threads.emplace_back([&log, worker] {
                AccessLogBuffer buffer(log);
                const std::string uri(static_cast<std::size_t>(50 + worker), static_cast<char>('a' + worker));
                for (int i = 0; i < lines; ++i) {
                    buffer.write(record_of(uri));
                    if (i % 1000 == 0) {
                        buffer.flush();
                        log->reopen();
                    }
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        ASSERT_TRUE(log->wait_written(10s));
        EXPECT_EQ(log->lost_lines(), 0);
    }
    std::ifstream stream(file("log"));
    std::array<int, workers> seen{};
    for (std::string text; std::getline(stream, text);) {
        const auto worker = static_cast<std::size_t>(text.at(0) - 'a');
        ASSERT_EQ(text, std::string(50 + worker, text[0]));
        ++seen.at(worker);
    }
    EXPECT_EQ(seen, (std::array<int, workers>{lines, lines, lines, lines}));
}

TEST_F(AccessLogTest, after_a_reopen_lines_go_to_the_new_file) {
    const auto log = open(file("log"), "{uri}");
    AccessLogBuffer buffer(log);
    buffer.write(record_of("/old"));
    buffer.flush();
    ASSERT_TRUE(log->wait_written(10s));
    std::filesystem::rename(file("log"), file("log.1"));
    log->reopen();
    buffer.write(record_of("/new"));
    buffer.flush();
    ASSERT_TRUE(log->wait_written(10s));
    EXPECT_EQ(content(file("log.1")), "/old\n");
    EXPECT_EQ(content(file("log")), "/new\n");
}

TEST_F(AccessLogTest, a_reopen_that_fails_keeps_the_old_file) {
    std::filesystem::create_directory(file("d"));
    const auto log = open(file("d/log"), "{uri}");
    AccessLogBuffer buffer(log);
    std::filesystem::rename(file("d"), file("moved"));
    log->reopen();
    buffer.write(record_of("/kept"));
    buffer.flush();
    ASSERT_TRUE(log->wait_written(10s));
    EXPECT_EQ(content(file("moved/log")), "/kept\n");
}

TEST_F(AccessLogTest, a_target_or_a_format_that_cannot_be_is_an_error) {
    const auto no_directory = AccessLog::open(file("none/log"), "json");
    ASSERT_FALSE(no_directory.has_value());
    EXPECT_NE(no_directory.error().find("No such file or directory"), std::string::npos) << no_directory.error();
    EXPECT_FALSE(AccessLog::open(file("log"), "{nonsense}").has_value());
    ASSERT_EQ(::mkfifo(file("fifo").c_str(), 0600), 0);
    EXPECT_FALSE(AccessLog::open(file("fifo"), "json").has_value()) << "a FIFO that nobody reads";
}

TEST_F(AccessLogTest, a_full_disk_loses_lines_and_counts_them) {
    const auto log = open("/dev/full", "{uri}");
    AccessLogBuffer buffer(log);
    for (int i = 0; i < 3; ++i) buffer.write(record_of("/x"));
    buffer.flush();
    ASSERT_TRUE(log->wait_written(10s));
    EXPECT_EQ(log->lost_lines(), 3);
}

/// A disk that fills within a line: RLIMIT_FSIZE is as good. The next line must not look like the end of the torn one.
TEST_F(AccessLogTest, a_torn_line_is_ended_before_the_next) {
    ASSERT_NE(::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    rlimit old_limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    const auto log = open(file("log"), "{uri}");
    AccessLogBuffer buffer(log);
    const rlimit ten_bytes{10, old_limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &ten_bytes), 0);
    for (const char* uri : {"/12345", "/67890", "/lost"}) buffer.write(record_of(uri));
    buffer.flush();
    const bool written = log->wait_written(10s);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    ASSERT_TRUE(written);
    EXPECT_EQ(log->lost_lines(), 2);
    buffer.write(record_of("/after"));
    buffer.flush();
    ASSERT_TRUE(log->wait_written(10s));
    EXPECT_EQ(content(file("log")), "/12345\n/67\n/after\n");
}

/// The test's own reader of a FIFO, which the log writes to.
class Fifo {
  public:
    explicit Fifo(const std::string& path) {
        EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
        descriptor_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        EXPECT_GE(descriptor_, 0);
    }
    ~Fifo() { close(); }
    Fifo(const Fifo&) = delete;
    Fifo& operator=(const Fifo&) = delete;
    void close() {
        if (descriptor_ >= 0) ::close(descriptor_);
        descriptor_ = -1;
    }
    std::string read_some() {
        std::string text(1 << 16, '\0');
        const ssize_t size = ::read(descriptor_, text.data(), text.size());
        text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        return text;
    }

  private:
    int descriptor_ = -1;
};

TEST_F(AccessLogTest, a_reader_that_does_not_read_holds_nobody_up_and_costs_lines_beyond_the_queue) {
    Fifo fifo(file("fifo"));
    auto log = open(file("fifo"), "{uri}");
    std::uint64_t written = 0;
    {
        AccessLogBuffer buffer(log);
        const std::string uri(1023, 'u');
        for (; log->lost_lines() == 0; ++written) {
            ASSERT_LT(written, 100'000U) << "the queue has no limit";
            buffer.write(record_of(uri));
        }
    }
    EXPECT_GT(written, 8U * 1024) << "the queue holds 8 MiB";
    std::uint64_t read = 0;
    while (!log->wait_written(0ms)) read += static_cast<std::uint64_t>(std::ranges::count(fifo.read_some(), '\n'));
    for (std::string text; !(text = fifo.read_some()).empty();) {
        read += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
    }
    EXPECT_EQ(read + log->lost_lines(), written);
}

TEST_F(AccessLogTest, who_lets_go_of_it_waits_for_nothing_and_its_end_no_longer_than_its_limit) {
    Fifo fifo(file("fifo"));
    auto log = open(file("fifo"), "{uri}");
    const auto lost_before = access_log_lost_lines();
    auto buffer = std::make_unique<AccessLogBuffer>(log);
    for (int i = 0; i < 200; ++i) buffer->write(record_of(std::string(1023, 'u')));
    log.reset();
    const auto begin = std::chrono::steady_clock::now();
    buffer.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 500ms) << "a worker may be the last";
    EXPECT_EQ(access_log_lost_lines(), lost_before) << "the reader has its second yet";
    EXPECT_TRUE(wait_for_access_logs());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    EXPECT_GT(access_log_lost_lines(), lost_before);
}

TEST_F(AccessLogTest, without_descriptors_there_is_an_error) {
    const int next = ::dup(STDERR_FILENO);
    ASSERT_GE(next, 0);
    ::close(next);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    for (const int left : {0, 1}) {
        const rlimit few{static_cast<rlim_t>(next + left), before.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
        const auto log = AccessLog::open(file("log"), "{uri}");
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
        ASSERT_FALSE(log.has_value());
        EXPECT_NE(log.error().find("Too many open files"), std::string::npos) << log.error();
    }
}

TEST_F(AccessLogTest, a_reader_that_is_gone_loses_lines_and_nothing_else) {
    Fifo fifo(file("fifo"));
    const auto log = open(file("fifo"), "{uri}");
    fifo.close();
    AccessLogBuffer buffer(log);
    for (int i = 0; i < 5; ++i) buffer.write(record_of("/x"));
    buffer.flush();
    ASSERT_TRUE(log->wait_written(10s));
    EXPECT_EQ(log->lost_lines(), 5);
}

}  // namespace
}  // namespace nsboot_lb::observe
