#include "nsboot_lb/admin/admin_server.hpp"

#include <filesystem>
#include <fstream>
#include <future>
#include <netinet/in.h>
#include <new>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::admin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

AdminContext idle_daemon(asio::thread_pool& background) {
    return {.view =
                [] {
                    return View{.status = [] { return Status{}; },
                                .pools = [] { return std::vector<PoolStatus>{}; },
                                .config_yaml = [] { return std::string(); },
                                .metrics = [] { return observe::MetricFamilies{}; }};
                },
            .background = background.get_executor(),
            .draining = [] { return false; },
            .change_server = [](auto, auto, const auto&) { return ChangeResult::changed; },
            .reload = []() -> asio::awaitable<ReloadResult> {
                co_return ReloadResult{.successful = true, .problems = {}};
            }};
}

/// A client that speaks bytes.
class Client {
  public:
    explicit Client(const asio::generic::stream_protocol::endpoint& endpoint) : socket_(io_) {
        socket_.connect(endpoint);
    }
    explicit Client(std::uint16_t port) : Client(tcp::endpoint(asio::ip::address_v4::loopback(), port)) {}
    /// From that address.
    Client(std::uint16_t port, const std::string& source) : socket_(io_) {
        socket_.open(tcp::v4());
        socket_.bind(tcp::endpoint(asio::ip::make_address(source), 0));
        socket_.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port));
    }

    void send(std::string_view text) {
        error_code ignored;
        asio::write(socket_, asio::buffer(text), ignored);
    }
    /// One response whose head ends in an empty line and whose body has a Content-Length, unless `head_only`.
    std::string receive(bool head_only = false) {
        error_code error;
        const std::size_t head_bytes = asio::read_until(socket_, asio::dynamic_buffer(input_), "\r\n\r\n", error);
        if (error) return "";
        const std::string_view head(input_.data(), head_bytes);
        const std::size_t at = head.find("Content-Length: ");
        const std::size_t body_bytes =
            head_only || at == std::string_view::npos ? 0 : std::stoul(std::string(head.substr(at + 16)));
        while (input_.size() < head_bytes + body_bytes && !error) read_more(error);
        std::string response = input_.substr(0, head_bytes + body_bytes);
        input_.erase(0, head_bytes + body_bytes);
        return response;
    }
    std::string ask(std::string_view request) {
        send(request);
        return receive();
    }
    /// Waits for the end of the stream: true for a clean one, false for a reset.
    bool ends_cleanly() {
        error_code error;
        while (!error) read_more(error);
        return error == asio::error::eof && input_.empty();
    }

    /// Waits for the end of the stream, whatever kind it is.
    bool ends_with_an_answer() {
        error_code error;
        while (!error) read_more(error);
        return !input_.empty();
    }

  private:
    void read_more(error_code& error) {
        char buffer[4096];
        const std::size_t bytes = socket_.read_some(asio::buffer(buffer), error);
        input_.append(buffer, bytes);
    }

    asio::io_context io_;
    asio::generic::stream_protocol::socket socket_;
    std::string input_;
};

/// The server on its own thread, as the control thread; touched there alone.
class AdminServerTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = std::filesystem::temp_directory_path() / "nsboot-lb-admin-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        thread_ = std::thread([this] { io_.run(); });
    }
    void TearDown() override {
        stop();
        work_.reset();
        thread_.join();
        std::filesystem::remove_all(directory_);
    }

    template <class Function>
    auto on_control_thread(Function function) {
        std::packaged_task<decltype(function())()> task(std::move(function));
        auto result = task.get_future();
        asio::post(io_, [&task] { task(); });
        return result.get();
    }
    std::expected<void, std::string> start(const config::Admin& config) {
        return on_control_thread([&]() -> std::expected<void, std::string> {
            auto started = AdminServer::start(io_, config, daemon_);
            if (!started) return std::unexpected(started.error());
            server_ = std::move(*started);
            return {};
        });
    }
    void stop() {
        on_control_thread([&] { server_.reset(); });
    }
    /// Starts on a port of the kernel's choice and gives it.
    std::uint16_t start_on_loopback(std::vector<base::Cidr> allow = {*base::Cidr::parse("127.0.0.0/8")}) {
        config::Admin config;
        config.address.host = "127.0.0.1";
        config.allow = std::move(allow);
        const auto started = start(config);
        EXPECT_TRUE(started.has_value()) << started.error();
        const std::string address = on_control_thread([&] { return server_->address(); });
        EXPECT_THAT(address, StartsWith("127.0.0.1:"));
        return static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1)));
    }
    std::string file(const std::string& name) const { return directory_ / name; }

    asio::io_context io_;
    asio::thread_pool background_{1};
    AdminContext daemon_ = idle_daemon(background_);
    std::unique_ptr<AdminServer> server_;

  private:
    std::filesystem::path directory_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::thread thread_;
};

TEST_F(AdminServerTest, answers_one_request_after_the_other_on_a_connection) {
    Client client(start_on_loopback());
    for (int i = 0; i < 3; ++i) {
        const std::string response = client.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
        EXPECT_THAT(response, EndsWith("\r\n\r\nok\n"));
    }
}

TEST_F(AdminServerTest, answers_pipelined_requests_in_order) {
    Client client(start_on_loopback());
    client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client.receive(), EndsWith("ok\n"));
    EXPECT_THAT(client.receive(), EndsWith("ready\n"));
    EXPECT_TRUE(client.ends_cleanly());
}

TEST_F(AdminServerTest, a_head_request_has_the_length_and_no_body) {
    Client client(start_on_loopback());
    client.send("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client.receive(true), HasSubstr("Content-Length: 3\r\n"));
    EXPECT_TRUE(client.ends_cleanly());
}

TEST_F(AdminServerTest, browsers_are_told_to_take_nothing_from_elsewhere) {
    Client client(start_on_loopback());
    const std::string response = client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(response, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'"));
    EXPECT_THAT(response, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
    EXPECT_THAT(response, HasSubstr("Cache-Control: no-store\r\n"));
    EXPECT_THAT(response, HasSubstr("</html>"));
}

TEST_F(AdminServerTest, takes_a_body) {
    Client client(start_on_loopback());
    const std::string response = client.ask(
        "POST /api/v1/pools/p/servers/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "17\r\n\r\n{\"state\":\"drain\"}");
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(AdminServerTest, a_405_names_the_methods_and_a_404_is_json) {
    Client client(start_on_loopback());
    EXPECT_THAT(client.ask("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("Allow: GET, HEAD\r\n"));
    EXPECT_THAT(client.ask("GET /x HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("{\"error\":\"there is nothing here\"}\n"));
}

TEST_F(AdminServerTest, an_address_that_is_not_allowed_gets_403_until_it_is) {
    const std::uint16_t port = start_on_loopback({*base::Cidr::parse("10.0.0.0/8")});
    EXPECT_THAT(Client(port).ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 403 Forbidden\r\n"));
    config::Admin config;
    config.allow = {*base::Cidr::parse("127.0.0.1")};
    on_control_thread([&] { server_->set_access(config); });
    EXPECT_THAT(Client(port).ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(AdminServerTest, an_address_that_is_no_longer_allowed_gets_403_on_an_open_connection) {
    const std::uint16_t port = start_on_loopback();
    constexpr auto request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    Client out(port, "127.0.0.1");
    Client still_in(port, "127.0.0.2");
    EXPECT_THAT(out.ask(request), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(still_in.ask(request), StartsWith("HTTP/1.1 200 OK\r\n"));
    config::Admin config;
    config.allow = {*base::Cidr::parse("127.0.0.2")};
    on_control_thread([&] { server_->set_access(config); });
    ASSERT_THAT(out.ask(request), StartsWith("HTTP/1.1 403 Forbidden\r\n"));
    EXPECT_TRUE(out.ends_cleanly());
    EXPECT_THAT(still_in.ask(request), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(AdminServerTest, who_shuts_itself_out_is_answered_once_more) {
    daemon_.reload = [this]() -> asio::awaitable<ReloadResult> {
        config::Admin nobody;
        nobody.allow.clear();
        server_->set_access(nobody);
        co_return ReloadResult{.successful = true};
    };
    Client client(start_on_loopback());
    EXPECT_THAT(client.ask("POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
                StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(client.ends_cleanly());
}

TEST_F(AdminServerTest, what_is_not_http_is_400_and_the_end) {
    Client client(start_on_loopback());
    EXPECT_THAT(client.ask("\x16\x03\x01 hello\r\n\r\n"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_TRUE(client.ends_cleanly());
}

TEST_F(AdminServerTest, a_body_or_a_header_without_end_is_refused) {
    const std::uint16_t port = start_on_loopback();
    Client large_body(port);
    EXPECT_THAT(large_body.ask("POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n"),
                StartsWith("HTTP/1.1 413 "));
    Client endless_body(port);
    endless_body.send("POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; ++i) endless_body.send("400\r\n" + std::string(0x400, 'x') + "\r\n");
    EXPECT_THAT(endless_body.receive(), StartsWith("HTTP/1.1 413 "));
    Client large_head(port);
    EXPECT_THAT(large_head.ask("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"),
                StartsWith("HTTP/1.1 431 "));
}

TEST_F(AdminServerTest, at_the_limit_the_oldest_idle_connection_goes_for_a_newcomer) {
    const std::uint16_t port = start_on_loopback();
    Client in_the_middle(port);
    in_the_middle.send("POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{");
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 63; ++i) {
        clients.push_back(std::make_unique<Client>(port));
        ASSERT_THAT(clients.back()->ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    }
    EXPECT_THAT(clients[0]->ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    Client one_more(port);
    EXPECT_THAT(one_more.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    EXPECT_FALSE(in_the_middle.ends_with_an_answer()) << "it has been silent longest";
    Client another(port);
    EXPECT_THAT(another.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    EXPECT_TRUE(clients[1]->ends_cleanly());
    EXPECT_THAT(clients[0]->ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
}

TEST_F(AdminServerTest, peers_that_are_not_allowed_have_few_places_and_a_second_and_keep_out_nobody) {
    const std::uint16_t port = start_on_loopback({*base::Cidr::parse("127.0.0.2")});
    std::vector<std::unique_ptr<Client>> strangers;
    for (int i = 0; i < 70; ++i) strangers.push_back(std::make_unique<Client>(port));
    Client friendly(port, "127.0.0.2");
    EXPECT_THAT(friendly.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    EXPECT_THAT(strangers[0]->ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 403 "));
    const auto begin = std::chrono::steady_clock::now();
    for (const auto& stranger : strangers) EXPECT_TRUE(stranger->ends_cleanly());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{10})
        << "and not the idle time of two minutes";
}

TEST_F(AdminServerTest, what_fails_in_a_connection_ends_that_one_alone) {
    daemon_.draining = []() -> bool { throw std::bad_alloc{}; };
    daemon_.view = [] {
        return View{.status = []() -> Status { throw std::bad_alloc{}; },
                    .pools = [] { return std::vector<PoolStatus>{}; },
                    .config_yaml = [] { return std::string(); },
                    .metrics = [] { return observe::MetricFamilies{}; }};
    };
    const std::uint16_t port = start_on_loopback();
    Client other(port);
    EXPECT_THAT(other.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    for (const char* path : {"/healthz", "/api/v1/status"}) {
        Client failing(port);
        failing.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_FALSE(failing.ends_with_an_answer()) << path;
    }
    EXPECT_THAT(other.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(Client(port).ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, a_scrape_that_takes_long_does_not_hold_up_the_control_thread) {
    std::promise<void> begun;
    std::promise<void> finish;
    daemon_.view = [&] {
        return View{.status = [] { return Status{}; },
                    .pools = [] { return std::vector<PoolStatus>{}; },
                    .config_yaml = [] { return std::string(); },
                    .metrics =
                        [&] {
                            begun.set_value();
                            finish.get_future().wait();
                            return observe::MetricFamilies{};
                        }};
    };
    const std::uint16_t port = start_on_loopback();
    Client scraping(port);
    scraping.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    begun.get_future().wait();
    EXPECT_THAT(Client(port).ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    finish.set_value();
    EXPECT_THAT(scraping.receive(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, a_name_that_is_not_its_own_changes_nothing_but_by_a_unix_socket) {
    const std::string rest = "Host: evil.example\r\nContent-Length: 0\r\n\r\n";
    EXPECT_THAT(Client(start_on_loopback()).ask("POST /api/v1/reload HTTP/1.1\r\n" + rest),
                StartsWith("HTTP/1.1 403 "));
    stop();
    config::Admin config;
    config.address.unix_path = file("admin.sock");
    ASSERT_TRUE(start(config).has_value());
    Client client(asio::local::stream_protocol::endpoint(file("admin.sock")));
    EXPECT_THAT(client.ask("POST /api/v1/reload HTTP/1.1\r\n" + rest), StartsWith("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, a_stop_closes_the_listener_and_idle_connections) {
    const std::uint16_t port = start_on_loopback();
    Client client(port);
    ASSERT_THAT(client.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    stop();
    EXPECT_TRUE(client.ends_cleanly());
    EXPECT_THROW(Client{port}, boost::system::system_error);
}

TEST_F(AdminServerTest, serves_on_a_unix_socket_that_is_for_owner_and_group_and_removed_at_the_end) {
    config::Admin config;
    config.address.unix_path = file("admin.sock");
    ASSERT_TRUE(start(config).has_value());
    struct stat status{};
    ASSERT_EQ(::stat(file("admin.sock").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660U);
    Client client(asio::local::stream_protocol::endpoint(file("admin.sock")));
    EXPECT_THAT(client.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));
    stop();
    EXPECT_FALSE(std::filesystem::exists(file("admin.sock")));
}

TEST_F(AdminServerTest, replaces_the_socket_of_a_dead_process_but_not_of_a_living_one_nor_a_file) {
    config::Admin config;
    config.address.unix_path = file("admin.sock");
    {
        asio::io_context io;
        asio::local::stream_protocol::acceptor dead(io, asio::local::stream_protocol::endpoint(file("admin.sock")));
    }
    ASSERT_TRUE(std::filesystem::exists(file("admin.sock")));
    ASSERT_TRUE(start(config).has_value());

    const auto second = on_control_thread([&] { return AdminServer::start(io_, config, daemon_).has_value(); });
    EXPECT_FALSE(second);
    Client client(asio::local::stream_protocol::endpoint(file("admin.sock")));
    EXPECT_THAT(client.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("ok\n"));

    config.address.unix_path = file("precious");
    std::ofstream(file("precious")) << "data";
    EXPECT_FALSE(on_control_thread([&] { return AdminServer::start(io_, config, daemon_).has_value(); }));
    EXPECT_EQ(std::filesystem::file_size(file("precious")), 4U);
}

/// Who comes by a unix socket has every right, so a socket under the admin listener's name is not enough.
TEST_F(AdminServerTest, adopts_only_a_socket_that_is_bound_where_the_configuration_says) {
    const auto inode = [](int descriptor) {
        struct stat status{};
        EXPECT_EQ(::fstat(descriptor, &status), 0);
        return status.st_ino;
    };
    const auto adopted = [&](const config::Admin& config, int descriptor) {
        return on_control_thread([&] {
            const auto given = inode(descriptor);
            server::InheritedSockets inherited;
            EXPECT_TRUE(inherited.add("admin", descriptor));
            auto started = AdminServer::start(io_, config, daemon_, &inherited);
            return started && inode((*started)->descriptor()) == given;
        });
    };
    const auto by_tcp = [] {
        const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in any{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        EXPECT_EQ(::bind(descriptor, reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
        EXPECT_EQ(::listen(descriptor, 1), 0);
        return descriptor;
    };
    config::Admin config;
    config.address.unix_path = file("admin.sock");
    EXPECT_FALSE(adopted(config, by_tcp()));
    config.address = {};
    config.address.host = "127.0.0.2";
    EXPECT_FALSE(adopted(config, by_tcp()));
    config.address.host = "127.0.0.1";
    EXPECT_TRUE(adopted(config, by_tcp()));
}

TEST_F(AdminServerTest, a_living_socket_whose_backlog_is_full_is_not_waited_for) {
    config::Admin config;
    config.address.unix_path = file("admin.sock");
    const asio::local::stream_protocol::endpoint endpoint(file("admin.sock"));
    asio::io_context io;
    asio::local::stream_protocol::acceptor busy(io);
    busy.open();
    busy.bind(endpoint);
    busy.listen(0);
    asio::local::stream_protocol::socket waiting(io);
    waiting.connect(endpoint);  // all that fits into a backlog of none

    auto started = std::async(std::launch::async, [&] { return start(config); });
    if (started.wait_for(std::chrono::seconds{10}) != std::future_status::ready) {
        ADD_FAILURE() << "it waits to be accepted";
        busy.close();
    }
    EXPECT_FALSE(started.get().has_value());
}

TEST_F(AdminServerTest, an_address_in_use_is_an_error_that_names_it) {
    config::Admin config;
    config.address.host = "127.0.0.1";
    config.address.port = start_on_loopback();
    const auto error = on_control_thread([&] { return AdminServer::start(io_, config, daemon_).error(); });
    EXPECT_THAT(error, HasSubstr("127.0.0.1:" + std::to_string(config.address.port)));
    EXPECT_THAT(error, HasSubstr("in use"));
}

TEST_F(AdminServerTest, a_token_file_that_cannot_be_read_is_an_error_at_the_start) {
    config::Admin config;
    config.address.host = "127.0.0.1";
    config.token_file = file("no-token");
    const auto started = start(config);
    ASSERT_FALSE(started.has_value());
    EXPECT_THAT(started.error(), HasSubstr("no-token"));
}

}  // namespace
}  // namespace nsboot_lb::admin
