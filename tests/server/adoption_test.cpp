#include "adoption.hpp"

#include <optional>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

namespace nsboot_lb::server {
namespace {

using namespace std::chrono_literals;

class AdoptionTest : public ::testing::Test {
  protected:
    void wait(Adoption& adoption, std::chrono::milliseconds most) {
        boost::asio::co_spawn(control_, adoption.wait(most),
                              [this](const std::exception_ptr&, bool complete) { complete_ = complete; });
    }

    boost::asio::io_context control_;
    std::optional<bool> complete_;
};

TEST_F(AdoptionTest, IsOverOnceTheLastWorkerLetsGo) {
    Adoption adoption{control_};
    auto one = adoption.token();
    auto other = adoption.token();
    wait(adoption, 1h);
    control_.poll();
    one.reset();
    control_.poll();
    EXPECT_EQ(complete_, std::nullopt);
    std::thread{[&other] { other.reset(); }}.join();
    control_.poll();
    EXPECT_EQ(complete_, true);
}

TEST_F(AdoptionTest, MayBeOverBeforeItIsWaitedFor) {
    Adoption adoption{control_};
    wait(adoption, 1h);
    control_.run();
    EXPECT_EQ(complete_, true);
}

TEST_F(AdoptionTest, IsGivenUpInTime) {
    Adoption adoption{control_};
    auto token = adoption.token();
    wait(adoption, 1ms);
    control_.run();
    EXPECT_EQ(complete_, false);
    token.reset();
    control_.restart();
    control_.run();
}

}  // namespace
}  // namespace nsboot_lb::server
