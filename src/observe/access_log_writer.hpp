#pragma once
/// The thread that writes the access log's blocks, so that only it waits for a disk or a reader. Workers hand blocks
/// over through a bounded queue under a short lock. The AccessLog has it stop, and waits for nothing: a stopped writer
/// writes what it has and ends by itself.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "log_target.hpp"

namespace nsboot_lb::observe {

class AccessLogWriter {
  public:
    using Bytes = std::unique_ptr<char[]>;

    /// A worker hands a block over once it has this much in it.
    static constexpr std::size_t block_bytes = 64 * 1024;
    /// 8 MiB of lines may wait for the disk; then lines are lost.
    static constexpr std::size_t queue_limit_blocks = 128;
    /// Empty blocks kept for the workers; a burst's others go back to the heap.
    static constexpr std::size_t spare_limit_blocks = 8;
    /// How long a stop waits for a slow reader.
    static constexpr std::chrono::milliseconds stop_limit{1000};

    /// A block has room for `longest_line_bytes` behind its block_bytes, so that no line needs to be measured first.
    /// Throws std::system_error if there is no descriptor or no thread for it.
    static std::shared_ptr<AccessLogWriter> start(LogTarget target, std::size_t longest_line_bytes);
    ~AccessLogWriter();
    AccessLogWriter(const AccessLogWriter&) = delete;
    AccessLogWriter& operator=(const AccessLogWriter&) = delete;

    Bytes new_block() const { return std::make_unique_for_overwrite<char[]>(capacity_bytes_); }
    /// Takes a block of `lines` lines and gives an empty one; if the queue is full, gives the same one and the lines
    /// are lost.
    Bytes hand_over(Bytes bytes, std::size_t used_bytes, std::uint64_t lines);
    void reopen();
    /// Nothing is handed over any more.
    void stop();
    bool wait_written(std::chrono::milliseconds limit);
    std::uint64_t lost_lines() const { return lost_lines_.load(std::memory_order_relaxed); }
    /// Of all writers since the start.
    static std::uint64_t lost_lines_in_all();
    /// Whether within that time there is no writer any more.
    static bool wait_ended(std::chrono::milliseconds limit);

  private:
    AccessLogWriter(LogTarget target, std::size_t longest_line_bytes);
    struct Block {
        Bytes bytes;
        std::size_t used_bytes = 0;
    };

    void run();
    void reopen_target();
    void write_block(std::string_view text);
    /// False when the writer is to stop and the reader did not read in time.
    bool wait_writable();
    void lose(std::string_view text);
    void count_lost(std::uint64_t lines);
    void report(int error);

    const std::size_t capacity_bytes_;
    const std::string target_name_;
    const int stop_event_;  ///< readable once the writer is to stop

    // The writer thread's own.
    LogTarget target_;
    bool line_torn_ = false;  ///< the last thing written was part of a line
    bool line_lost_ = false;  ///< and then something was lost
    int last_error_ = 0;

    // Shared, under mutex_.
    std::mutex mutex_;
    std::condition_variable work_;
    std::condition_variable written_;
    std::deque<Block> queue_;
    std::vector<Bytes> spare_;
    bool writing_ = false;
    bool overflowed_ = false;  ///< since the queue was last empty
    bool reopen_wanted_ = false;
    bool stopping_ = false;
    std::chrono::steady_clock::time_point stop_deadline_;

    std::atomic<std::uint64_t> lost_lines_{0};
};

}  // namespace nsboot_lb::observe
