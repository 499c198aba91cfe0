// DESIGN's floors: a folder includes only folders below it. Reads every #include of include/ and src/.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb {
namespace {

namespace fs = std::filesystem;

// What each folder may include besides itself and what these may include in turn. Folders of one floor do not know each
// other, except that http may include net.
const std::map<std::string, std::vector<std::string>, std::less<>> below{
    {"base", {}},
    {"config", {"base"}},
    {"observe", {"base"}},
    {"net", {"config", "observe"}},
    {"http", {"net"}},
    {"route", {"http"}},
    {"upstream", {"http"}},
    {"cache", {"http"}},
    {"forward", {"route", "upstream", "cache"}},
    {"filter", {"forward"}},
    {"server", {"filter"}},
    {"admin", {"server"}},
    {"explain", {"server"}},
    {"wiring", {"admin"}},
    {"main", {"wiring", "explain"}},
};

bool may_include(std::string_view from, std::string_view to) {
    if (from == to) return true;
    const auto floor = below.find(from);
    return floor != below.end() &&
           std::ranges::any_of(floor->second, [&](const std::string& next) { return may_include(next, to); });
}

/// The names in a text's #include "…" lines.
std::vector<std::string> quoted_includes(std::istream& text) {
    std::vector<std::string> names;
    for (std::string line; std::getline(text, line);) {
        const auto hash = line.find_first_not_of(" \t");
        if (hash == std::string::npos || line[hash] != '#') continue;
        const auto open = line.find('"');
        const auto close = line.rfind('"');
        const auto word = line.find("include", hash);
        if (word == std::string::npos || word > open || open == close) continue;
        names.push_back(line.substr(open + 1, close - open - 1));
    }
    return names;
}

constexpr std::string_view prefix = "nsboot_lb/";

/// Why a file of `floor` may not include that public header; nothing if it may.
std::optional<std::string> objection(std::string_view floor, const std::string& name) {
    const auto end = name.find('/', prefix.size());
    if (end == std::string::npos) return "a public header outside of every floor";
    const auto target = name.substr(prefix.size(), end - prefix.size());
    if (!below.contains(target)) return "there is no floor named " + target;
    if (may_include(floor, target)) return std::nullopt;
    return std::string(floor) + " may not include " + target;
}

/// The floor that a file belongs to: the folder below include/nsboot_lb or src; main for src/main.cpp.
std::string floor_of(const fs::path& relative) {
    return relative.has_parent_path() ? relative.begin()->string() : "main";
}

/// Why the file `relative` to `root` may not include that private header; nothing if it may: it stands beside the file
/// or in the file's floor.
std::optional<std::string> private_objection(const fs::path& root, const fs::path& relative, const std::string& name) {
    if (name.find("..") != std::string::npos) return "a private header is reached through ..";
    const auto floor = root / (relative.has_parent_path() ? *relative.begin() : fs::path("wiring"));
    if (fs::exists(root / relative.parent_path() / name) || fs::exists(floor / name)) return std::nullopt;
    return "a private header of another folder";
}

struct Finding {
    std::size_t files = 0;
    std::vector<std::string> objections;
};

Finding inspect(const fs::path& root) {
    Finding finding;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        const auto extension = entry.path().extension();
        if (extension != ".hpp" && extension != ".cpp") continue;
        ++finding.files;
        const auto relative = entry.path().lexically_relative(root);
        const auto floor = floor_of(relative);
        if (!below.contains(floor))
            finding.objections.push_back(relative.string() + ": there is no floor named " + floor);
        std::ifstream text(entry.path());
        for (const auto& name : quoted_includes(text)) {
            const auto why =
                name.starts_with(prefix) ? objection(floor, name) : private_objection(root, relative, name);
            if (why) finding.objections.push_back(relative.string() + ": " + name + ": " + *why);
        }
    }
    return finding;
}

TEST(FloorsTest, public_headers_look_down_only) {
    const auto finding = inspect(fs::path(NSBOOT_LB_SOURCE_DIR) / "include" / "nsboot_lb");
    EXPECT_GT(finding.files, 0U);
    EXPECT_THAT(finding.objections, testing::IsEmpty());
}

TEST(FloorsTest, sources_look_down_only) {
    const auto finding = inspect(fs::path(NSBOOT_LB_SOURCE_DIR) / "src");
    EXPECT_GT(finding.files, 0U);
    EXPECT_THAT(finding.objections, testing::IsEmpty());
}

TEST(FloorsTest, knows_what_is_below) {
    EXPECT_FALSE(objection("http", "nsboot_lb/net/stream.hpp"));
    EXPECT_FALSE(objection("main", "nsboot_lb/base/cidr.hpp"));
    EXPECT_FALSE(objection("forward", "nsboot_lb/forward/attempt.hpp"));
    EXPECT_TRUE(objection("net", "nsboot_lb/http/head.hpp"));
    EXPECT_TRUE(objection("observe", "nsboot_lb/config/config.hpp"));
    EXPECT_TRUE(objection("route", "nsboot_lb/upstream/pool.hpp"));
    EXPECT_TRUE(objection("base", "nsboot_lb/admin/admin.hpp"));
    EXPECT_TRUE(objection("server", "nsboot_lb/util/string.hpp"));
}

TEST(FloorsTest, keeps_private_headers_in_their_folder) {
    const auto src = fs::path(NSBOOT_LB_SOURCE_DIR) / "src";
    EXPECT_FALSE(private_objection(src, "config/node.cpp", "node.hpp"));
    EXPECT_FALSE(private_objection(src, "http/h1/request.cpp", "h1/scan.hpp"));
    EXPECT_TRUE(private_objection(src, "server/session.cpp", "node.hpp"));
    EXPECT_TRUE(private_objection(src, "server/session.cpp", "../config/node.hpp"));
    EXPECT_TRUE(private_objection(src, "main.cpp", "node.hpp"));
}

TEST(FloorsTest, finds_includes_however_they_are_written) {
    std::istringstream text(
        "#include \"a.hpp\"\n  #  include \"b/c.hpp\" // why\n#include <d>\n// #include \"e.hpp\"\n#define F \"f\"\n");
    EXPECT_THAT(quoted_includes(text), testing::ElementsAre("a.hpp", "b/c.hpp"));
}

}  // namespace
}  // namespace nsboot_lb
