// A path in its normal form has no second spelling: no dot segments, no empty ones but the last, no backslash, and,
// where no percent sign is left, it is its own normal form.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "nsboot_lb/route/normal_path.hpp"

namespace {
void require(bool holds) {
    if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using nsboot_lb::route::normal_path;
    const std::string_view raw(reinterpret_cast<const char*>(data), size);
    std::string scratch;
    const std::string normal(normal_path(raw, scratch));
    if (!raw.empty() && raw.front() != '/') {
        require(normal == raw);
        return 0;
    }
    require(normal.starts_with('/') && normal.size() <= std::max<std::size_t>(raw.size(), 1));
    const auto closed = normal + "/";
    require(!normal.contains("//") && !closed.contains("/./") && !closed.contains("/../") && !normal.contains('\\'));
    if (!normal.contains('%')) require(normal_path(normal, scratch) == normal);
    return 0;
}
