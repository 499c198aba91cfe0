#include "nsboot_lb/base/kept.hpp"

#include <string>

#include <gtest/gtest.h>

namespace nsboot_lb::base {
namespace {

using Numbers = Kept<std::string, int>;

auto making(int number) {
    return [number] { return std::make_shared<int>(number); };
}

TEST(Kept, IsTheSameForAsLongAsAnythingUsesIt) {
    Numbers numbers;
    auto one = numbers.get("a", making(1));
    EXPECT_EQ(numbers.get("a", making(2)), one);
    EXPECT_EQ(*numbers.get("b", making(3)), 3);
    one.reset();
    EXPECT_EQ(*numbers.get("a", making(4)), 4);
}

TEST(Kept, ForgetsNamesThatNothingGoesByAnyMore) {
    Numbers numbers;
    const auto kept = numbers.get("kept", making(0));
    for (int i = 0; i < 10'000; ++i) (void)numbers.get(std::to_string(i), making(i));
    int used = 0;
    numbers.for_each([&](int) { ++used; });
    EXPECT_EQ(used, 1);
    EXPECT_EQ(numbers.get("kept", making(1)), kept);
}

}  // namespace
}  // namespace nsboot_lb::base
