#include "access_log_writer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include "block_signals.hpp"
#include "nsboot_lb/observe/log.hpp"

namespace nsboot_lb::observe {

namespace {

std::atomic<std::uint64_t> lost_in_all{0};

/// How many writers there are.
struct Writers {
    std::mutex mutex;
    std::condition_variable fewer;
    std::size_t count = 0;
};
/// Never destroyed: a writer that is stuck may outlive main().
Writers& writers() {
    static auto* const instance = new Writers;
    return *instance;
}

int make_stop_event() {
    const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    return descriptor;
}

}  // namespace

AccessLogWriter::AccessLogWriter(LogTarget target, std::size_t longest_line_bytes)
    : capacity_bytes_(block_bytes + longest_line_bytes),
      target_name_(target.name()),
      stop_event_(make_stop_event()),
      target_(std::move(target)) {
    spare_.reserve(spare_limit_blocks);
    const std::lock_guard lock(writers().mutex);
    ++writers().count;
}

AccessLogWriter::~AccessLogWriter() {
    ::close(stop_event_);
    const std::lock_guard lock(writers().mutex);
    --writers().count;
    writers().fewer.notify_all();
}

std::shared_ptr<AccessLogWriter> AccessLogWriter::start(LogTarget target, std::size_t longest_line_bytes) {
    const std::shared_ptr<AccessLogWriter> writer(new AccessLogWriter(std::move(target), longest_line_bytes));
    std::thread{[writer] { writer->run(); }}.detach();
    return writer;
}

void AccessLogWriter::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        stop_deadline_ = std::chrono::steady_clock::now() + stop_limit;
    }
    work_.notify_one();
    ::eventfd_write(stop_event_, 1);
}

bool AccessLogWriter::wait_ended(std::chrono::milliseconds limit) {
    std::unique_lock lock(writers().mutex);
    return writers().fewer.wait_for(lock, limit, [] { return writers().count == 0; });
}

AccessLogWriter::Bytes AccessLogWriter::hand_over(Bytes bytes, std::size_t used_bytes, std::uint64_t lines) {
    Bytes empty;
    {
        std::unique_lock lock(mutex_);
        if (queue_.size() >= queue_limit_blocks) {
            const bool first = !std::exchange(overflowed_, true);
            lock.unlock();
            count_lost(lines);
            if (first) log::error("access log's reader is too slow, lines are lost target={}", target_name_);
            return bytes;
        }
        queue_.push_back({std::move(bytes), used_bytes});
        if (!spare_.empty()) {
            empty = std::move(spare_.back());
            spare_.pop_back();
        }
    }
    work_.notify_one();
    return empty ? std::move(empty) : new_block();
}

void AccessLogWriter::reopen() {
    {
        const std::lock_guard lock(mutex_);
        reopen_wanted_ = true;
    }
    work_.notify_one();
}

bool AccessLogWriter::wait_written(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return written_.wait_for(lock, limit, [this] { return queue_.empty() && !writing_ && !reopen_wanted_; });
}

void AccessLogWriter::run() {
    block_all_signals();
    std::unique_lock lock(mutex_);
    while (true) {
        work_.wait(lock, [this] { return reopen_wanted_ || stopping_ || !queue_.empty(); });
        if (!reopen_wanted_ && queue_.empty()) return;
        const bool reopen = std::exchange(reopen_wanted_, false);
        Block block;
        if (!queue_.empty()) {
            block = std::move(queue_.front());
            queue_.pop_front();
        }
        writing_ = true;
        lock.unlock();
        try {
            if (reopen) reopen_target();
            write_block({block.bytes.get(), block.used_bytes});
        } catch (const std::exception& failure) {
            log::error("access log's writer failed, it goes on target={} error={}", target_name_, failure.what());
        }
        lock.lock();
        writing_ = false;
        if (block.bytes && spare_.size() < spare_limit_blocks) spare_.push_back(std::move(block.bytes));
        if (!queue_.empty()) continue;
        written_.notify_all();
        if (!std::exchange(overflowed_, false)) continue;
        lock.unlock();
        log::info("access log has caught up target={} lost_lines={}", target_name_, lost_lines());
        lock.lock();
    }
}

void AccessLogWriter::reopen_target() {
    if (const auto reopened = target_.reopen(); !reopened) {
        log::error("access log stays where it was error={}", reopened.error());
    } else if (*reopened) {
        line_torn_ = false;
    }
}

void AccessLogWriter::write_block(std::string_view text) {
    while (!text.empty()) {
        // What follows a line that was cut must not look like its end.
        const bool mend = line_torn_ && line_lost_;
        const auto written = target_.write_some(mend ? std::string_view("\n") : text);
        if (!written) {
            lose(text);
            return report(written.error());
        }
        if (*written == 0) {
            if (wait_writable()) continue;
            return lose(text);
        }
        report(0);
        if (mend) {
            line_torn_ = false;
        } else {
            line_torn_ = text[*written - 1] != '\n';
            text.remove_prefix(*written);
        }
        line_lost_ = false;
    }
}

bool AccessLogWriter::wait_writable() {
    std::array<pollfd, 2> events{pollfd{target_.descriptor(), POLLOUT, 0}, pollfd{stop_event_, POLLIN, 0}};
    while (::poll(events.data(), events.size(), -1) < 0 && errno == EINTR) continue;
    if (events[0].revents != 0 || events[1].revents == 0) return true;

    std::chrono::steady_clock::time_point deadline;
    {
        const std::lock_guard lock(mutex_);
        deadline = stop_deadline_;
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    return ::poll(events.data(), 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0;
}

void AccessLogWriter::lose(std::string_view text) {
    line_lost_ = true;
    count_lost(static_cast<std::uint64_t>(std::ranges::count(text, '\n')));
}

void AccessLogWriter::count_lost(std::uint64_t lines) {
    lost_lines_.fetch_add(lines, std::memory_order_relaxed);
    lost_in_all.fetch_add(lines, std::memory_order_relaxed);
}

std::uint64_t AccessLogWriter::lost_lines_in_all() {
    return lost_in_all.load(std::memory_order_relaxed);
}

/// Says so when the trouble begins, changes or ends, not for each block.
void AccessLogWriter::report(int error) {
    if (error == last_error_) return;
    last_error_ = error;
    if (error != 0) {
        log::error("access log cannot be written, lines are lost target={} error={}", target_name_,
                   std::generic_category().message(error));
    } else {
        log::info("access log is written again target={} lost_lines={}", target_name_, lost_lines());
    }
}

}  // namespace nsboot_lb::observe
