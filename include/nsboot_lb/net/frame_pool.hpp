#pragma once
/// Memory for coroutine frames, recycled per thread: a frame that a coroutine gives back is the next one's, still warm
/// in the cache, and no lock or system allocator is on the way of a request. Each thread has its own lists; a block
/// must be given back on the thread that took it, which holds because a coroutine never leaves its worker.
#include <cstddef>

namespace nsboot_lb::net {

/// At least `size` bytes, aligned as operator new aligns.
void* take_frame(std::size_t size);
/// Gives back what take_frame(size) gave, with the same size.
void give_frame(void* frame, std::size_t size) noexcept;

}  // namespace nsboot_lb::net
