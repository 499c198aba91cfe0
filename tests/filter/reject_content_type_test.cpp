#include <gtest/gtest.h>

#include "filtering.hpp"

namespace nsboot_lb::filter {
namespace {

using namespace testing;

bool rejects(std::vector<std::string> types, std::string_view fields, std::string_view status = "200 OK") {
    auto route = forwarding();
    route.reject_content_type = std::move(types);
    MadeExchange made{plain_request};
    const FilteredResponse filtered{filters_of(route), made.exchange,
                                    "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(fields) + "\r\n"};
    if (!filtered.answer) return false;
    EXPECT_EQ(filtered.answer->status, 502);
    EXPECT_EQ(filtered.answer->reason, observe::Reason::rejected_content_type);
    return true;
}

TEST(RejectContentType, OfTheListedTypesInAnyCaseAndWithAnyParameters) {
    EXPECT_TRUE(rejects({"text/html"}, "Content-Type: text/html\r\n"));
    EXPECT_TRUE(rejects({"text/html"}, "content-type: Text/HTML; charset=utf-8\r\n"));
    EXPECT_TRUE(rejects({"text/HTML"}, "Content-Type: text/html ;charset=utf-8\r\n"));
    EXPECT_TRUE(rejects({"text/plain", "text/html"}, "Content-Type: text/html\r\n"));
}

TEST(RejectContentType, OfNoOther) {
    EXPECT_FALSE(rejects({"text/html"}, "Content-Type: application/octet-stream\r\n"));
    EXPECT_FALSE(rejects({"text/html"}, "Content-Type: text/html+xml\r\n"));
    EXPECT_FALSE(rejects({"text/html"}, "Content-Type: text/htm\r\n"));
    EXPECT_FALSE(rejects({"text/html"}, "Content-Type:\r\n"));
    EXPECT_FALSE(rejects({"text/html"}, "X-Content-Type: text/html\r\n"));
    EXPECT_FALSE(rejects({"text/html"}, ""));
}

TEST(RejectContentType, OfWhatLooksLikeSuccessAlone) {
    for (const auto* status : {"200 OK", "203 Transformed", "206 Partial Content", "299 Other"})
        EXPECT_TRUE(rejects({"text/html"}, "Content-Type: text/html\r\n", status)) << status;
    for (const auto* status : {"302 Found", "304 Not Modified", "404 Not Found", "416 Range Not Satisfiable", "500 Oh"})
        EXPECT_FALSE(rejects({"text/html"}, "Content-Type: text/html\r\n", status)) << status;
}

TEST(RejectContentType, OfARepeatedFieldToo) {
    EXPECT_TRUE(rejects({"text/html"}, "Content-Type: text/plain\r\nContent-Type: text/html\r\n"));
}

TEST(RejectContentType, ComesBeforeChangesThatWereMeantForTheServersResponse) {
    auto route = forwarding();
    route.reject_content_type = {"text/html"};
    route.response_headers.set = {{"X-From", "server"}, {"Content-Type", "image/png"}};
    MadeExchange made{plain_request};
    const FilteredResponse filtered{filters_of(route), made.exchange,
                                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"};
    EXPECT_TRUE(filtered.answer);
    EXPECT_TRUE(made.exchange.response_additions.empty());
}

}  // namespace
}  // namespace nsboot_lb::filter
