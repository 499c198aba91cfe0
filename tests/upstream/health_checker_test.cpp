#include "nsboot_lb/upstream/health_checker.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pools.hpp"

namespace nsboot_lb::upstream::testing {
namespace {

namespace asio = boost::asio;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// A server on the loopback that says one thing to everybody and notes what it was asked.
template <class Protocol>
class Server {
  public:
    Server(asio::io_context& loop, const typename Protocol::endpoint& at) : acceptor_(loop, at) {
        asio::co_spawn(loop, accept(), asio::detached);
    }
    void close() { acceptor_.close(); }
    auto local_endpoint() const { return acceptor_.local_endpoint(); }
    int native_handle() { return acceptor_.native_handle(); }

    std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    bool silent = false;
    std::vector<std::string> requests;
    int closed_by_peer = 0;

  private:
    asio::awaitable<void> accept() {
        for (;;) {
            auto [error, socket] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
            if (error) co_return;
            asio::co_spawn(acceptor_.get_executor(), serve(std::move(socket)), asio::detached);
        }
    }
    asio::awaitable<void> serve(typename Protocol::socket socket) {
        std::string received;
        const auto [error, size] = co_await asio::async_read_until(socket, asio::dynamic_buffer(received), "\r\n\r\n",
                                                                   asio::as_tuple(asio::use_awaitable));
        if (!error) {
            requests.push_back(received.substr(0, size));
            if (!silent) co_await asio::async_write(socket, asio::buffer(answer), asio::as_tuple(asio::use_awaitable));
        }
        char byte = 0;
        const auto [end, read] =
            co_await socket.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
        if (end) ++closed_by_peer;
    }

    typename Protocol::acceptor acceptor_;
};

class Checking : public ::testing::Test {
  protected:
    Checking() {
        check.interval = 5ms;
        check.timeout = 5s;
        check.rise = 2;
        check.fall = 3;
    }
    ~Checking() override { checker.reset(); }

    /// Begins to check 127.0.0.1 at the server's port.
    void start(std::uint16_t port) {
        auto config = pool_config({{1}});
        config.servers[0].host = "127.0.0.1";
        config.servers[0].port = port;
        start(std::move(config));
    }
    void start(config::Pool config) {
        config.health_check = check;
        pool.emplace(std::move(config));
        checker->follow(std::array{pool->pool()});
    }
    void start() { start(server->local_endpoint().port()); }
    /// Lets the loop run until that many changes were told.
    void run_until_transitions(std::size_t count) {
        while (pool->transitions.size() < count) loop.run_one();
    }
    void run_until_requests(std::size_t count) {
        while (server->requests.size() < count) loop.run_one();
    }
    observe::HealthCheckCounters& counters() { return *statistics.health_checks("pool", "a"); }

    using Tcp = Server<asio::ip::tcp>;
    asio::io_context loop;
    observe::Statistics statistics{1};
    config::HealthCheck check;
    std::optional<Tcp> server{std::in_place, loop, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    std::optional<TestPool> pool;
    std::optional<HealthChecker> checker{std::in_place, loop, statistics};
};

TEST_F(Checking, AServerThatIsWellStaysUpAndNothingIsTold) {
    start();
    run_until_requests(5);
    EXPECT_THAT(pool->transitions, IsEmpty());
    EXPECT_GE(counters().success.value(), 3);
    EXPECT_EQ(counters().failure.value(), 0);
    EXPECT_GE(server->closed_by_peer, 3) << "each check closes its connection";
}

TEST_F(Checking, TheRequestIsWhatTheConfigurationSays) {
    check.path = "/ready?deep=1";
    check.method = "HEAD";
    check.host = "nsboot.example.com";
    server->answer = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    start();
    run_until_requests(2);
    EXPECT_THAT(server->requests[0], StartsWith("HEAD /ready?deep=1 HTTP/1.1\r\n"));
    EXPECT_THAT(server->requests[0], HasSubstr("\r\nHost: nsboot.example.com\r\n"));
    EXPECT_THAT(server->requests[0], HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_GE(counters().success.value(), 1);
}

TEST_F(Checking, TheHostIsTheServersAddressUnlessSaid) {
    start();
    run_until_requests(1);
    EXPECT_THAT(server->requests[0],
                HasSubstr("\r\nHost: 127.0.0.1:" + std::to_string(server->local_endpoint().port()) + "\r\n"));
}

TEST_F(Checking, GoesDownAtTheThirdBadStatusAndUpAtTheSecondGoodOne) {
    server->answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    start();
    run_until_transitions(1);
    EXPECT_EQ(counters().failure.value(), 3);
    EXPECT_FALSE(pool->state(0).active_up());
    server->answer = "HTTP/1.1 204 No Content\r\n\r\n";
    run_until_transitions(2);
    EXPECT_THAT(pool->transitions, ElementsAre("a down: status 503", "a up: 2 checks passed"));
    EXPECT_TRUE(pool->state(0).active_up());
}

struct Trouble {
    const char* what;
    std::string answer;
    std::string reason;
};
class CheckingTrouble : public Checking, public ::testing::WithParamInterface<Trouble> {};

TEST_P(CheckingTrouble, IsTheReason) {
    check.expect_body = "\"status\":\"ok\"";
    server->answer = GetParam().answer;
    if (GetParam().answer.empty()) server->silent = true;
    if (server->silent) check.timeout = 20ms;
    start();
    run_until_transitions(1);
    EXPECT_THAT(pool->transitions, ElementsAre("a down: " + GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(Kinds, CheckingTrouble,
                         ::testing::Values(Trouble{"silence", "", "timeout after 20ms"},
                                           Trouble{"status", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                                                   "status 404"},
                                           Trouble{"body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                                                   "body without \"\"status\":\"ok\"\""},
                                           Trouble{"rubbish", "SSH-2.0-OpenSSH\r\n\r\n", "not HTTP: bad version"}),
                         [](const auto& info) { return std::string{info.param.what}; });

TEST_F(Checking, FindsTheExpectedBody) {
    check.expect_body = "\"status\":\"ok\"";
    server->answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"status\":\"ok\"}\r\n0\r\n\r\n";
    start();
    run_until_requests(4);
    EXPECT_EQ(counters().failure.value(), 0);
    EXPECT_GE(counters().success.value(), 2);
}

TEST_F(Checking, ARefusedConnectionIsTheReason) {
    const auto port = server->local_endpoint().port();
    server.reset();
    start(port);
    run_until_transitions(1);
    EXPECT_THAT(pool->transitions, ElementsAre("a down: connection refused"));
}

TEST_F(Checking, TcpOnlyConnects) {
    check.type = config::CheckType::tcp;
    start();
    while (counters().success.value() < 3) loop.run_one();
    EXPECT_THAT(server->requests, IsEmpty());
}

TEST_F(Checking, AtAPortOfItsOwn) {
    check.port = server->local_endpoint().port();
    start(std::uint16_t{1});
    run_until_requests(2);
    EXPECT_THAT(pool->transitions, IsEmpty());
}

TEST_F(Checking, OverAUnixSocket) {
    const auto path = "/tmp/nsboot-lb-health-" + std::to_string(getpid()) + ".sock";
    ::unlink(path.c_str());
    Server<asio::local::stream_protocol> local(loop, path);
    auto config = pool_config({{1}});
    config.servers[0].host.clear();
    config.servers[0].unix_path = path;
    start(std::move(config));
    while (local.requests.size() < 2) loop.run_one();
    ::unlink(path.c_str());
    EXPECT_THAT(local.requests[0], HasSubstr("\r\nHost: localhost\r\n"));
    EXPECT_THAT(pool->transitions, IsEmpty());
}

/// Until there is one, whoever needs a descriptor gets none.
class NoDescriptors {
  public:
    NoDescriptors() {
        getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit none{0, before_.rlim_max};
        setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

  private:
    rlimit before_{};
};

TEST_F(Checking, WithoutDescriptorsNeitherPassesNorFails) {
    check.fall = 1;
    start();
    run_until_requests(1);
    while (counters().success.value() < 1) loop.run_one();
    {
        const NoDescriptors none;
        while (counters().void_.value() < 3) loop.run_one();
    }
    while (counters().success.value() < 3) loop.run_one();
    EXPECT_EQ(counters().failure.value(), 0);
    EXPECT_THAT(pool->transitions, IsEmpty());
}

TEST_F(Checking, ALoopThatStoodStillIsNotTheServersSilence) {
    check.timeout = 200ms;
    check.fall = 1;
    start();
    // The connection is there as soon as the kernel has made it; nobody has looked at it yet.
    pollfd connecting{server->native_handle(), POLLIN, 0};
    while (::poll(&connecting, 1, 0) == 0) loop.run_one();
    std::this_thread::sleep_for(3 * check.timeout);
    while (counters().success.value() < 1) loop.run_one();
    EXPECT_EQ(counters().failure.value(), 0);
    EXPECT_THAT(pool->transitions, IsEmpty());
}

TEST_F(Checking, AReloadThatLeavesTheCheckAloneKeepsItsCount) {
    server->answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    start();
    while (counters().failure.value() < 2) loop.run_one();
    auto config = pool->pool()->config();
    config.timeouts.queue = 1s;
    pool->rebuild(config);
    checker->follow(std::array{pool->pool()});
    run_until_transitions(1);
    EXPECT_EQ(counters().failure.value(), 3);
}

TEST_F(Checking, AnEndpointThatIsGoneIsNotCheckedAnyMore) {
    start();
    run_until_requests(1);
    checker->follow({});
    server->close();
    loop.run();  // comes to an end, since nothing is checked any more
    EXPECT_THAT(pool->transitions, IsEmpty());
}

TEST(Judge, ByRangesOfStatuses) {
    config::HealthCheck check;
    check.expect_status = {{200, 204}, {301, 301}};
    for (const int status : {200, 204, 301}) EXPECT_TRUE(judge(check, status, "")) << status;
    for (const int status : {199, 205, 300, 302, 503}) EXPECT_FALSE(judge(check, status, "")) << status;
}

}  // namespace
}  // namespace nsboot_lb::upstream::testing
