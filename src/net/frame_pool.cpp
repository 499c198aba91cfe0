#include "nsboot_lb/net/frame_pool.hpp"

#include <array>
#include <new>

namespace nsboot_lb::net {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NSBOOT_LB_PLAIN_FRAMES 1  // recycled memory would hide a use after free from the sanitizer
#endif
#endif

#ifdef NSBOOT_LB_PLAIN_FRAMES

void* take_frame(std::size_t size) {
    return ::operator new(size);
}
void give_frame(void* frame, std::size_t size) noexcept {
    ::operator delete(frame, size);
}

#else

namespace {

constexpr std::size_t class_width_bytes = 16;            // what the system allocator rounds up to
constexpr std::size_t class_count = 256;                 // frames of up to 4 KiB are recycled, larger ones are rare
constexpr std::size_t kept_bytes_per_class = 64 * 1024;  // what a quiet worker keeps of a busy hour

struct Free {
    Free* next;
};

struct Pool {
    std::array<Free*, class_count> lists{};
    std::array<std::size_t, class_count> lengths{};
    ~Pool() {
        for (auto* list : lists) {
            while (list != nullptr) {
                auto* next = list->next;
                ::operator delete(list);
                list = next;
            }
        }
    }
};

Pool& pool() {
    static thread_local Pool instance;
    return instance;
}

constexpr std::size_t class_of(std::size_t size) {
    return (size - 1) / class_width_bytes;
}

}  // namespace

void* take_frame(std::size_t size) {
    const auto index = class_of(size);
    if (index >= class_count) return ::operator new(size);
    auto& mine = pool();
    if (auto* block = mine.lists[index]) {
        mine.lists[index] = block->next;
        --mine.lengths[index];
        return block;
    }
    return ::operator new((index + 1) * class_width_bytes);
}

void give_frame(void* frame, std::size_t size) noexcept {
    const auto index = class_of(size);
    if (index >= class_count) return ::operator delete(frame);
    auto& mine = pool();
    const auto kept_bytes = mine.lengths[index] * (index + 1) * class_width_bytes;
    if (kept_bytes >= kept_bytes_per_class) return ::operator delete(frame);
    mine.lists[index] = new (frame) Free{mine.lists[index]};
    ++mine.lengths[index];
}

#endif

}  // namespace nsboot_lb::net
