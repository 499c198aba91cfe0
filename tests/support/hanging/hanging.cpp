/// For LD_PRELOAD: a disk and a resolver that can be made to hang. While somebody holds the lock (flock(2)) of the file
/// $HANGING_LOCK, writes to files below $HANGING_DISK wait, and look-ups of the name $HANGING_NAME, which is
/// 127.0.0.1, do; the file $HANGING_ASKED says that one has begun. And a machine that has no local port left for
/// connections to port $LACKING_PORTS_TO.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string_view>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace {

std::string_view variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

bool is_below(int descriptor, std::string_view directory) {
    struct stat status{};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    std::array<char, 64> link{"/proc/self/fd/"};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", descriptor);
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink(link.data(), path.data(), path.size());
    const std::string_view file{path.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
    return file.size() > directory.size() && file.starts_with(directory) && file[directory.size()] == '/';
}

void wait_for_the_lock() {
    const int lock = ::open(variable("HANGING_LOCK").data(), O_RDONLY | O_CLOEXEC);
    if (lock < 0) return;
    ::flock(lock, LOCK_SH);
    ::close(lock);
}

}  // namespace

/// Allocates nothing: signal handlers write, too.
extern "C" ssize_t write(int descriptor, const void* data, std::size_t size) {
    const auto disk = variable("HANGING_DISK");
    if (!disk.empty() && is_below(descriptor, disk)) wait_for_the_lock();
    return ::syscall(SYS_write, descriptor, data, size);
}

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
    using Function = int(const char*, const char*, const addrinfo*, addrinfo**);
    static auto* const next = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    const auto name = variable("HANGING_NAME");
    if (node == nullptr || name.empty() || name != node) return next(node, service, hints, found);
    ::close(::open(variable("HANGING_ASKED").data(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    wait_for_the_lock();
    return next("127.0.0.1", service, hints, found);
}

extern "C" int connect(int descriptor, const sockaddr* address, socklen_t size) {
    const auto lacking = variable("LACKING_PORTS_TO");
    if (!lacking.empty() && address->sa_family == AF_INET) {
        sockaddr_in peer{};
        std::memcpy(&peer, address, sizeof peer);
        if (ntohs(peer.sin_port) == std::atoi(lacking.data())) {
            errno = EADDRNOTAVAIL;
            return -1;
        }
    }
    return static_cast<int>(::syscall(SYS_connect, descriptor, address, size));
}
