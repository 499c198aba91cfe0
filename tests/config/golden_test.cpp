// Every file of tests/golden/config/ok loads without a problem and survives being printed; every file of bad/ has
// exactly the problems of the .expected file beside it. The generated documents are compared with what the table says.
// With NSBOOT_LB_UPDATE=1 in the environment the expectations are written instead: look at the difference before
// committing it.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsboot_lb/config/load.hpp"

namespace nsboot_lb::config {
namespace {

namespace fs = std::filesystem;

const fs::path source_directory = NSBOOT_LB_SOURCE_DIR;
const fs::path golden_directory = source_directory / "tests/golden/config";

bool updating() {
    return std::getenv("NSBOOT_LB_UPDATE") != nullptr;
}

std::string contents(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

/// Compares, or writes the expectation if asked to.
void expect_file(const fs::path& file, const std::string& text) {
    if (updating()) std::ofstream(file, std::ios::binary) << text;
    EXPECT_EQ(contents(file), text) << file << " differs; NSBOOT_LB_UPDATE=1 writes it anew";
}

std::string report(const LoadResult& result) {
    std::string text;
    for (const auto& problem : result.problems) text += problem.text() + "\n";
    return text;
}

std::vector<std::string> yaml_files(const fs::path& directory) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory))
        if (entry.path().extension() == ".yaml") names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
}

std::vector<std::string> good_files() {
    return yaml_files(golden_directory / "ok");
}
std::vector<std::string> bad_files() {
    return yaml_files(golden_directory / "bad");
}

/// The working directory is that of the files, so that messages hold no path of this machine.
class Golden : public testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        ::setenv("NSBOOT_LB_TEST_SERVER", "nsboot-1", 1);
        ::setenv("NSBOOT_LB_TEST_SIZE", "12", 1);
        ::setenv("NSBOOT_LB_TEST_EMPTY", "", 1);
        ::unsetenv("NSBOOT_LB_TEST_UNSET");
        ::unsetenv("NSBOOT");
    }
    void TearDown() override { fs::current_path(before_); }

  private:
    const fs::path before_ = fs::current_path();
};

class GoodFile : public Golden {};
class BadFile : public Golden {};

TEST_P(GoodFile, LoadsAndSurvivesPrinting) {
    fs::current_path(golden_directory / "ok");
    const auto first = load(GetParam());
    EXPECT_EQ(report(first), "");
    ASSERT_TRUE(first.ok());
    const auto printed = print(*first.config);
    const auto second = load_text(printed, "printed.yaml");
    EXPECT_EQ(report(second), "") << printed;
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(print(*second.config), printed);
}

TEST_P(GoodFile, SaysWhatItShows) {
    EXPECT_TRUE(contents(golden_directory / "ok" / GetParam()).starts_with("# "));
}

TEST_P(BadFile, HasExactlyTheExpectedProblems) {
    fs::current_path(golden_directory / "bad");
    const auto result = load(GetParam());
    const auto text = report(result);
    EXPECT_NE(text, "");
    EXPECT_EQ(result.ok(), !text.contains(": error: "));
    expect_file(fs::absolute(GetParam()).replace_extension(".expected"), text);
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
    return fs::path(info.param).stem().string();
}

INSTANTIATE_TEST_SUITE_P(Config, GoodFile, testing::ValuesIn(good_files()), test_name);
INSTANTIATE_TEST_SUITE_P(Config, BadFile, testing::ValuesIn(bad_files()), test_name);

TEST(Golden, ThereAreEnoughFiles) {
    EXPECT_GE(good_files().size(), 20U);
    EXPECT_GE(bad_files().size(), 60U);
}

TEST(Golden, EveryExpectationHasItsFile) {
    for (const auto& entry : fs::directory_iterator(golden_directory / "bad")) {
        auto file = entry.path();
        if (file.extension() == ".expected") {
            EXPECT_TRUE(fs::exists(file.replace_extension(".yaml"))) << file;
        }
    }
}

TEST(Generated, ReferenceIsWhatTheTableSays) {
    expect_file(source_directory / "docs/configuration.md", reference_markdown());
}

TEST(Generated, JsonSchemaIsWhatTheTableSays) {
    expect_file(source_directory / "config/nsboot-lb.schema.json", schema_json());
}

TEST(Shipped, ConfigurationsLoadWithoutProblems) {
    std::vector<fs::path> files{source_directory / "config/nsboot-lb.yaml"};
    for (const auto& name : yaml_files(source_directory / "config/examples"))
        files.push_back(source_directory / "config/examples" / name);
    EXPECT_GE(files.size(), 8U);
    for (const auto& file : files) {
        const auto result = load(file);
        EXPECT_TRUE(result.ok()) << file;
        EXPECT_EQ(report(result), "");
    }
}

}  // namespace
}  // namespace nsboot_lb::config
