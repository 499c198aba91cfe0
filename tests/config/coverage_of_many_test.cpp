// Many matches at once: what is found is what comparing each with each would find, and without doing so.
#include <algorithm>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "coverage.hpp"

namespace nsboot_lb::config {
namespace {

/// The plain comparison of two matches, which the index has to agree with.
namespace plain {

template <class T, class Takes>
bool list_covers(const std::vector<T>& wide, const std::vector<T>& narrow, Takes takes) {
    if (wide.empty()) return true;
    if (narrow.empty()) return false;
    return std::ranges::all_of(narrow, [&](const T& inner) {
        return std::ranges::any_of(wide, [&](const T& outer) { return takes(outer, inner); });
    });
}

bool host_takes(const std::string& wide, const std::string& narrow) {
    if (wide == narrow) return true;
    return wide.starts_with("*.") && narrow.size() > wide.size() - 1 && narrow.ends_with(wide.substr(1));
}

bool prefix_takes(const std::string& prefix, const std::string& path) {
    if (!path.starts_with(prefix)) return false;
    return path.size() == prefix.size() || prefix.ends_with('/') || path[prefix.size()] == '/';
}

bool path_takes(const PathPattern& wide, const PathPattern& narrow) {
    if (wide.kind == narrow.kind && wide.text == narrow.text) return true;
    if (wide.kind != PathMatch::prefix) return false;
    return (narrow.kind == PathMatch::exact || narrow.kind == PathMatch::prefix) &&
           prefix_takes(wide.text, narrow.text);
}

bool same_condition(const HeaderMatch& a, const HeaderMatch& b) {
    return a.name == b.name && a.test == b.test && a.value == b.value && a.present == b.present;
}

bool covers(const Match& wide, const Match& narrow) {
    const auto range_takes = [](const base::Cidr& outer, const base::Cidr& inner) { return outer.contains(inner); };
    const bool headers = std::ranges::all_of(wide.header, [&](const HeaderMatch& condition) {
        return std::ranges::any_of(narrow.header,
                                   [&](const HeaderMatch& other) { return same_condition(condition, other); });
    });
    return headers && (!wide.websocket || wide.websocket == narrow.websocket) &&
           list_covers(wide.path, narrow.path, path_takes) && list_covers(wide.host, narrow.host, host_takes) &&
           list_covers(wide.method, narrow.method, std::equal_to<>()) &&
           list_covers(wide.client, narrow.client, range_takes);
}

std::vector<std::optional<std::size_t>> first_covering(const std::vector<Match>& matches) {
    std::vector<std::optional<std::size_t>> found(matches.size());
    for (std::size_t narrow = 0; narrow < matches.size(); ++narrow)
        for (std::size_t wide = 0; wide < narrow && !found[narrow]; ++wide)
            if (covers(matches[wide], matches[narrow])) found[narrow] = wide;
    return found;
}

}  // namespace plain

/// Draws matches of few words, so that many cover others, and some nearly.
class Draw {
  public:
    explicit Draw(unsigned seed) : random_(seed) {}

    std::vector<Match> matches(std::size_t count) {
        std::vector<Match> drawn(count);
        for (auto& match : drawn) {
            match.host = list<std::string>({"x", "a.x", "b.x", "*.x", "a.b.x", "*.b.x", "ax"});
            match.method = list<std::string>({"GET", "HEAD", "POST"});
            for (const auto* text : list<const char*>(
                     {"::/0", "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "10.1.2.0/23", "::1", "fe80::/10"}))
                match.client.push_back(base::Cidr::parse(text).value());
            const auto kind = std::array{PathMatch::exact, PathMatch::prefix, PathMatch::prefix, PathMatch::glob,
                                         PathMatch::regex}[below(5)];
            for (const auto* text : list<const char*>({"/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/a//b", "//", "/b"}))
                match.path.push_back({kind, text, {}});
            for (const auto& condition : list<HeaderMatch>({{"A", HeaderTest::exact, "1", true},
                                                            {"A", HeaderTest::exact, "2", true},
                                                            {"B", HeaderTest::regex, "1", true},
                                                            {"B", HeaderTest::present, "", true},
                                                            {"B", HeaderTest::present, "", false}}))
                match.header.push_back(condition);
            if (below(4) == 0) match.websocket = below(2) == 0;
        }
        return drawn;
    }

  private:
    std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_); }

    /// Mostly none or one of them, sometimes all.
    template <class T>
    std::vector<T> list(std::vector<T> words) {
        std::ranges::shuffle(words, random_);
        const auto kind = below(20);
        words.resize(kind < 10 ? 0 : kind < 15 ? 1 : kind < 19 ? 1 + below(words.size()) : words.size());
        return words;
    }

    std::mt19937 random_;
};

TEST(CoverageOfMany, AgreesWithComparingEachWithEach) {
    std::size_t covered = 0;
    std::size_t reachable = 0;
    for (unsigned seed = 0; seed < 1000; ++seed) {
        const auto matches = Draw(seed).matches(24);
        const auto expected = plain::first_covering(matches);
        Coverage coverage;
        for (std::size_t i = 0; i < matches.size(); ++i) {
            ASSERT_EQ(coverage.add(matches[i], i), expected[i]) << "match " << i << " of seed " << seed;
            ++(expected[i] ? covered : reachable);
        }
    }
    EXPECT_GT(covered, 1000U);
    EXPECT_GT(reachable, 1000U);
}

struct Kind {
    const char* name;
    std::function<void(Match&, std::size_t)> fill;
};

base::Cidr address(std::size_t number) {
    return base::Cidr::parse("10." + std::to_string(number >> 16 & 255) + "." + std::to_string(number >> 8 & 255) +
                             "." + std::to_string(number & 255))
        .value();
}

/// What large configurations look like; no match covers another.
const std::vector<Kind>& kinds() {
    static const auto word = [](std::size_t number) { return std::to_string(number); };
    static const std::vector<Kind> all{
        {"path", [](Match& match, std::size_t i) { match.path = {{PathMatch::exact, "/r/" + word(i), {}}}; }},
        {"prefix",
         [](Match& match, std::size_t i) {
             match.path = {{PathMatch::prefix, "/r/" + word(i % 100) + "/" + word(i), {}}};
         }},
        {"glob", [](Match& match, std::size_t i) { match.path = {{PathMatch::glob, "/r/" + word(i) + "/*", {}}}; }},
        {"host", [](Match& match, std::size_t i) { match.host = {"h" + word(i) + ".example.com"}; }},
        {"wildcard", [](Match& match, std::size_t i) { match.host = {"*.h" + word(i) + ".example.com"}; }},
        {"client", [](Match& match, std::size_t i) { match.client = {address(i)}; }},
        {"method", [](Match& match, std::size_t i) { match.method = {"M" + word(i)}; }},
        {"header", [](Match& match, std::size_t i) { match.header = {{"X-Role", HeaderTest::exact, word(i), true}}; }},
        {"header beside a common one",
         [](Match& match, std::size_t i) {
             match.header = {{"X-Site", HeaderTest::exact, "a", true}, {"X-Role", HeaderTest::exact, word(i), true}};
         }},
        {"all four, each with few values",
         [](Match& match, std::size_t i) {
             match.path = {{PathMatch::prefix, "/p" + word(i % 10), {}}};
             match.host = {"h" + word(i / 10 % 10)};
             match.method = {"M" + word(i / 100 % 10)};
             match.client = {address(i / 1000)};
         }},
        {"each something else",
         [](Match& match, std::size_t i) {
             if (i % 3 != 0) match.host = {"h" + word(i)};
             if (i % 3 != 1) match.path = {{PathMatch::prefix, "/p" + word(i), {}}};
             if (i % 2 != 0) match.websocket = true;
         }},
        {"lists that have one entry in common",
         [](Match& match, std::size_t i) {
             match.client = {base::Cidr::parse("192.168.0.0/16").value(), address(i)};
             match.path = {{PathMatch::prefix, "/a", {}}, {PathMatch::prefix, "/b" + word(i), {}}};
         }},
        {"long lists that are the same",
         [](Match& match, std::size_t i) {
             for (std::size_t n = 0; n < 20; ++n) match.client.push_back(address(n));
             for (std::size_t n = 0; n < 10; ++n) match.method.push_back("M" + word(n));
             match.path = {{PathMatch::prefix, "/p" + word(i), {}}};
         }},
    };
    return all;
}

std::size_t steps_of(const Kind& kind, std::size_t count) {
    std::vector<Match> matches(count);
    Coverage coverage;
    for (std::size_t i = 0; i < count; ++i) {
        kind.fill(matches[i], i);
        EXPECT_EQ(coverage.add(matches[i], i), std::nullopt) << kind.name << " " << i;
    }
    return coverage.steps();
}

TEST(CoverageOfMany, TakesStepsInProportionToTheirNumber) {
    for (const auto& kind : kinds()) {
        const auto few = steps_of(kind, 500);
        const auto many = steps_of(kind, 4000);
        EXPECT_LE(many, few * 9) << kind.name;  // eight times as many, and the first ones find less
        EXPECT_LE(many, 4000U * 200) << kind.name;
    }
}

}  // namespace
}  // namespace nsboot_lb::config
