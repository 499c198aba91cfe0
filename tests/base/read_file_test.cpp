#include "nsboot_lb/base/read_file.hpp"

#include <cstdlib>
#include <fstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsboot_lb::base {
namespace {

class ReadFile : public testing::Test {
  protected:
    ReadFile() {
        std::string pattern = std::filesystem::temp_directory_path() / "nsboot-lb-read-XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    ~ReadFile() override { std::filesystem::remove_all(directory_); }
    std::filesystem::path file(const std::string& name) const { return directory_ / name; }

    static void expect_refused(const std::filesystem::path& name, const std::string& why, const std::string& hint) {
        const auto read = read_file(name, 100);
        ASSERT_FALSE(read.has_value());
        EXPECT_EQ(read.error().why, why);
        EXPECT_EQ(read.error().hint, hint);
        const auto unreadable = why_unreadable(name);
        ASSERT_TRUE(unreadable.has_value());
        EXPECT_EQ(unreadable->why, why);
    }

  private:
    std::filesystem::path directory_;
};

TEST_F(ReadFile, GivesAllOfItOrItsFirstBytes) {
    const std::string text(200'000, 'x');
    std::ofstream(file("large")) << text << "end";
    EXPECT_EQ(read_file(file("large"), text.size() + 4).value_or(""), text + "end");
    EXPECT_EQ(read_file(file("large"), text.size()).value_or(""), text);
    EXPECT_EQ(read_file(file("large"), 1).value_or(""), "x");
    EXPECT_FALSE(why_unreadable(file("large")).has_value());
}

TEST_F(ReadFile, SaysWhatTheSystemSays) {
    expect_refused(file("nothing"), "No such file or directory", "");
    std::filesystem::create_symlink(file("round"), file("round"));
    expect_refused(file("round"), "Too many levels of symbolic links", "");
}

TEST_F(ReadFile, TakesTheNullDeviceForAnEmptyFile) {
    EXPECT_EQ(read_file("/dev/null", 100).value_or("?"), "");
}

TEST_F(ReadFile, ReadsNothingThatIsNoRegularFile) {
    expect_refused(file("."), "Is a directory", "name a file in it");
    expect_refused("/dev/zero", "it is a device", "name a regular file");
    ASSERT_EQ(::mkfifo(file("fifo").c_str(), 0600), 0);
    expect_refused(file("fifo"), "it is a FIFO", "name a regular file");
    std::filesystem::create_symlink(file("fifo"), file("link"));
    expect_refused(file("link"), "it is a FIFO", "name a regular file");

    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    file("socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    expect_refused(file("socket"), "it is a socket", "name a regular file");
    ::close(socket);
}

}  // namespace
}  // namespace nsboot_lb::base
