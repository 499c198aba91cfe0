#pragma once
/// The system calls that every request makes. The C library makes them points where a thread can be cancelled, which
/// nobody does here and costs two locked operations each time; these are the same calls without. They return what
/// theirs do, and set errno.
#include <cstddef>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace nsboot_lb::net {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NSBOOT_LB_WATCHED_CALLS 1  // the sanitizers see what the library's functions write
#endif
#endif

#ifdef NSBOOT_LB_WATCHED_CALLS

inline ssize_t receive(int socket, void* into, std::size_t size, int flags) {
    return ::recv(socket, into, size, flags);
}
inline ssize_t transmit(int socket, const void* bytes, std::size_t size, int flags) {
    return ::send(socket, bytes, size, flags);
}
inline int wait_for_events(int set, epoll_event* events, int most, int timeout_ms) {
    return ::epoll_wait(set, events, most, timeout_ms);
}

#else

inline ssize_t receive(int socket, void* into, std::size_t size, int flags) {
    return ::syscall(SYS_recvfrom, socket, into, size, flags, nullptr, nullptr);
}
inline ssize_t transmit(int socket, const void* bytes, std::size_t size, int flags) {
    return ::syscall(SYS_sendto, socket, bytes, size, flags, nullptr, socklen_t{0});
}
inline int wait_for_events(int set, epoll_event* events, int most, int timeout_ms) {
    return static_cast<int>(::syscall(SYS_epoll_pwait, set, events, most, timeout_ms, nullptr, std::size_t{0}));
}

#endif

}  // namespace nsboot_lb::net
