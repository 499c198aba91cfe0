// What a stand-in does to connections when it is told to, as a client sees it.
#include "conduct.hpp"

#include <map>
#include <string>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server.hpp"

namespace nsboot_lb::standin {
namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;
using testing::HasSubstr;

namespace {

TEST(Conduct, BreaksNothingUntilItIsToldTo) {
    Conduct conduct({.faults = 1});
    for (int i = 0; i < 100; ++i) EXPECT_EQ(conduct.draw_fault(), Fault::none);
    conduct.toggle_faults();
    for (int i = 0; i < 100; ++i) EXPECT_NE(conduct.draw_fault(), Fault::none);
    conduct.toggle_faults();
    EXPECT_EQ(conduct.draw_fault(), Fault::none);
}

TEST(Conduct, BreaksTheShareThatIsAskedForInEveryWay) {
    Conduct conduct({.faults = 0.4});
    conduct.toggle_faults();
    std::map<Fault, int> counts;
    for (int i = 0; i < 10'000; ++i) ++counts[conduct.draw_fault()];
    EXPECT_NEAR(counts[Fault::none], 6000, 300);
    for (const auto kind : {Fault::unread, Fault::unanswered, Fault::within_head, Fault::after_answer})
        EXPECT_NEAR(counts[kind], 1000, 150);
}

TEST(Conduct, DelaysAllButHealth) {
    const Conduct conduct({.delay = 5ms});
    EXPECT_EQ(conduct.delay("/boot/a.ipxe"), 5ms);
    EXPECT_EQ(conduct.delay("/health"), 0ms);
}

/// A stand-in all of whose exchanges are broken.
class FaultyServer : public testing::Test {
  protected:
    FaultyServer() {
        server_.conduct().toggle_faults();
        server_.start();
        thread_ = std::jthread([this] {
            while (server_.working() && context_.run_one() != 0) {
            }
        });
    }
    ~FaultyServer() override {
        asio::post(context_, [this] { server_.stop(); });
    }

    /// What a client gets that asks once, and how its connection ends.
    std::pair<std::string, boost::system::error_code> ask() const {
        asio::io_context context;
        tcp::socket socket(context);
        socket.connect(address_);
        asio::write(socket, asio::buffer(std::string{"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"}));
        std::string received;
        boost::system::error_code error;
        asio::read(socket, asio::dynamic_buffer(received), error);
        return {received, error};
    }

  private:
    asio::io_context context_{1};
    Server server_{context_, {asio::ip::address_v4::loopback(), 0}, "nsboot-7", {.faults = 1}};
    const tcp::endpoint address_ = server_.local_endpoint();
    std::jthread thread_;
};

TEST_F(FaultyServer, ResetsBeforeWithinAndAfterTheHead) {
    int nothing = 0;
    int part = 0;
    int whole = 0;
    for (int i = 0; i < 60; ++i) {
        const auto [received, error] = ask();
        EXPECT_EQ(error, asio::error::connection_reset);
        if (received.empty())
            ++nothing;
        else if (received.find("\r\n\r\n") == std::string::npos)
            ++part;
        else
            ++whole;
        if (!received.empty()) EXPECT_THAT(received, HasSubstr("HTTP/1.1 200 OK\r\n"));
    }
    EXPECT_GT(nothing, 10);
    EXPECT_GT(part, 5);
    EXPECT_GT(whole, 5);
}

}  // namespace
}  // namespace nsboot_lb::standin
