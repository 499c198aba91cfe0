#include "nsboot_lb/filter/fair_queue.hpp"

#include <string>

#include <gtest/gtest.h>

namespace nsboot_lb::filter {
namespace {

class FairQueueTest : public testing::Test {
  protected:
    /// Entries like "a1": of client a.
    bool enter(const std::string& entry) {
        const auto entered = queue.enter(entry.front(), entry);
        displaced = entered.displaced.value_or("");
        return entered.successful;
    }
    std::string taken() {
        std::string all;
        while (!queue.empty()) all += queue.take() + " ";
        return all;
    }

    FairQueue<char, std::string> queue{6, 4};
    std::string displaced;
};

TEST_F(FairQueueTest, GivesEachClientItsTurn) {
    for (const auto* entry : {"a1", "a2", "a3", "b1", "c1", "c2"}) EXPECT_TRUE(enter(entry));
    EXPECT_EQ(taken(), "a1 b1 c1 a2 c2 a3 ");
}

TEST_F(FairQueueTest, ANewcomerIsNextInTheRoundWhateverOthersHavePutIn) {
    for (const auto* entry : {"a1", "a2", "a3", "a4"}) EXPECT_TRUE(enter(entry));
    EXPECT_EQ(queue.take(), "a1");
    EXPECT_TRUE(enter("b1"));
    EXPECT_EQ(taken(), "a2 b1 a3 a4 ");
}

TEST_F(FairQueueTest, GivesAClientNoMoreThanItsShare) {
    for (const auto* entry : {"a1", "a2", "a3", "a4"}) EXPECT_TRUE(enter(entry));
    EXPECT_FALSE(enter("a5"));
    EXPECT_EQ(queue.take(), "a1");
    EXPECT_TRUE(enter("a5"));
}

TEST_F(FairQueueTest, WhenFullTakesAPlaceFromTheLongestLine) {
    for (const auto* entry : {"a1", "b1", "b2", "b3", "b4", "a2"}) EXPECT_TRUE(enter(entry));
    EXPECT_TRUE(enter("c1"));
    EXPECT_EQ(displaced, "b4");
    EXPECT_TRUE(enter("c2"));
    EXPECT_EQ(displaced, "b3");
    EXPECT_FALSE(enter("b5"));
    EXPECT_FALSE(enter("c3")) << "nobody's line is longer than that would be";
    EXPECT_EQ(taken(), "a1 b1 c1 a2 b2 c2 ");
}

TEST_F(FairQueueTest, WhoLeavesTakesNoTurn) {
    for (const auto* entry : {"a1", "b1", "b2", "c1"}) EXPECT_TRUE(enter(entry));
    queue.leave('b', "b1");
    queue.leave('c', "c1");
    queue.leave('c', "c1");
    EXPECT_EQ(taken(), "a1 b2 ");
}

}  // namespace
}  // namespace nsboot_lb::filter
