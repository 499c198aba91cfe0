#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using namespace testing;

std::optional<forward::Answer> answer_to(std::uint64_t most_bytes, std::string_view framing) {
    auto route = forwarding();
    route.max_body = most_bytes;
    MadeExchange made{"POST / HTTP/1.1\r\nHost: a\r\n" + std::string(framing) + "\r\n"};
    return ask(filters_of(route), made.exchange);
}

TEST(BodySize, RefusesWhatIsAnnouncedAsTooLarge) {
    const auto answer = answer_to(10, "Content-Length: 11\r\n");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 413);
    EXPECT_EQ(answer->reason, observe::Reason::body_too_large);
    EXPECT_TRUE(answer->close);
}

TEST(BodySize, LetsPassWhatFits) {
    EXPECT_FALSE(answer_to(10, "Content-Length: 10\r\n"));
    EXPECT_FALSE(answer_to(10, ""));
    EXPECT_FALSE(answer_to(0, "Content-Length: 0\r\n"));
}

TEST(BodySize, LeavesToTheRelayWhatIsNotAnnounced) {
    EXPECT_FALSE(answer_to(0, "Transfer-Encoding: chunked\r\n"));
}

TEST(BodySize, MayBeNothingAtAll) {
    EXPECT_TRUE(answer_to(0, "Content-Length: 1\r\n"));
}

}  // namespace
}  // namespace nsboot_lb::filter
