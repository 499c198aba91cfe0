#pragma once
/// Pipes through which large bodies move from socket to socket inside the kernel. A worker keeps a few that are empty,
/// since making one costs more than using it; they are shared by the bodies that move just then. A PipePool and its
/// pipes belong to one worker.
#include <cstddef>
#include <optional>
#include <vector>

namespace nsboot_lb::net {

class Pipe {
  public:
    Pipe(int read_end, int write_end, std::size_t capacity)
        : read_end_(read_end), write_end_(write_end), capacity_(capacity) {}
    Pipe(Pipe&& other) noexcept;
    Pipe& operator=(Pipe&& other) noexcept;
    ~Pipe() { close(); }

    int read_end() const { return read_end_; }
    int write_end() const { return write_end_; }
    std::size_t capacity() const { return capacity_; }

  private:
    void close();
    int read_end_;
    int write_end_;
    std::size_t capacity_;
};

class PipePool {
  public:
    static constexpr int capacity = 1024 * 1024;
    /// In use and idle. Bodies beyond that are copied.
    static constexpr std::size_t most_pipes = 64;
    static constexpr std::size_t most_idle = 16;

    /// Nothing when there are too many, the process has no descriptors left, or the kernel makes none of that size: an
    /// unprivileged user has so much memory for pipes (pipe-user-pages-soft), and a small pipe costs more than copying.
    std::optional<Pipe> take();
    /// Only a pipe that is empty may come back; any other is just destroyed (and forgotten() called).
    void give(Pipe pipe);
    void forgotten() { --in_use_; }

  private:
    /// How often a refusal is believed before the kernel is asked again.
    static constexpr unsigned refusals_believed = 1024;

    std::vector<Pipe> idle_;
    std::size_t in_use_ = 0;
    unsigned believed_ = 0;  ///< takes to refuse before the next try
};

/// A pipe held while a body moves. Goes back to its pool if it was left empty.
class BorrowedPipe {
  public:
    explicit BorrowedPipe(PipePool& pool) : pool_(pool), pipe_(pool.take()) {}
    BorrowedPipe(const BorrowedPipe&) = delete;
    BorrowedPipe& operator=(const BorrowedPipe&) = delete;
    ~BorrowedPipe();
    explicit operator bool() const { return pipe_.has_value(); }
    const Pipe& operator*() const { return *pipe_; }
    const Pipe* operator->() const { return &*pipe_; }
    /// Bytes that are in it; kept by whoever splices.
    std::size_t filled = 0;

  private:
    PipePool& pool_;
    std::optional<Pipe> pipe_;
};

}  // namespace nsboot_lb::net
