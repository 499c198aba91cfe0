#include "nsboot_lb/net/pipe.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "nsboot_lb/net/descriptors.hpp"

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
    closed_descriptors(2);
}

std::optional<Pipe> PipePool::take() {
    if (!idle_.empty()) {
        auto pipe = std::move(idle_.back());
        idle_.pop_back();
        ++in_use_;
        return pipe;
    }
    if (in_use_ >= most_pipes) return std::nullopt;
    if (believed_ != 0) {
        --believed_;
        return std::nullopt;
    }
    believed_ = refusals_believed;
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
    opened_descriptors(2);
    Pipe pipe{ends[0], ends[1], static_cast<std::size_t>(capacity)};
    if (fcntl(ends[1], F_SETPIPE_SZ, capacity) < capacity) return std::nullopt;
    believed_ = 0;
    ++in_use_;
    return pipe;
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
