#include "nsboot_lb/observe/reason.hpp"

#include <set>

#include <gtest/gtest.h>

namespace nsboot_lb::observe {
namespace {

TEST(Reason, every_reason_has_a_word_of_its_own) {
    std::set<std::string_view> words;
    for (std::size_t i = 1; i < reason_count; ++i) {
        const std::string_view word = to_string(static_cast<Reason>(i));
        EXPECT_FALSE(word.empty()) << "reason " << i;
        EXPECT_EQ(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos) << word;
        EXPECT_TRUE(words.insert(word).second) << word << " twice";
    }
}

TEST(Reason, none_is_empty) {
    EXPECT_EQ(to_string(Reason::none), "");
}

}  // namespace
}  // namespace nsboot_lb::observe
