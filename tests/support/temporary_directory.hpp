#pragma once
/// A directory that lives as long as the object, and files in it. Used by the test's own thread.
#include <filesystem>
#include <string>
#include <string_view>

namespace nsboot_lb::test {

class TemporaryDirectory {
  public:
    TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory();
    std::filesystem::path path() const { return path_; }
    /// Writes (or overwrites) a file and returns its path.
    std::filesystem::path write(const std::string& name, std::string_view text) const;

  private:
    std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& file);
/// Returns once the file, which need not exist yet, holds `text`; throws Failure if that does not happen.
void await_file_contains(const std::filesystem::path& file, std::string_view text);

}  // namespace nsboot_lb::test
