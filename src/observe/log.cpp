#include "nsboot_lb/observe/log.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include <climits>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include "block_signals.hpp"
#include "escape.hpp"
#include "log_target.hpp"

namespace nsboot_lb::observe::log {

namespace {

constexpr std::array<std::string_view, 6> level_names{"trace", "debug", "info", "warn", "error", "off"};
constexpr std::size_t quoted_limit_bytes = 1024;
/// A pipe takes this much in one piece or not at all.
constexpr std::size_t line_limit_bytes = PIPE_BUF;
/// Lines that may wait for a disk; then the oldest are lost.
constexpr std::size_t queue_limit_lines = 1024;
/// Among the lines of a queue, the place of a move. No line has that level.
constexpr auto move_mark = spdlog::level::off;

using Clock = spdlog::log_clock;

/// Writes a line if that goes at once and else drops it: spdlog's own sinks would wait for the reader of a pipe. (A
/// file's disk is waited for.)
class TargetSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    /// Another target, or the same one opened anew (nothing), for lines from `from` on. Never waits for the disk.
    void move(std::optional<LogTarget> target, Clock::time_point from) {
        const std::lock_guard lock(moves_mutex_);
        moves_.push_back({from, std::move(target)});
    }
    std::uint64_t lost_lines() const { return lost_lines_.load(std::memory_order_relaxed); }
    void lose_line() { lost_lines_.fetch_add(1, std::memory_order_relaxed); }

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        move_before(message.time);
        if (message.level == move_mark) return;
        line_.clear();
        // What follows a line that was cut must not look like its end.
        if (torn_) line_.push_back('\n');
        formatter_->format(message, line_);
        if (line_.size() > line_limit_bytes) {
            line_.resize(line_limit_bytes);
            line_[line_limit_bytes - 1] = '\n';
        }
        write();
    }
    void flush_() override {}

  private:
    struct Move {
        Clock::time_point from;
        std::optional<LogTarget> target;
    };

    void move_before(Clock::time_point time) {
        while (auto move = next_move(time)) {
            if (move->target) {
                target_ = std::move(*move->target);
                torn_ = false;
            } else if (const auto reopened = target_.reopen(); !reopened) {
                if (enabled(Level::error)) say("error log stays where it was error=" + quoted(reopened.error()));
            } else if (*reopened) {
                torn_ = false;
            }
        }
    }
    std::optional<Move> next_move(Clock::time_point time) {
        const std::lock_guard lock(moves_mutex_);
        if (moves_.empty() || moves_.front().from > time) return std::nullopt;
        auto move = std::move(moves_.front());
        moves_.pop_front();
        return move;
    }
    /// A line of the sink's own, which the logger cannot take: it may be waiting for this very sink.
    void say(const std::string& line) { sink_it_({"", spdlog::level::err, line}); }
    void write() {
        const auto written = target_.write_some({line_.data(), line_.size()});
        if (written && *written > 0) torn_ = line_[*written - 1] != '\n';
        if (!written || *written != line_.size()) lose_line();
    }

    LogTarget target_ = LogTarget::standard_error();
    spdlog::memory_buf_t line_;
    bool torn_ = false;  ///< the last thing written was part of a line
    std::atomic<std::uint64_t> lost_lines_{0};

    std::mutex moves_mutex_;
    std::deque<Move> moves_;
};

/// Local time would be ambiguous twice a year.
std::unique_ptr<spdlog::formatter> line_formatter() {
    return std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
}

class Logger {
  public:
    Logger() {
        sink_->set_formatter(line_formatter());
        prepare(direct_);
    }

    void write(spdlog::level::level_enum line_level, spdlog::string_view_t line) {
        if (queued_.load(std::memory_order_acquire)) {
            queueing_->log(line_level, line);
        } else {
            direct_.log(line_level, line);
        }
    }
    void move(std::optional<LogTarget> target) {
        sink_->move(std::move(target), Clock::now());
        write(move_mark, "");
    }

    void lose_line() { sink_->lose_line(); }

    void start_queue() {
        thread_ = std::make_shared<spdlog::details::thread_pool>(queue_limit_lines, 1, block_all_signals);
        queueing_ =
            std::make_shared<spdlog::async_logger>("", sink_, thread_, spdlog::async_overflow_policy::overrun_oldest);
        prepare(*queueing_);
        queued_.store(true, std::memory_order_release);
    }
    /// Whoever still logs meanwhile may lose a line, and it is counted.
    void end_queue() {
        overrun_lines_ += thread_->overrun_counter();
        thread_.reset();
        queued_.store(false, std::memory_order_release);
    }
    std::uint64_t lost_lines() const {
        return sink_->lost_lines() + overrun_lines_ + (thread_ ? thread_->overrun_counter() : 0);
    }

  private:
    void prepare(spdlog::logger& logger) {
        logger.set_level(spdlog::level::trace);  // detail::level has decided already
        logger.set_error_handler([this](const std::string&) { sink_->lose_line(); });
    }

    const std::shared_ptr<TargetSink> sink_ = std::make_shared<TargetSink>();
    spdlog::logger direct_{"", sink_};
    std::shared_ptr<spdlog::async_logger> queueing_;
    std::atomic<bool> queued_{false};
    std::shared_ptr<spdlog::details::thread_pool> thread_;
    std::uint64_t overrun_lines_ = 0;  ///< of queues that have ended
};

/// Never destroyed: threads and destructors may log until the very end.
Logger& logger() {
    static auto* const instance = new Logger;
    return *instance;
}

spdlog::level::level_enum to_spdlog(Level line_level) {
    switch (line_level) {
        case Level::trace: return spdlog::level::trace;
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warn: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
        case Level::off: break;
    }
    return spdlog::level::off;
}

/// Bare text is what cannot be mistaken for anything else: no space, quote, backslash, '=' or control character.
bool needs_quotes(std::string_view text) {
    return text.empty() || std::ranges::any_of(text, [](char c) { return needs_escape(c) || c == ' ' || c == '='; });
}

}  // namespace

std::atomic<Level> detail::level{Level::info};

void detail::write(Level line_level, fmt::string_view format, fmt::format_args arguments) noexcept {
    // Without memory a line is lost like any other. Who logs has trouble enough.
    try {
        fmt::memory_buffer message;
        message.append(to_string(line_level));  // spdlog's own name for warn is another than the configuration's
        message.push_back(' ');
        fmt::vformat_to(std::back_inserter(message), format, arguments);
        logger().write(to_spdlog(line_level), spdlog::string_view_t(message.data(), message.size()));
    } catch (const std::exception&) {
        logger().lose_line();
    }
}

std::string_view to_string(Level line_level) {
    return level_names[static_cast<std::size_t>(line_level)];
}

std::optional<Level> level_of(std::string_view name) {
    const auto found = std::ranges::find(level_names, name);
    if (found == level_names.end()) return std::nullopt;
    return static_cast<Level>(found - level_names.begin());
}

Target::Target(LogTarget target) : target_(std::make_unique<LogTarget>(std::move(target))) {}
Target::Target(Target&& other) noexcept = default;
Target& Target::operator=(Target&& other) noexcept = default;
Target::~Target() = default;

std::expected<Target, std::string> Target::open(const std::string& name) {
    auto opened = LogTarget::open(name);
    if (!opened) return std::unexpected(opened.error());
    return Target(std::move(*opened));
}

void use(Target target) {
    logger().move(std::move(*target.target_));
}

std::expected<void, std::string> init(Level line_level, const std::string& target) {
    auto opened = Target::open(target);
    if (!opened) return std::unexpected(opened.error());
    use(std::move(*opened));
    set_level(line_level);
    return {};
}

void set_level(Level line_level) {
    detail::level.store(line_level, std::memory_order_relaxed);
}

Level level() {
    return detail::level.load(std::memory_order_relaxed);
}

void reopen() {
    logger().move(std::nullopt);
}

std::uint64_t lost_lines() {
    return logger().lost_lines();
}

Queue::Queue() {
    logger().start_queue();
}

Queue::~Queue() {
    logger().end_queue();
}

std::string quoted(std::string_view text) {
    if (!needs_quotes(text)) return std::string(text.substr(0, quoted_limit_bytes));
    std::string result(quoted_limit_bytes + 2, '"');
    char* const begin = result.data() + 1;
    const char* const end = append_escaped<Escape::json>(begin, text, quoted_limit_bytes);
    result.resize(static_cast<std::size_t>(end - result.data()));
    result += '"';
    return result;
}

}  // namespace nsboot_lb::observe::log

fmt::format_context::iterator fmt::formatter<nsboot_lb::observe::log::detail::Text>::format(
    const nsboot_lb::observe::log::detail::Text& argument, fmt::format_context& context) const {
    return fmt::format_to(context.out(), "{}", nsboot_lb::observe::log::quoted(argument.text));
}
