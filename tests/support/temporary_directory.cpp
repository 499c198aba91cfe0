#include "temporary_directory.hpp"

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <poll.h>
#include <sys/inotify.h>
#include <system_error>
#include <unistd.h>

#include "wire.hpp"

namespace nsboot_lb::test {

TemporaryDirectory::TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "nsboot-lb-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Failure("mkdtemp " + name);
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryDirectory::write(const std::string& name, std::string_view text) const {
    const auto file = path_ / name;
    std::ofstream out{file, std::ios::binary | std::ios::trunc};
    out << text;
    if (!out.flush()) throw Failure("cannot write " + file.string());
    return file;
}

void await_file_contains(const std::filesystem::path& file, std::string_view text) {
    const int changes = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ::inotify_add_watch(changes, file.parent_path().c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    bool found = false;
    while (!(found = read_file(file).find(text) != std::string::npos) && std::chrono::steady_clock::now() < deadline) {
        pollfd polled{changes, POLLIN, 0};
        ::poll(&polled, 1, static_cast<int>(patience.count()));
        std::array<char, 4096> events{};
        while (::read(changes, events.data(), events.size()) > 0) {
        }
    }
    ::close(changes);
    if (!found) throw Failure(file.string() + " does not come to hold \"" + std::string{text} + "\"");
}

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace nsboot_lb::test
