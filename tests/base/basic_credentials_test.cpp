#include "nsboot_lb/base/basic_credentials.hpp"

#include <gtest/gtest.h>

namespace nsboot_lb::base {
namespace {

TEST(BasicCredentials, OfTheExampleOfTheRfc) {
    const auto credentials = parse_basic_credentials("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617 2
    ASSERT_TRUE(credentials.has_value());
    EXPECT_EQ(credentials->user, "Aladdin");
    EXPECT_EQ(credentials->password, "open sesame");
}

TEST(BasicCredentials, TheSchemeIsInAnyCaseAndMayBeFollowedBySpaces) {
    EXPECT_TRUE(parse_basic_credentials("bASIC   YTpi").has_value());
}

TEST(BasicCredentials, ThePasswordMayHoldColonsAndOctetsBeyondAsciiAndMayBeEmpty) {
    EXPECT_EQ(parse_basic_credentials("Basic YTpiOmM=")->password, "b:c");
    EXPECT_EQ(parse_basic_credentials("Basic dGVzdDoxMjPCow==")->password, "123\xc2\xa3");  // RFC 7617 2.1
    EXPECT_EQ(parse_basic_credentials("Basic YTo=")->password, "");
    EXPECT_EQ(parse_basic_credentials("Basic OmI=")->user, "");
}

class NoBasicCredentials : public testing::TestWithParam<std::string_view> {};

TEST_P(NoBasicCredentials, AreTaken) {
    EXPECT_FALSE(parse_basic_credentials(GetParam()).has_value());
}

INSTANTIATE_TEST_SUITE_P(Malformed, NoBasicCredentials,
                         testing::Values("", "Basic", "Basic ", "Basic    ", "Bearer YTpi", "BasicYTpi", "Basic\tYTpi",
                                         "Basic YTpi ", "Basic YTpi,", "Basic YTp", "Basic YT=i",
                                         "Basic YTpi====", "Basic =YTp", "Basic YT-_", "Basic YTo",
                                         "Basic YTp=",      // stray bits: "a:" is YTo=
                                         "Basic YWI=",      // "ab", without a colon
                                         "Basic YTpiAA==",  // "a:b\0"
                                         "Basic YTpiCg==",  // "a:b\n"
                                         "Basic YQA6Yg==",  // "a\0:b"
                                         "Basic YTpi\nYTpi", "Basic YTpi YTpi"));

}  // namespace
}  // namespace nsboot_lb::base
