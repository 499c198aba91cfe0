/// What a reload tells of itself: the keys that changed, those that need a restart, in the log and to the admin API.
#include <chrono>
#include <filesystem>
#include <signal.h>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "daemon.hpp"
#include "origin.hpp"

namespace nsboot_lb::test {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* base = R"(
workers: $workers
listeners:
  - {address: "127.0.0.1:0", name: front}
pools:
  nsboot:
    servers:
      - {name: nsboot-1, address: "127.0.0.1:81"}
      - {name: nsboot-2, address: "127.0.0.1:82"$server}
routes:
$routes  - {name: all, pool: nsboot}
admin: {address: "127.0.0.1:0"}
logging: {target: $target}
)";

struct Variant {
    std::string workers = "1";
    std::string server = "";
    std::string routes = "";
    std::string target = "stderr";

    std::string text() const {
        return substitute(base, {{"$workers", workers}, {"$server", server}, {"$routes", routes}, {"$target", target}});
    }
};

/// The answer to a reload over the admin API.
struct Answer {
    int status = 0;
    std::vector<std::string> problems, changes, restart_needed;
};

Answer reload(Daemon& daemon, const Variant& variant) {
    daemon.rewrite_config(variant.text());
    const Message response = daemon.admin_post("/api/v1/reload");
    const auto body = boost::json::parse(response.body);
    const auto texts = [&](const char* key) { return boost::json::value_to<std::vector<std::string>>(body.at(key)); };
    EXPECT_EQ(body.at("successful").as_bool(), response.status() == 200);
    return {response.status(), texts("problems"), texts("changes"), texts("restart_needed")};
}

/// What the log says from `from` on, up to its answer to a reload that has been answered.
std::string log_since(const Daemon& daemon, std::size_t from) {
    daemon.await_log("configuration ", from);
    return daemon.log().substr(from);
}

TEST(ReloadChanges, AreTheSameInTheLogAndInTheAnswer) {
    Daemon daemon{Variant{}.text()};
    const auto before = daemon.log_position();
    const auto answer = reload(daemon, {.server = ", weight: 3",
                                        .routes = "  - {name: login, match: {path: /login}, "
                                                  "pool: nsboot, max_body: 1MiB}\n"});
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.changes,
                ElementsAre("changed key=pools.nsboot.servers.nsboot-2.weight from=1 to=3", "added key=routes.login"));
    EXPECT_THAT(answer.restart_needed, IsEmpty());
    EXPECT_THAT(daemon.await_log("configuration reloaded", before), EndsWith(" changes=2"));
    for (const auto& change : answer.changes)
        EXPECT_THAT(daemon.await_log(change, before), EndsWith("Z info " + change));

    const auto again = daemon.log_position();
    EXPECT_THAT(reload(daemon, {.server = ", weight: 3"}).changes, ElementsAre("removed key=routes.login"));
    EXPECT_THAT(daemon.await_log("removed key", again), EndsWith("Z info removed key=routes.login"));
}

TEST(ReloadChanges, AreTheSameAfterASignal) {
    Daemon daemon{Variant{}.text()};
    const auto before = daemon.log_position();
    daemon.rewrite_config(Variant{.server = ", max_connections: 9"}.text());
    daemon.signal(SIGHUP);
    EXPECT_THAT(daemon.await_log("changed key", before),
                EndsWith("Z info changed key=pools.nsboot.servers.nsboot-2.max_connections from=0 to=9"));
}

TEST(ReloadChanges, AreNoneWhereNothingChanged) {
    Daemon daemon{Variant{}.text()};
    const auto before = daemon.log_position();
    const auto answer = reload(daemon, {});
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.changes, IsEmpty());
    EXPECT_THAT(log_since(daemon, before), HasSubstr("configuration reloaded, nothing changed file="));
    EXPECT_THAT(log_since(daemon, before), Not(HasSubstr(" key=")));
}

TEST(ReloadChanges, AreNotToldOfAFileThatIsRefused) {
    Daemon daemon{Variant{}.text()};
    const auto before = daemon.log_position();
    const auto answer = reload(daemon, {.workers = "many", .server = ", weight: 3"});
    EXPECT_EQ(answer.status, 422);
    EXPECT_THAT(answer.problems, ElementsAre(HasSubstr(":2:10: error: workers: ")));
    EXPECT_THAT(answer.changes, IsEmpty());
    EXPECT_THAT(answer.restart_needed, IsEmpty());
    EXPECT_THAT(log_since(daemon, before), Not(HasSubstr(" key=")));
}

TEST(ReloadChanges, AreCountedWhereTheyAreMany) {
    Daemon daemon{Variant{}.text()};
    const auto before = daemon.log_position();
    Variant many;
    for (int i = 0; i < 33; ++i)
        many.routes +=
            "  - {name: r" + std::to_string(i) + ", match: {path: /" + std::to_string(i) + "}, pool: nsboot}\n";
    const auto answer = reload(daemon, many);
    ASSERT_EQ(answer.changes.size(), 21U);
    EXPECT_EQ(answer.changes.front(), "added key=routes.r0");
    EXPECT_EQ(answer.changes.back(), "and 13 more");
    EXPECT_THAT(daemon.await_log("and 13 more", before), EndsWith("Z info and 13 more"));
    EXPECT_THAT(daemon.log(), Not(HasSubstr("routes.r20")));
    EXPECT_THAT(daemon.log(), HasSubstr("changes=33"));
}

TEST(ReloadChanges, CannotForgeALineOfTheLog) {
    Daemon daemon{Variant{}.text()};
    const auto before = daemon.log_position();
    const auto answer =
        reload(daemon, {.routes = R"(  - {name: "a b=c", match: {path: /}, respond: {body: "x\nerror y=z"}})"
                                  "\n"});
    EXPECT_THAT(answer.changes, ElementsAre("added key=\"routes.a b=c\""));
    const auto second =
        reload(daemon, {.routes = R"(  - {name: "a b=c", match: {path: /}, respond: {body: "x\nerror y=w"}})"
                                  "\n"});
    EXPECT_THAT(
        second.changes,
        ElementsAre(R"(changed key="routes.a b=c.respond.body" from="x\u000aerror y=z" to="x\u000aerror y=w")"));
    EXPECT_THAT(daemon.await_log("changed key", before), EndsWith("Z info " + second.changes.front()));
}

TEST(RestartNeeded, IsSaidAtEachReloadUntilWhatRunsIsWhatIsWritten) {
    Daemon daemon{Variant{.workers = "2"}.text()};
    const auto first = daemon.log_position();
    const auto changed = reload(daemon, {.workers = "3"});
    EXPECT_THAT(changed.changes, ElementsAre("changed key=workers from=2 to=3"));
    EXPECT_THAT(changed.restart_needed, ElementsAre("workers"));
    EXPECT_THAT(daemon.await_log("a restart is needed", first),
                EndsWith("Z warn a restart is needed key=workers running=2 configured=3"));

    const auto second = daemon.log_position();
    const auto unchanged = reload(daemon, {.workers = "3"});
    EXPECT_THAT(unchanged.changes, IsEmpty());
    EXPECT_THAT(unchanged.restart_needed, ElementsAre("workers"));
    daemon.await_log("a restart is needed key=workers running=2 configured=3", second);

    const auto back = reload(daemon, {.workers = "2"});
    EXPECT_THAT(back.changes, ElementsAre("changed key=workers from=3 to=2"));
    EXPECT_THAT(back.restart_needed, IsEmpty());
}

TEST(LogTarget, MovesWithAReload) {
    Daemon daemon{Variant{}.text()};
    const auto file = daemon.directory() / "events.log";
    const auto before = daemon.log_position();
    const auto answer = reload(daemon, {.target = "$dir/events.log"});
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.changes, ElementsAre("changed key=logging.target from=stderr to=" + file.string()));
    EXPECT_THAT(answer.restart_needed, IsEmpty());
    EXPECT_THAT(daemon.await_log("the log goes on elsewhere", before), EndsWith(" target=" + file.string()));
    await_file_contains(file, "changed key=logging.target");
    EXPECT_THAT(daemon.log().substr(before), Not(HasSubstr("configuration reloaded")));

    // As logrotate does.
    std::filesystem::rename(file, daemon.directory() / "events.log.1");
    daemon.signal(SIGUSR1);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (read_file(file).find("nothing changed") == std::string::npos) {
        EXPECT_EQ(daemon.admin_post("/api/v1/reload").status(), 200);
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }

    const auto after = daemon.log_position();
    EXPECT_EQ(reload(daemon, {}).status, 200);
    EXPECT_THAT(daemon.await_log("configuration reloaded", after), EndsWith(" changes=1"));
    EXPECT_THAT(read_file(file), HasSubstr("the log goes on elsewhere target=stderr"));
}

TEST(LogTarget, StaysWithAReloadThatIsRefused) {
    const Origin taken;
    Daemon daemon{Variant{}.text()};
    const auto nowhere = reload(daemon, {.target = "$dir/no/events.log"});
    EXPECT_EQ(nowhere.status, 422);
    EXPECT_THAT(nowhere.problems, ElementsAre(HasSubstr(" error: target: cannot write in the directory ")));

    const auto before = daemon.log_position();
    daemon.rewrite_config(substitute(Variant{.target = "$dir/events.log"}.text(),
                                     {{"127.0.0.1:0\", name: front", taken.address() + "\""}}));
    daemon.signal(SIGHUP);
    daemon.await_log("configuration refused", before);
    EXPECT_EQ(read_file(daemon.directory() / "events.log"), "");
}

/// Whether a peer is trusted is looked up once per connection and configuration.
TEST(ReloadChanges, OfWhoIsTrustedHoldForConnectionsThatAreOpen) {
    const Origin origin;
    const auto text = [&](std::string_view trust) {
        return substitute(R"(
listeners: [{address: "127.0.0.1:0"}]
pools: {all: {servers: ["$origin"]}}
routes: [{pool: all}]
admin: {address: "127.0.0.1:0"}
forwarded: {trust: [$trust]}
)",
                          {{"$origin", origin.address()}, {"$trust", std::string{trust}}});
    };
    Daemon daemon{text("127.0.0.5")};
    Client client = daemon.connect("127.0.0.5");
    auto seen_as = [&, asked = std::size_t{0}]() mutable {
        client.exchange("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n");
        return std::string{origin.await_request(asked++).field("X-Real-IP")};
    };
    EXPECT_EQ(seen_as(), "10.0.0.1");
    EXPECT_EQ(seen_as(), "10.0.0.1");
    for (const auto* trust : {"127.0.0.9", "127.0.0.0/8"}) {
        daemon.rewrite_config(text(trust));
        EXPECT_EQ(daemon.admin_post("/api/v1/reload").status(), 200);
        EXPECT_EQ(seen_as(), trust == std::string_view{"127.0.0.9"} ? "127.0.0.5" : "10.0.0.1");
    }
}

}  // namespace
}  // namespace nsboot_lb::test
