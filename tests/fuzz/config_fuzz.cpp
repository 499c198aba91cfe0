// Whatever the text, loading it ends soon and without a crash; what is refused has an error, and what is accepted can
// be printed and loads again to the same. Files are not touched.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "nsboot_lb/config/load.hpp"

namespace {

using namespace nsboot_lb::config;

void require(bool holds) {
    if (!holds) std::abort();
}

bool has_error(const LoadResult& result) {
    for (const auto& problem : result.problems) {
        require(problem.position.line > 0 && problem.position.column > 0);
        require(problem.text().find('\n') == std::string::npos);
        if (problem.severity == Severity::error) return true;
    }
    return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const LoadOptions options{.touch_files = false};
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto result = load_text(text, "fuzz.yaml", options);
    require(result.ok() != has_error(result));
    if (!result.ok()) return 0;
    const auto printed = print(*result.config);
    const auto again = load_text(printed, "printed.yaml", options);
    require(again.ok());
    require(print(*again.config) == printed);
    return 0;
}
