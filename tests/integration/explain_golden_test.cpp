/// `nsboot-lb explain` by example: every file of tests/golden/explain is a configuration that begins with the requests
/// to explain ("# $ METHOD URL ..."); beside it stands what is printed for each. With NSBOOT_LB_UPDATE=1 in the
/// environment the expectations are written instead: look at the difference before committing it.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon.hpp"
#include "process.hpp"
#include "temporary_directory.hpp"
#include "wire.hpp"

namespace nsboot_lb::test {
namespace {

namespace fs = std::filesystem;

const fs::path golden_directory = fs::path(NSBOOT_LB_SOURCE_DIR) / "tests/golden/explain";
constexpr std::string_view mark = "# $ ";

/// The words of a line as a shell takes them, single quotes and all.
std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    bool quoted = false;
    bool begun = false;
    for (const char c : line) {
        if (c == ' ' && !quoted) {
            begun = false;
            continue;
        }
        if (!begun) words.emplace_back();
        begun = true;
        if (c == '\'')
            quoted = !quoted;
        else
            words.back() += c;
    }
    return words;
}

/// What a user sees who asks for each of the file's requests in turn.
std::string transcript(const std::string& file) {
    std::string text;
    std::istringstream lines(read_file(golden_directory / file));
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with(mark)) continue;
        const auto asked = line.substr(mark.size());
        std::vector<std::string> arguments{daemon_binary(), "explain"};
        std::ranges::copy(words_of(asked), std::back_inserter(arguments));
        arguments.insert(arguments.end(), {"--config", file});
        const auto completed = run(arguments);
        text += "$ nsboot-lb explain " + asked + "\n" + completed.output + completed.error;
        if (completed.status != 0) text += "exit status " + std::to_string(completed.status) + "\n";
        text += "\n";
    }
    return text;
}

std::vector<std::string> golden_files() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(golden_directory))
        if (entry.path().extension() == ".yaml") names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
}

/// The working directory is that of the files, so that no path of this machine is in what is printed.
class ExplainGolden : public testing::TestWithParam<std::string> {
  protected:
    ExplainGolden() { fs::current_path(golden_directory); }
    ~ExplainGolden() override { fs::current_path(before_); }

  private:
    const fs::path before_ = fs::current_path();
};

TEST_P(ExplainGolden, PrintsWhatIsExpected) {
    const auto expected = fs::absolute(GetParam()).replace_extension(".expected");
    const auto printed = transcript(GetParam());
    EXPECT_NE(printed, "") << "no request to explain";
    if (std::getenv("NSBOOT_LB_UPDATE") != nullptr) std::ofstream(expected, std::ios::binary) << printed;
    EXPECT_EQ(read_file(expected), printed) << expected << " differs; NSBOOT_LB_UPDATE=1 writes it anew";
}

INSTANTIATE_TEST_SUITE_P(Explain, ExplainGolden, testing::ValuesIn(golden_files()),
                         [](const auto& info) { return fs::path(info.param).stem().string(); });

}  // namespace
}  // namespace nsboot_lb::test
