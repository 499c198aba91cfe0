#pragma once
/// How many descriptors the data path has open: connections of clients and to servers, and pipes. Counted where they
/// are opened and closed, over all workers; any thread may ask.
#include <atomic>
#include <cstdint>

namespace nsboot_lb::net {

namespace detail {
inline std::atomic<std::uint64_t> descriptors{0};
}

inline std::uint64_t descriptors_in_use() {
    return detail::descriptors.load(std::memory_order_relaxed);
}
inline void opened_descriptors(std::uint64_t count) {
    detail::descriptors.fetch_add(count, std::memory_order_relaxed);
}
inline void closed_descriptors(std::uint64_t count) {
    detail::descriptors.fetch_sub(count, std::memory_order_relaxed);
}

}  // namespace nsboot_lb::net
