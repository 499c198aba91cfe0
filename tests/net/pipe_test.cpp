#include "nsboot_lb/net/pipe.hpp"

#include <array>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "nsboot_lb/net/descriptors.hpp"

namespace nsboot_lb::net {
namespace {

TEST(PipePoolTest, gives_out_pipes_that_work) {
    PipePool pool;
    const auto pipe = pool.take();
    ASSERT_TRUE(pipe);
    EXPECT_GE(pipe->capacity(), static_cast<std::size_t>(PipePool::capacity)) << "or none: small ones cost too much";
    EXPECT_GE(fcntl(pipe->write_end(), F_GETPIPE_SZ), PipePool::capacity);
    ASSERT_EQ(write(pipe->write_end(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(read(pipe->read_end(), &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
    EXPECT_EQ(read(pipe->read_end(), &byte, 1), -1) << "it does not block";
}

TEST(PipePoolTest, gives_out_again_what_came_back_empty) {
    PipePool pool;
    int first = -1;
    {
        const BorrowedPipe pipe{pool};
        ASSERT_TRUE(pipe);
        first = pipe->read_end();
    }
    const BorrowedPipe again{pool};
    EXPECT_EQ(again->read_end(), first);
}

TEST(PipePoolTest, does_not_give_out_again_what_came_back_full) {
    PipePool pool;
    {
        BorrowedPipe pipe{pool};
        ASSERT_EQ(write(pipe->write_end(), "secret", 6), 6);
        pipe.filled = 6;
    }
    const BorrowedPipe next{pool};
    std::array<char, 8> bytes{};
    EXPECT_EQ(read(next->read_end(), bytes.data(), bytes.size()), -1);
}

TEST(PipePoolTest, has_a_limit_and_counts_what_comes_back) {
    PipePool pool;
    std::vector<Pipe> taken;
    while (auto pipe = pool.take()) taken.push_back(std::move(*pipe));
    EXPECT_EQ(taken.size(), PipePool::most_pipes);
    const BorrowedPipe none{pool};
    EXPECT_FALSE(none);
    pool.give(std::move(taken.back()));
    taken.pop_back();
    EXPECT_TRUE(pool.take());
    taken.pop_back();
    pool.forgotten();
    EXPECT_TRUE(pool.take());
}

TEST(PipePoolTest, counts_the_descriptors_of_its_pipes) {
    const auto before = descriptors_in_use();
    {
        PipePool pool;
        auto pipe = pool.take();
        ASSERT_TRUE(pipe);
        EXPECT_EQ(descriptors_in_use(), before + 2);
        Pipe moved{std::move(*pipe)};
        pool.give(std::move(moved));
        EXPECT_EQ(descriptors_in_use(), before + 2) << "an idle one is open";
    }
    EXPECT_EQ(descriptors_in_use(), before);
}

}  // namespace
}  // namespace nsboot_lb::net
