// What one process leaves and the next one reads, of whatever version either is.
#include "handover.hpp"

#include <gmock/gmock.h>

namespace nsboot_lb::wiring {
namespace {

using server::ServerState;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Handover, arrives_as_it_was_sent) {
    Handover sent;
    sent.sockets = {{"main 127.0.0.1:0", {5, 6}}, {"admin", {7}}, {"unix:/run/a \"b\"", {}}};
    sent.servers = {{.pool = "p",
                     .server = "s1",
                     .address = "10.0.0.1:80",
                     .state = ServerState::drain,
                     .weight = 0U,
                     .healthy = true,
                     .reason = ""},
                    {.pool = "p",
                     .server = "s2",
                     .address = "[::1]:80",
                     .state = ServerState::down,
                     .weight = {},
                     .healthy = true,
                     .reason = ""},
                    {.pool = "q",
                     .server = "s3",
                     .address = "unix:/x",
                     .weight = 65535U,
                     .healthy = false,
                     .reason = "timeout after 1s"}};
    const auto read = handover_of(to_json(sent));
    ASSERT_TRUE(read) << read.error();
    ASSERT_THAT(read->sockets, SizeIs(3));
    for (std::size_t i = 0; i < sent.sockets.size(); ++i) {
        EXPECT_EQ(read->sockets[i].name, sent.sockets[i].name);
        EXPECT_EQ(read->sockets[i].descriptors, sent.sockets[i].descriptors);
    }
    ASSERT_THAT(read->servers, SizeIs(3));
    for (std::size_t i = 0; i < sent.servers.size(); ++i) {
        EXPECT_EQ(read->servers[i].pool, sent.servers[i].pool);
        EXPECT_EQ(read->servers[i].server, sent.servers[i].server);
        EXPECT_EQ(read->servers[i].address, sent.servers[i].address);
        EXPECT_EQ(read->servers[i].state, sent.servers[i].state);
        EXPECT_EQ(read->servers[i].weight, sent.servers[i].weight);
        EXPECT_EQ(read->servers[i].healthy, sent.servers[i].healthy);
        EXPECT_EQ(read->servers[i].reason, sent.servers[i].reason);
    }
}

TEST(Handover, of_another_version_is_read_as_far_as_it_is_known) {
    const auto read = handover_of(R"({"version": 9, "servers": [{"pool": "p", "server": "s", "state": "resting",
        "weight": -5, "healthy": "yes", "since": 1}, 7, null], "sockets": "none", "certificates": []})");
    ASSERT_TRUE(read) << read.error();
    EXPECT_THAT(read->sockets, IsEmpty());
    ASSERT_THAT(read->servers, SizeIs(1));
    EXPECT_EQ(read->servers[0].server, "s");
    EXPECT_EQ(read->servers[0].state, ServerState::up);
    EXPECT_EQ(read->servers[0].weight, std::nullopt);
    EXPECT_TRUE(read->servers[0].healthy);
}

TEST(Handover, that_is_no_json_object_is_an_error) {
    EXPECT_THAT(handover_of("").error(), HasSubstr("not JSON"));
    EXPECT_THAT(handover_of("{\"sockets\": [").error(), HasSubstr("not JSON"));
    EXPECT_THAT(handover_of("[1, 2]").error(), HasSubstr("not a JSON object"));
}

}  // namespace
}  // namespace nsboot_lb::wiring
