#include "nsboot_lb/net/pipe.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace nsboot_lb::net {

Pipe::Pipe(Pipe&& other) noexcept
    : read_end_(std::exchange(other.read_end_, -1)),
      write_end_(std::exchange(other.write_end_, -1)),
      capacity_(other.capacity_) {}

Pipe& Pipe::operator=(Pipe&& other) noexcept {
    if (this == &other) return *this;
    close();
    read_end_ = std::exchange(other.read_end_, -1);
    write_end_ = std::exchange(other.write_end_, -1);
    capacity_ = other.capacity_;
    return *this;
}

void Pipe::close() {
    if (read_end_ < 0) return;
    ::close(read_end_);
    ::close(write_end_);
}

std::optional<Pipe> PipePool::take() {
    if (!idle_.empty()) {
        auto pipe = std::move(idle_.back());
        idle_.pop_back();
        ++in_use_;
        return pipe;
    }
    if (in_use_ >= most_pipes) return std::nullopt;
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
    // Unprivileged users share a limit (pipe-user-pages-soft); beyond it the pipe stays as small as it was made.
    if (fcntl(ends[1], F_SETPIPE_SZ, wanted_capacity) < 0) (void)fcntl(ends[1], F_SETPIPE_SZ, wanted_capacity / 4);
    const int capacity = fcntl(ends[1], F_GETPIPE_SZ);
    ++in_use_;
    return Pipe{ends[0], ends[1], capacity > 0 ? static_cast<std::size_t>(capacity) : 4096};
}

void PipePool::give(Pipe pipe) {
    --in_use_;
    if (idle_.size() < most_idle) idle_.push_back(std::move(pipe));
}

BorrowedPipe::~BorrowedPipe() {
    if (!pipe_) return;
    if (filled == 0)
        pool_.give(std::move(*pipe_));
    else
        pool_.forgotten();
}

}  // namespace nsboot_lb::net
