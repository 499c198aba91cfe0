/// Sessions that stick to their server by a cookie, and how they move when it is gone.
#include <array>
#include <memory>

#include <gmock/gmock.h>

#include "flow.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {
namespace {

using testing::StartsWith;

/// Two origins that say their name.
class StickyTest : public testing::Test {
  protected:
    StickyTest()
        : origins_{named('a'), named('b')},
          daemon_(R"(
workers: 1
listeners:
  - {address: "127.0.0.1:0"}
pools:
  p:
    balance: cookie-sticky
    servers: [{address: "$a", name: a}, {address: "$b", name: b}]
    cookie: {name: s, fallback: round-robin}
    passive_health: {max_fails: 0}
routes:
  - pool: p
)",
                  Substitutions{{"$a", origins_[0]->address()}, {"$b", origins_[1]->address()}}) {}

    Message visit(const std::string& cookies) {
        return daemon_.connect().exchange("GET / HTTP/1.1\r\nHost: a\r\n" +
                                          (cookies.empty() ? "" : "Cookie: " + cookies + "\r\n") + "\r\n");
    }
    /// "s=…" of a session at that server.
    std::string session_at(const std::string& server) {
        for (;;) {
            const Message first = visit("");
            const auto field = first.field("Set-Cookie");
            if (first.body == server) return std::string{field.substr(0, field.find(';'))};
        }
    }
    void stop(char server) { origins_.at(static_cast<std::size_t>(server - 'a')).reset(); }

  private:
    static std::unique_ptr<Origin> named(char name) {
        auto origin = std::make_unique<Origin>();
        origin->answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::string(1, name));
        return origin;
    }
    std::array<std::unique_ptr<Origin>, 2> origins_;
    Daemon daemon_;
};

TEST_F(StickyTest, AFirstCopyThatNamesNobodyHidesNoneBehindIt) {
    for (const std::string server : {"a", "b"}) {
        const auto session = session_at(server);
        for (const std::string before : {"s=; ", "s=0123456789abcdef0123456789abcdef; ", "s=theirs; t=1; s=\"\"; "}) {
            for (int i = 0; i < 3; ++i) {
                const Message response = visit(before + session);
                EXPECT_EQ(response.body, server) << before;
                EXPECT_TRUE(response.values("Set-Cookie").empty()) << before;
            }
        }
        // In a field of its own.
        EXPECT_EQ(visit("s=theirs\r\nCookie: " + session).body, server);
    }
}

TEST_F(StickyTest, ASessionWhoseServerRefusesHasANewOneAtOnce) {
    const auto session = session_at("b");
    const auto other = session_at("a");
    stop('b');
    const Message moved = visit(session);
    EXPECT_EQ(moved.body, "a");
    EXPECT_THAT(std::string{moved.field("Set-Cookie")}, StartsWith(other + ";"));
}

}  // namespace
}  // namespace nsboot_lb::test
