#include "nsboot_lb/observe/log.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <utility>

#include <climits>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include "escape.hpp"
#include "log_target.hpp"

namespace nsboot_lb::observe::log {

namespace {

constexpr std::array<std::string_view, 6> level_names{"trace", "debug", "info", "warn", "error", "off"};
constexpr std::size_t quoted_limit_bytes = 1024;
/// A pipe takes this much in one piece or not at all.
constexpr std::size_t line_limit_bytes = PIPE_BUF;

/// Writes a line if that goes at once and else drops it: spdlog's own sinks would wait for the reader of a pipe.
class TargetSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    void set_target(LogTarget target) {
        const std::lock_guard lock(mutex_);
        target_ = std::move(target);
        torn_ = false;
    }
    std::expected<bool, std::string> reopen() {
        const std::lock_guard lock(mutex_);
        auto reopened = target_.reopen();
        if (reopened && *reopened) torn_ = false;
        return reopened;
    }
    std::uint64_t lost_lines() const { return lost_lines_.load(std::memory_order_relaxed); }

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        line_.clear();
        // What follows a line that was cut must not look like its end.
        if (torn_) line_.push_back('\n');
        formatter_->format(message, line_);
        if (line_.size() > line_limit_bytes) {
            line_.resize(line_limit_bytes);
            line_[line_limit_bytes - 1] = '\n';
        }
        const auto written = target_.write_some({line_.data(), line_.size()});
        if (written && *written > 0) torn_ = line_[*written - 1] != '\n';
        if (!written || *written != line_.size()) lost_lines_.fetch_add(1, std::memory_order_relaxed);
    }
    void flush_() override {}

  private:
    LogTarget target_ = LogTarget::standard_error();
    spdlog::memory_buf_t line_;
    bool torn_ = false;  ///< the last thing written was part of a line
    std::atomic<std::uint64_t> lost_lines_{0};
};

/// Local time would be ambiguous twice a year.
std::unique_ptr<spdlog::formatter> line_formatter() {
    return std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
}

struct Logger {
    std::shared_ptr<TargetSink> sink = std::make_shared<TargetSink>();
    spdlog::logger logger{"", sink};
    Logger() {
        logger.set_formatter(line_formatter());
        logger.set_level(spdlog::level::trace);  // detail::level has decided already
        logger.set_error_handler([](const std::string&) {});
    }
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

void detail::write(Level line_level, fmt::string_view format, fmt::format_args arguments) {
    fmt::memory_buffer message;
    message.append(to_string(line_level));  // spdlog's own name for warn is another than the configuration's
    message.push_back(' ');
    fmt::vformat_to(std::back_inserter(message), format, arguments);
    logger().logger.log(to_spdlog(line_level), spdlog::string_view_t(message.data(), message.size()));
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
    logger().sink->set_target(std::move(*target.target_));
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
    if (const auto reopened = logger().sink->reopen(); !reopened) {
        error("log stays where it was error={}", reopened.error());
    }
}

std::uint64_t lost_lines() {
    return logger().sink->lost_lines();
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
