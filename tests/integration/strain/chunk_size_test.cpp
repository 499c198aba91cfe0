/// A chunk's size has sixteen hexadecimal digits at most, however many of them are zeros: more say nothing, and whoever
/// sends more has nothing to say.
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "flow.hpp"

namespace nsboot_lb::test {
namespace {

const std::string sixteen_digits = "0000000000000005";
const std::string seventeen_digits = "00000000000000005";

std::string chunked_request(std::string_view body) {
    return post("/", "Transfer-Encoding: chunked\r\n", body);
}

class ChunkSizeTest : public FlowProxy<ChunkSizeTest> {
  protected:
    /// The origin has seen no request whole.
    static void expect_nothing_completed() {
        origin().settle();
        for (const Message& request : origin().requests()) EXPECT_FALSE(request.complete) << escaped(request.raw);
    }
};

TEST_F(ChunkSizeTest, OfAClientMayHaveSixteenDigits) {
    EXPECT_EQ(exchange(chunked_request(sixteen_digits + "\r\nhello\r\n0000000000000000\r\n\r\n")).status(), 200);
    EXPECT_EQ(origin().await_request().body, "hello");
}

TEST_F(ChunkSizeTest, OfAClientMayHaveNoMore) {
    expect_refused(chunked_request(seventeen_digits + "\r\nhello\r\n0\r\n\r\n"), 400);
    expect_refused(chunked_request("5\r\nhello\r\n00000000000000000\r\n\r\n"), 400);
    expect_refused(chunked_request(std::string(100'000, '0')), 400);
    expect_nothing_completed();
}

TEST_F(ChunkSizeTest, OfAServerMayHaveSixteenDigits) {
    origin().answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sixteen_digits +
                    "\r\nhello\r\n0\r\n\r\n");
    const Message response = exchange(get("/"));
    EXPECT_TRUE(response.complete);
    EXPECT_EQ(response.body, "hello");
}

TEST_F(ChunkSizeTest, OfAServerMayHaveNoMore) {
    for (const auto& body :
         {seventeen_digits + "\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n" + std::string(100'000, '0')}) {
        origin().answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
        Client client = connect();
        const Message response = client.exchange(get("/"));
        // Told where nothing was said yet, else cut off.
        EXPECT_TRUE(response.status() == 502 || (!response.complete && client.end() == End::reset))
            << testing::PrintToString(response);
        EXPECT_LT(elapsed(), patience / 5);
    }
}

}  // namespace
}  // namespace nsboot_lb::test
