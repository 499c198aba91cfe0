#include "log_target.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace nsboot_lb::observe {
namespace {

/// stdout leads into a pipe for as long as this lives.
class PipedStdout {
  public:
    PipedStdout() : saved_(::dup(STDOUT_FILENO)) {
        ::fflush(stdout);
        EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
        ::dup2(ends_[1], STDOUT_FILENO);
        ::close(ends_[1]);
    }
    ~PipedStdout() {
        ::dup2(saved_, STDOUT_FILENO);
        ::close(saved_);
        close_reader();
    }
    PipedStdout(const PipedStdout&) = delete;
    PipedStdout& operator=(const PipedStdout&) = delete;
    void close_reader() {
        if (ends_[0] >= 0) ::close(ends_[0]);
        ends_[0] = -1;
    }
    std::string read_some() {
        std::string text(1 << 16, '\0');
        const ssize_t size = ::read(ends_[0], text.data(), text.size());
        text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return text;
    }

  private:
    int saved_;
    std::array<int, 2> ends_{};
};

/// Whoever shares the pipe may fill it between a look and a write, and whoever shares the descriptor expects it to
/// wait.
TEST(LogTarget, never_waits_for_the_reader_of_a_pipe_and_leaves_others_descriptors_alone) {
    PipedStdout piped;
    auto target = LogTarget::open("stdout");
    ASSERT_TRUE(target.has_value());
    EXPECT_NE(::fcntl(target->descriptor(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(target->write_some("a line\n"), 7U);
    EXPECT_EQ(piped.read_some(), "a line\n");
    EXPECT_EQ(target->reopen(), false);
    EXPECT_EQ(target->write_some("another\n"), 8U);
    EXPECT_EQ(piped.read_some(), "another\n");
    const std::string page(4096, 'x');
    std::size_t written = 0;
    while (target->write_some(page).value_or(0) != 0) ++written;
    EXPECT_GE(written, 2U);
    EXPECT_EQ(target->write_some(page), 0U);
}

TEST(LogTarget, a_reader_that_is_gone_is_an_error_before_and_after_it_went) {
    ASSERT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR);
    PipedStdout piped;
    auto before = LogTarget::open("stdout");
    piped.close_reader();
    auto after = LogTarget::open("stdout");
    ASSERT_TRUE(before.has_value() && after.has_value());
    EXPECT_EQ(before->write_some("x\n"), std::unexpected(EPIPE));
    EXPECT_EQ(after->write_some("x\n"), std::unexpected(EPIPE));
}

}  // namespace
}  // namespace nsboot_lb::observe
