#include "temporary_directory.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

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

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace nsboot_lb::test
