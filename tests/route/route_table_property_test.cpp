// Random routes and requests: the table must answer as a reader would who tries the file's routes from top to bottom.
// The model below is written from CONFIG's words alone and shares no code with the table.
#include <algorithm>
#include <random>
#include <sstream>

#include <gtest/gtest.h>

#include "nsboot_lb/http/head.hpp"
#include "nsboot_lb/route/route_table.hpp"

namespace nsboot_lb::route {
namespace {

using config::PathMatch;

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts(1);
    for (const char letter : text) {
        if (letter == separator) {
            parts.emplace_back();
        } else {
            parts.back().push_back(letter);
        }
    }
    return parts;
}

bool model_takes_host(const std::string& configured, const std::string& host) {
    auto want = split(configured, '.');
    const auto have = split(host, '.');
    if (want.front() != "*") return want == have;
    want.erase(want.begin());
    return have.size() > want.size() && std::equal(want.rbegin(), want.rend(), have.rbegin());
}

bool model_glob(std::string_view glob, std::string_view path) {
    if (glob.empty()) return path.empty();
    if (glob.starts_with("/**/") && model_glob(glob.substr(3), path)) return true;
    if (glob.starts_with("**"))
        return model_glob(glob.substr(2), path) || (!path.empty() && model_glob(glob, path.substr(1)));
    if (glob.front() == '*') {
        return model_glob(glob.substr(1), path) ||
               (!path.empty() && path.front() != '/' && model_glob(glob, path.substr(1)));
    }
    return !path.empty() && path.front() == glob.front() && model_glob(glob.substr(1), path.substr(1));
}

bool model_takes_path(const config::PathPattern& pattern, const std::string& path) {
    switch (pattern.kind) {
        case PathMatch::exact: return path == pattern.text;
        case PathMatch::glob: return model_glob(pattern.text, path);
        case PathMatch::regex: return model_glob(pattern.text.substr(0, pattern.text.size() - 2) + "**", path);
        case PathMatch::prefix: break;
    }
    auto want = split(pattern.text, '/');
    const auto have = split(path, '/');
    if (want.back().empty()) {  // "/a/": there has to be something behind the slash, be it nothing
        want.pop_back();
        if (have.size() <= want.size()) return false;
    }
    return have.size() >= want.size() && std::equal(want.begin(), want.end(), have.begin());
}

bool model_takes(const config::Match& match, const RouteRequest& request, const std::string& host,
                 const std::string& path) {
    const auto none = [](const auto& list, auto fits) { return !list.empty() && std::ranges::none_of(list, fits); };
    if (none(match.host, [&](const auto& entry) { return model_takes_host(entry, host); })) return false;
    if (none(match.path, [&](const auto& entry) { return model_takes_path(entry, path); })) return false;
    if (none(match.method, [&](const auto& entry) { return entry == request.method; })) return false;
    if (none(match.client, [&](const auto& entry) { return entry.contains(request.client); })) return false;
    if (match.websocket && *match.websocket != request.websocket) return false;
    return std::ranges::all_of(match.header, [&](const config::HeaderMatch& header) {
        return std::ranges::any_of(request.head->fields, [&](const auto& field) {
            return field.name == header.name && field.value == header.value;
        });
    });
}

/// Small alphabets, so that routes and requests meet often.
class Generator {
  public:
    explicit Generator(unsigned seed) : random_(seed) {}

    std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_); }
    bool one_in(std::size_t chance) { return below(chance) == 0; }

    std::string path() {
        std::string text;
        for (std::size_t i = below(4) + 1; i > 0; --i) text += "/" + word();
        if (one_in(4)) text += "/";
        return one_in(20) ? "/" : text;
    }
    std::string host() {
        std::string text = one_in(2) ? "x" : "y";
        for (std::size_t i = below(3); i > 0; --i) text = word() + "." + text;
        return text;
    }
    config::PathPattern pattern() {
        switch (below(6)) {
            case 0: return {.kind = PathMatch::glob, .text = glob(), .position = {}};
            case 1: return {.kind = PathMatch::regex, .text = path() + ".*", .position = {}};
            case 2:
            case 3: return {.kind = PathMatch::exact, .text = path(), .position = {}};
            default: return {.kind = PathMatch::prefix, .text = path(), .position = {}};
        }
    }
    config::Match match() {
        config::Match match;
        if (one_in(3)) match.host = {host(), "*." + host()};
        if (!one_in(8)) match.path.push_back(pattern());
        if (one_in(4)) match.path.push_back(pattern());
        if (one_in(5)) match.method = {"POST"};
        if (one_in(9)) match.websocket = one_in(2);
        if (one_in(9)) match.client = {*base::Cidr::parse("10.0.0.0/9")};
        if (one_in(9)) {
            match.header = {{.name = "X-Word", .test = config::HeaderTest::exact, .value = word(), .present = true}};
        }
        return match;
    }
    /// The same path, spelled in another way.
    std::string respell(const std::string& path) {
        std::ostringstream out;
        for (const char octet : path) {
            if (octet == '/' && one_in(6)) {
                out << "/./";
            } else if (octet == '/' && one_in(6)) {
                out << "/" << word() << "/..//";
            } else if (octet != '/' && one_in(6)) {
                out << '%' << std::hex << static_cast<int>(octet);
            } else {
                out << octet;
            }
        }
        return out.str();
    }
    std::string word() { return std::string(1, static_cast<char>('a' + below(3))) + (one_in(5) ? "b" : ""); }

  private:
    std::string glob() {
        auto text = path();
        for (std::size_t i = below(3); i > 0; --i) text.insert(1 + below(text.size()), one_in(2) ? "*" : "**");
        // Three stars in a row have no meaning of their own; the model and a user would be guessing.
        while (text.find("***") != std::string::npos) text.erase(text.find("***"), 1);
        return text;
    }

    std::mt19937 random_;
};

TEST(RouteTableProperty, AnswersAsTryingOneRouteAfterTheOther) {
    constexpr unsigned tables = 300;
    constexpr int requests = 200;
    std::size_t matched = 0;
    for (unsigned seed = 0; seed < tables; ++seed) {
        Generator generator(seed);
        std::vector<config::Route> routes(1 + generator.below(60));
        for (auto& route : routes) route.match = generator.match();
        const RouteTable table(routes);
        for (int i = 0; i < requests; ++i) {
            const auto host = generator.host();
            const auto path = generator.path();
            const auto spelled = generator.respell(path);
            const auto word = generator.word();
            const auto host_and_port = generator.one_in(2) ? host : host + ":8080";
            http::RequestHead head;
            head.fields.push_back({.name = "X-Word", .value = word});
            const RouteRequest request{
                .host = host_and_port,
                .path = spelled,
                .method = generator.one_in(3) ? "POST" : "GET",
                .head = &head,
                .websocket = generator.one_in(4),
                .client = base::IpAddress::from_v4(generator.one_in(2) ? 0x0a000001 : 0x0aff0001)};
            const auto expected = std::ranges::find_if(
                routes, [&](const config::Route& route) { return model_takes(route.match, request, host, path); });
            const auto found = table.match(request);
            const auto want =
                expected == routes.end() ? std::nullopt : std::optional<std::size_t>(expected - routes.begin());
            ASSERT_EQ(found, want) << "seed " << seed << ", host " << host << ", path " << spelled;
            if (i % 10 == 0) ASSERT_EQ(table.explain(request).match, want) << "seed " << seed << ", path " << spelled;
            matched += found ? 1U : 0U;
        }
    }
    // Were nearly all or nearly none to match, the test would show little.
    EXPECT_GT(matched, tables * requests / 4U);
    EXPECT_LT(matched, tables * requests);
}

}  // namespace
}  // namespace nsboot_lb::route
