// The small things that a worker has for its exchanges: ids, dates, head buffers, recycled exchanges.
#include "nsboot_lb/forward/worker.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "made_exchange.hpp"

namespace nsboot_lb::forward {
namespace {

using std::chrono::system_clock;
using namespace std::chrono_literals;

std::string next_of(RequestIds& ids) {
    std::array<char, 32> id{};
    ids.next(id);
    return {id.begin(), id.end()};
}

TEST(RequestIdsTest, are_32_hexadecimal_digits_and_never_twice_the_same) {
    RequestIds some;
    RequestIds others;
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        for (auto* ids : {&some, &others}) {
            const auto id = next_of(*ids);
            EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
            EXPECT_TRUE(seen.insert(id).second) << id;
        }
    }
}

TEST(RequestIdsTest, use_every_digit_at_every_place) {
    RequestIds ids;
    std::array<std::set<char>, 32> seen;
    for (int i = 0; i < 2000; ++i) {
        const auto id = next_of(ids);
        for (std::size_t at = 0; at < id.size(); ++at) seen[at].insert(id[at]);
    }
    for (const auto& digits : seen) EXPECT_EQ(digits.size(), 16U);
}

TEST(DateTextTest, is_written_as_http_writes_dates) {
    DateText date;
    EXPECT_EQ(date.at(system_clock::time_point{784111777s}), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(date.at(system_clock::time_point{784111777s + 999ms}), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(date.at(system_clock::time_point{784111778s}), "Sun, 06 Nov 1994 08:49:38 GMT");
    EXPECT_EQ(date.at(system_clock::time_point{784111777s}), "Sun, 06 Nov 1994 08:49:37 GMT") << "a clock set back";
    EXPECT_EQ(date.at(system_clock::time_point{951782400s}), "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST(HeadBufferTest, grows_and_keeps_its_text) {
    HeadBuffer buffer;
    std::string wanted;
    while (buffer.capacity() < 10 * HeadBuffer::first_size) {
        buffer.append("0123456789");
        wanted += "0123456789";
    }
    EXPECT_EQ(buffer.text(), wanted);
}

TEST(HeadBufferTest, gives_its_room_to_be_read_into) {
    HeadBuffer buffer;
    EXPECT_EQ(buffer.room().size(), HeadBuffer::first_size);
    std::ranges::fill(buffer.room(), 'x');
    buffer.added(HeadBuffer::first_size);
    EXPECT_TRUE(buffer.room().empty());
    buffer.grow();
    EXPECT_EQ(buffer.room().size(), HeadBuffer::first_size);
    EXPECT_EQ(buffer.text(), std::string(HeadBuffer::first_size, 'x'));
    buffer.truncate(3);
    EXPECT_EQ(buffer.text(), "xxx");
}

TEST(HeadBufferTest, keeps_little_memory_when_it_is_cleared) {
    HeadBuffer buffer;
    buffer.append(std::string(3 * HeadBuffer::first_size, 'x'));
    buffer.clear();
    EXPECT_EQ(buffer.text(), "");
    EXPECT_EQ(buffer.capacity(), HeadBuffer::first_size);
}

TEST(WorkerTest, recycles_exchanges_without_what_they_were) {
    testing::MadeExchange made{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"};
    auto& worker = made.worker;
    auto exchange = worker.take_exchange();
    const auto* const address = exchange.get();
    exchange->head.append(made.exchange.head.text());
    http::HeadError error;
    (void)http::h1::parse_request(exchange->head.text(), {}, exchange->request, error);
    exchange->client = &made.client;
    exchange->client_text = "x";
    exchange->rewritten_target = "/b";
    exchange->request_id = "x";
    exchange->view = made.exchange.view;
    exchange->route = made.exchange.route;
    exchange->tried = {1};
    exchange->request_additions = {{"A", "b"}};
    exchange->response_additions = {{"A", "b"}};
    exchange->host_text = "x";
    exchange->settled_request_fields.set();
    exchange->settled_response_fields.set();
    exchange->status = 200;
    exchange->reason = observe::Reason::denied;
    exchange->head_received = exchange->head_sent = 7;
    exchange->body_received += 7;
    exchange->body_sent += 7;
    exchange->attempts = 2;
    exchange->server = "x";
    exchange->upstream_duration = 1s;
    exchange->upgraded = net::Clock::now();
    exchange->request_body = &made.body;
    exchange->response = &made.response;
    exchange->scope = &made.scope;
    worker.give_exchange(std::move(exchange));

    exchange = worker.take_exchange();
    ASSERT_EQ(exchange.get(), address);
    EXPECT_EQ(exchange->head.text(), "");
    EXPECT_TRUE(exchange->request.fields.empty());
    EXPECT_EQ(exchange->request.framing, http::Framing::none);
    EXPECT_EQ(exchange->client, nullptr);
    EXPECT_EQ(exchange->client_text, "");
    EXPECT_EQ(exchange->rewritten_target, "");
    EXPECT_EQ(exchange->request_id, "");
    EXPECT_FALSE(exchange->view);
    EXPECT_EQ(exchange->route, nullptr);
    EXPECT_TRUE(exchange->tried.empty());
    EXPECT_TRUE(exchange->request_additions.empty());
    EXPECT_TRUE(exchange->response_additions.empty());
    EXPECT_EQ(exchange->host_text, "");
    EXPECT_TRUE(exchange->settled_request_fields.none());
    EXPECT_TRUE(exchange->settled_response_fields.none());
    EXPECT_EQ(exchange->status, 0);
    EXPECT_EQ(exchange->reason, observe::Reason::none);
    EXPECT_EQ(exchange->head_received + exchange->body_received + exchange->head_sent + exchange->body_sent, 0U);
    EXPECT_EQ(exchange->attempts, 0U);
    EXPECT_EQ(exchange->server, "");
    EXPECT_EQ(exchange->upstream_duration, 0s);
    EXPECT_EQ(exchange->upgraded, net::TimePoint{});
    EXPECT_EQ(exchange->request_body, nullptr);
    EXPECT_EQ(exchange->response, nullptr);
    EXPECT_EQ(exchange->scope, nullptr);
}

TEST(WorkerTest, follows_the_wall_clock) {
    testing::MadeExchange made{"GET / HTTP/1.0\r\n\r\n"};
    const auto before = system_clock::now();
    made.worker.deadlines.set_now(net::Clock::now());
    const auto first = made.worker.wall_now();
    EXPECT_LT(std::chrono::abs(first - before), 1s);
    made.worker.deadlines.set_now(made.worker.now() + 500ms);
    EXPECT_EQ(made.worker.wall_now() - first, 500ms);
}

}  // namespace
}  // namespace nsboot_lb::forward
