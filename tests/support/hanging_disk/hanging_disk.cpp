/// For LD_PRELOAD: a disk that can be made to hang. A write to a file below $HANGING_DISK waits while somebody holds
/// the lock (flock(2)) of the file $HANGING_DISK.lock.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace {

/// Allocates nothing unless it is a file: a signal handler may write to a pipe.
bool on_the_disk(int descriptor, std::string_view disk) {
    struct stat status{};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    std::array<char, PATH_MAX> path{};
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
    const std::string_view file{path.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
    return file.size() > disk.size() && file.starts_with(disk) && file[disk.size()] == '/';
}

void wait_for_the_lock(const std::string& file) {
    const int lock = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (lock < 0) return;
    ::flock(lock, LOCK_SH);
    ::close(lock);
}

}  // namespace

extern "C" ssize_t write(int descriptor, const void* data, std::size_t size) {
    const char* const disk = std::getenv("HANGING_DISK");
    if (disk != nullptr && on_the_disk(descriptor, disk)) wait_for_the_lock(std::string(disk) + ".lock");
    return ::syscall(SYS_write, descriptor, data, size);
}
