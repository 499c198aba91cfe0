// A stand-in on a thread of its own, spoken to over a socket.
#include "server.hpp"

#include <thread>

#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sha256.hpp"

namespace nsboot_lb::standin {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using testing::HasSubstr;

namespace {

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

Request make(http::verb method, std::string_view target, std::string body = {}) {
    Request request{method, {target.data(), target.size()}, 11};
    request.set(http::field::host, "standin");
    request.body() = std::move(body);
    request.prepare_payload();
    return request;
}

class ServerTest : public testing::Test {
  protected:
    void SetUp() override {
        server_.start();
        thread_ = std::thread([this] {
            while (server_.working() && context_.run_one() != 0) {
            }
        });
        client_.connect(server_.local_endpoint());
    }

    void TearDown() override {
        beast::error_code ignored;
        client_.close(ignored);
        stop();
        if (thread_.joinable()) thread_.join();
    }

    void stop() {
        asio::post(context_, [this] { server_.stop(); });
    }

    Response receive(http::verb method = http::verb::get) {
        http::response_parser<http::string_body> parser;
        parser.skip(method == http::verb::head);
        parser.body_limit(boost::none);
        http::read(client_, input_, parser);
        return parser.release();
    }

    Response ask(const Request& request) {
        http::write(client_, request);
        return receive(request.method());
    }

    asio::io_context context_{1};
    Server server_{context_, {asio::ip::address_v4::loopback(), 0}, "nsboot-7"};
    std::thread thread_;
    asio::io_context client_context_;
    tcp::socket client_{client_context_};
    beast::flat_buffer input_;
};

std::string image_bytes(std::string_view name, std::uint64_t size) {
    std::string bytes(size, '\0');
    Image(name, size).read(0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

std::string text_of(const boost::json::value& object, std::string_view key) {
    return boost::json::value_to<std::string>(object.at({key.data(), key.size()}));
}

std::string sha256_of(std::string_view bytes) {
    Sha256 digest;
    digest.update(std::as_bytes(std::span(bytes)));
    return digest.finish();
}

TEST_F(ServerTest, says_who_it_is) {
    const auto health = ask(make(http::verb::get, "/health"));
    EXPECT_EQ(health.result(), http::status::ok);
    EXPECT_EQ(health[http::field::content_type], "application/json");
    EXPECT_EQ(text_of(boost::json::parse(health.body()), "status"), "healthy");

    const auto info = boost::json::parse(ask(make(http::verb::get, "/api/system/info")).body());
    EXPECT_EQ(text_of(info, "hostname"), "nsboot-7");
    EXPECT_TRUE(info.at("version").is_string());
    EXPECT_GE(info.at("uptime").as_int64(), 0);
}

TEST_F(ServerTest, lets_in_who_knows_the_password) {
    const auto good = ask(make(http::verb::post, "/api/auth/login", R"({"username": "admin", "password": "nsboot"})"));
    EXPECT_EQ(good.result(), http::status::ok);
    EXPECT_FALSE(boost::json::parse(good.body()).at("token").as_string().empty());
    const auto wrong = ask(make(http::verb::post, "/api/auth/login", R"({"username": "admin", "password": "guess"})"));
    EXPECT_EQ(wrong.result(), http::status::unauthorized);
    EXPECT_EQ(ask(make(http::verb::post, "/api/auth/login", "not json")).result(), http::status::bad_request);
    EXPECT_EQ(ask(make(http::verb::get, "/api/auth/login")).result(), http::status::method_not_allowed);
}

TEST_F(ServerTest, refuses_unknown_pages_and_stays_in_step) {
    EXPECT_EQ(ask(make(http::verb::get, "/nothing")).result(), http::status::not_found);
    EXPECT_EQ(ask(make(http::verb::delete_, "/health")).result(), http::status::method_not_allowed);
    EXPECT_EQ(ask(make(http::verb::get, "/images/a?size=huge")).result(), http::status::bad_request);
    EXPECT_EQ(ask(make(http::verb::get, "/health")).result(), http::status::ok);
}

TEST_F(ServerTest, answers_a_malformed_request_and_closes) {
    asio::write(client_, asio::buffer(std::string_view("GET / HTTP/1.1\r\nHost : standin\r\n\r\n")));
    EXPECT_EQ(receive().result(), http::status::bad_request);
    beast::error_code error;
    char byte = 0;
    client_.read_some(asio::buffer(&byte, 1), error);
    EXPECT_EQ(error, asio::error::eof);
}

TEST_F(ServerTest, serves_an_image_whole_and_in_part) {
    const std::string expected = image_bytes("disk.img", 700'000);
    const auto whole = ask(make(http::verb::get, "/images/disk.img?size=700000"));
    EXPECT_EQ(whole.body(), expected);
    EXPECT_EQ(whole[http::field::last_modified], "Tue, 01 Jul 2025 00:00:00 GMT");

    auto request = make(http::verb::get, "/images/disk.img?size=700000");
    request.set(http::field::range, "bytes=300001-600000");
    request.set(http::field::if_range, whole[http::field::etag]);
    const auto part = ask(request);
    EXPECT_EQ(part.result(), http::status::partial_content);
    EXPECT_EQ(part[http::field::content_range], "bytes 300001-600000/700000");
    EXPECT_EQ(part.body(), expected.substr(300'001, 300'000));

    request.set(http::field::range, "bytes=700000-");
    const auto beyond = ask(request);
    EXPECT_EQ(beyond.result(), http::status::range_not_satisfiable);
    EXPECT_EQ(beyond[http::field::content_range], "bytes */700000");
}

TEST_F(ServerTest, answers_head_like_get_without_the_body) {
    const auto head = ask(make(http::verb::head, "/images/disk.img?size=5GiB"));
    EXPECT_EQ(head.result(), http::status::ok);
    EXPECT_EQ(head[http::field::content_length], "5368709120");
    EXPECT_EQ(ask(make(http::verb::head, "/health"))[http::field::content_type], "application/json");
    EXPECT_EQ(ask(make(http::verb::get, "/health")).result(), http::status::ok);
}

TEST_F(ServerTest, answers_a_304_without_a_body) {
    auto request = make(http::verb::get, "/images/disk.img?size=100");
    request.set(http::field::if_none_match, Image("disk.img", 100).etag());
    EXPECT_EQ(ask(request).result(), http::status::not_modified);
    EXPECT_EQ(ask(make(http::verb::get, "/images/disk.img?size=100")).body().size(), 100U);
}

TEST_F(ServerTest, takes_an_upload_of_either_framing) {
    const std::string body = image_bytes("upload", 3'000'000);
    const auto counted = boost::json::parse(ask(make(http::verb::post, "/api/images/upload", body)).body());
    EXPECT_EQ(counted.at("size"), 3'000'000);
    EXPECT_EQ(text_of(counted, "sha256"), sha256_of(body));

    Request chunked{http::verb::post, "/api/images/upload", 11};
    chunked.set(http::field::host, "standin");
    chunked.chunked(true);
    chunked.body() = body;
    EXPECT_EQ(text_of(boost::json::parse(ask(chunked).body()), "sha256"), sha256_of(body));
    EXPECT_EQ(boost::json::parse(ask(make(http::verb::post, "/api/images/upload")).body()).at("size"), 0);
}

TEST_F(ServerTest, asks_for_the_body_of_an_upload_that_expects_it) {
    asio::write(
        client_,
        asio::buffer(std::string_view(
            "POST /api/images/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")));
    EXPECT_EQ(receive().result(), http::status::continue_);
    asio::write(client_, asio::buffer(std::string_view("abc")));
    EXPECT_EQ(text_of(boost::json::parse(receive().body()), "sha256"), sha256_of("abc"));
}

TEST_F(ServerTest, refuses_a_body_that_no_page_needs) {
    EXPECT_EQ(ask(make(http::verb::post, "/api/auth/login", std::string(100'000, ' '))).result(),
              http::status::payload_too_large);
}

TEST_F(ServerTest, answers_pipelined_requests_in_order) {
    std::string requests;
    for (int size = 1; size <= 50; ++size)
        requests += fmt::format("GET /images/p?size={} HTTP/1.1\r\nHost: a\r\n\r\n", size);
    asio::write(client_, asio::buffer(requests));
    for (std::size_t size = 1; size <= 50; ++size) EXPECT_EQ(receive().body(), image_bytes("p", size));
}

TEST_F(ServerTest, closes_after_an_http_1_0_request) {
    asio::write(client_, asio::buffer(std::string_view("GET /images/a?size=10 HTTP/1.0\r\n\r\n")));
    EXPECT_EQ(receive().body().size(), 10U);
    beast::error_code error;
    char byte = 0;
    client_.read_some(asio::buffer(&byte, 1), error);
    EXPECT_EQ(error, asio::error::eof);
}

TEST_F(ServerTest, makes_boot_scripts_that_load_a_kernel) {
    EXPECT_THAT(ask(make(http::verb::get, "/boot/test.ipxe")).body(), HasSubstr("kernel /images/vmlinuz?size=20MB"));
    const auto script = ask(make(http::verb::get, "/api/boot/config?mac=52%3A54:00:12:34:56&size=1MiB"));
    EXPECT_TRUE(script.body().starts_with("#!ipxe\n"));
    EXPECT_THAT(script.body(), HasSubstr("52:54:00:12:34:56"));
    EXPECT_THAT(script.body(), HasSubstr("size=1MiB"));
    EXPECT_EQ(script[http::field::cache_control], "no-store");
    EXPECT_EQ(ask(make(http::verb::get, "/api/boot/config?mac=$(reboot)")).result(), http::status::bad_request);
}

TEST_F(ServerTest, greets_and_echoes_on_the_websocket) {
    websocket::stream<tcp::socket&> socket(client_);
    socket.handshake("standin", "/ws");
    beast::flat_buffer message;
    socket.read(message);
    EXPECT_THAT(beast::buffers_to_string(message.data()), HasSubstr("nsboot-7"));

    const std::string sent = image_bytes("message", 1'000'000);
    socket.binary(true);
    std::thread writer([&] { socket.write(asio::buffer(sent)); });
    message.clear();
    socket.read(message);
    writer.join();
    EXPECT_TRUE(socket.got_binary());
    EXPECT_EQ(beast::buffers_to_string(message.data()), sent);
    socket.close(websocket::close_code::normal);
}

TEST_F(ServerTest, pings_a_websocket_that_is_silent) {
    websocket::stream<tcp::socket&> socket(client_);
    socket.handshake("standin", "/ws");
    beast::flat_buffer message;
    socket.read(message);
    bool pinged = false;
    socket.control_callback([&](websocket::frame_type kind, beast::string_view) {
        pinged = pinged || kind == websocket::frame_type::ping;
        stop();  // which ends the read below
    });
    beast::error_code error;
    socket.read(message, error);
    EXPECT_TRUE(pinged);
    EXPECT_EQ(error, websocket::error::closed);
    EXPECT_EQ(socket.reason().code, websocket::close_code::going_away);
}

TEST_F(ServerTest, stops_when_what_is_under_way_is_done) {
    const auto whole = make(http::verb::get, "/images/disk.img?size=64MiB");
    http::write(client_, whole);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    http::read_header(client_, input_, parser);
    tcp::socket idle(client_context_);
    idle.connect(server_.local_endpoint());
    http::write(idle, make(http::verb::get, "/health"));
    beast::flat_buffer idle_input;
    Response answer;
    http::read(idle, idle_input, answer);
    stop();
    beast::error_code error;
    char byte = 0;
    idle.read_some(asio::buffer(&byte, 1), error);
    EXPECT_EQ(error, asio::error::eof);
    http::read(client_, input_, parser);
    EXPECT_EQ(parser.get().body(), image_bytes("disk.img", 64 << 20));
    client_.close();
    thread_.join();
}

}  // namespace
}  // namespace nsboot_lb::standin
