// What is taken for credentials holds no control characters, and a user without ":"; nothing else is taken.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "nsboot_lb/base/basic_credentials.hpp"

namespace {
void require(bool holds) {
    if (!holds) std::abort();
}
bool is_clean(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto credentials = nsboot_lb::base::parse_basic_credentials({reinterpret_cast<const char*>(data), size});
    if (!credentials) return 0;
    require(is_clean(credentials->user) && is_clean(credentials->password) && !credentials->user.contains(':'));
    require(credentials->user.size() + credentials->password.size() < size);
    return 0;
}
