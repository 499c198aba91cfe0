// Whatever comes, the parser stays inside its input, and does not change its mind: a header is complete at its last
// octet, not before, and what follows does not matter.
#include <cstdlib>

#include "nsboot_lb/net/proxy_protocol.hpp"

namespace {
void require(bool holds) {
    if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nsboot_lb::net;
    const std::string_view received(reinterpret_cast<const char*>(data), size);
    const auto parsed = parse_proxy_header(received);
    if (!parsed) {
        require(!parsed.error().empty());
        return 0;
    }
    if (!*parsed) {
        require(size < max_proxy_v2_size);
        return 0;
    }
    const ProxyHeader header = **parsed;
    require(header.size <= size && header.size <= max_proxy_v2_size);
    require(header.source.has_value() == header.destination.has_value());
    require(parse_proxy_header(received.substr(0, header.size)) == parsed);
    for (std::size_t shorter = 0; shorter < header.size; ++shorter) {
        const auto early = parse_proxy_header(received.substr(0, shorter));
        require(early.has_value() && !early->has_value());
    }
    return 0;
}
