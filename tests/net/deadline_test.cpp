#include "nsboot_lb/net/deadline.hpp"

#include <functional>
#include <memory>
#include <poll.h>
#include <string>

#include <gtest/gtest.h>

#include "loop.hpp"

namespace nsboot_lb::net {
namespace {

using testing::patience;
using namespace std::chrono_literals;

/// A deadline that notes its letter, and may do more.
struct Noting {
    Noting(std::string& notes, char as) : all(notes), letter(as) {}
    static void expired(void* self) {
        auto& noting = *static_cast<Noting*>(self);
        noting.all += noting.letter;
        if (noting.then) noting.then();
    }
    std::string& all;
    char letter;
    std::function<void()> then;
    Deadline deadline{&expired, this};
};

class DeadlinesTest : public ::testing::Test {
  protected:
    /// Sweeps whenever that is due until so many have expired.
    void run_until(std::size_t count) {
        pollfd timer{deadlines.descriptor(), POLLIN, 0};
        while (notes.size() < count) {
            ASSERT_EQ(::poll(&timer, 1, static_cast<int>(std::chrono::milliseconds{patience}.count())), 1);
            deadlines.sweep();
        }
        ASSERT_EQ(notes.size(), count);
    }

    Deadlines deadlines;
    std::string notes;
    Noting a{notes, 'a'};
    Noting b{notes, 'b'};
    Noting c{notes, 'c'};
};

TEST_F(DeadlinesTest, expire_earliest_first_whatever_the_order_of_arming) {
    a.deadline.arm(deadlines.list(60ms));
    b.deadline.arm(deadlines.list(1ms));
    c.deadline.arm(deadlines.list(30ms));
    run_until(3);
    EXPECT_EQ(notes, "bca");
    EXPECT_FALSE(a.deadline.armed());
}

TEST_F(DeadlinesTest, expire_not_before_their_time) {
    const auto began = Clock::now();
    deadlines.set_now(began);
    a.deadline.arm(deadlines.list(20ms));
    run_until(1);
    EXPECT_GE(Clock::now() - began, 20ms);
    EXPECT_GE(deadlines.now() - began, 20ms);
}

TEST_F(DeadlinesTest, of_one_duration_expire_in_the_order_of_arming) {
    auto& list = deadlines.list(1ms);
    b.deadline.arm(list);
    c.deadline.arm(list);
    a.deadline.arm(list);
    run_until(3);
    EXPECT_EQ(notes, "bca");
}

TEST_F(DeadlinesTest, that_are_disarmed_do_not_expire) {
    auto& list = deadlines.list(1ms);
    a.deadline.arm(list);
    b.deadline.arm(list);
    c.deadline.arm(list);
    b.deadline.disarm();
    b.deadline.disarm();
    EXPECT_FALSE(b.deadline.armed());
    run_until(2);
    EXPECT_EQ(notes, "ac");
}

TEST_F(DeadlinesTest, start_anew_when_armed_again) {
    auto& list = deadlines.list(1ms);
    a.deadline.arm(list);
    b.deadline.arm(list);
    a.deadline.arm(list);
    run_until(2);
    EXPECT_EQ(notes, "ba");
}

TEST_F(DeadlinesTest, move_to_another_duration) {
    a.deadline.arm(deadlines.list(1ms));
    b.deadline.arm(deadlines.list(20ms));
    a.deadline.arm(deadlines.list(60ms));
    run_until(2);
    EXPECT_EQ(notes, "ba");
}

TEST_F(DeadlinesTest, disarm_when_they_are_destroyed) {
    auto gone = std::make_unique<Noting>(notes, 'x');
    gone->deadline.arm(deadlines.list(1ms));
    a.deadline.arm(deadlines.list(1ms));
    gone.reset();
    run_until(1);
    EXPECT_EQ(notes, "a");
}

TEST_F(DeadlinesTest, may_disarm_each_other_when_they_expire) {
    auto& list = deadlines.list(1ms);
    a.deadline.arm(list);
    b.deadline.arm(list);
    c.deadline.arm(list);
    a.then = [this] { b.deadline.disarm(); };
    run_until(2);
    EXPECT_EQ(notes, "ac");
}

TEST_F(DeadlinesTest, may_arm_themselves_again_when_they_expire) {
    a.then = [this] {
        if (notes.size() < 3) a.deadline.arm(deadlines.list(1ms));
    };
    a.deadline.arm(deadlines.list(1ms));
    run_until(3);
    EXPECT_EQ(notes, "aaa");
}

TEST_F(DeadlinesTest, remember_that_they_passed_until_they_are_armed_or_disarmed) {
    auto& list = deadlines.list(1ms);
    EXPECT_FALSE(a.deadline.expired());
    a.deadline.arm(list);
    b.deadline.arm(list);
    EXPECT_FALSE(a.deadline.expired());
    run_until(2);
    EXPECT_TRUE(a.deadline.expired());
    EXPECT_TRUE(b.deadline.expired());
    a.deadline.arm(deadlines.list(std::chrono::hours{1}));
    EXPECT_FALSE(a.deadline.expired());
    b.deadline.disarm();
    EXPECT_FALSE(b.deadline.expired());
}

TEST_F(DeadlinesTest, have_passed_when_they_say_so) {
    bool passed = false;
    a.then = [&] { passed = a.deadline.expired() && !a.deadline.armed(); };
    a.deadline.arm(deadlines.list(1ms));
    run_until(1);
    EXPECT_TRUE(passed);
}

TEST_F(DeadlinesTest, of_no_duration_have_the_shortest) {
    EXPECT_EQ(deadlines.list(0ms).duration(), 1ms);
    EXPECT_EQ(&deadlines.list(0ms), &deadlines.list(1ms));
    EXPECT_NE(&deadlines.list(2ms), &deadlines.list(1ms));
}

TEST_F(DeadlinesTest, make_a_sweep_due_no_longer_than_it_was_not_made) {
    pollfd timer{deadlines.descriptor(), POLLIN, 0};
    EXPECT_EQ(::poll(&timer, 1, 0), 0);
    a.deadline.arm(deadlines.list(1ms));
    run_until(1);
    EXPECT_EQ(::poll(&timer, 1, 0), 0);
    b.deadline.arm(deadlines.list(std::chrono::hours{1}));
    EXPECT_EQ(::poll(&timer, 1, 0), 0);
    deadlines.sweep();
    EXPECT_EQ(notes, "a");
}

}  // namespace
}  // namespace nsboot_lb::net
