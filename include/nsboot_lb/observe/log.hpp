#pragma once
/// The event log, of what happens to the daemon rather than to a request. Any thread may log at any time, also before
/// init() (then to stderr); a line that cannot be written at once is dropped and counted, so that nobody waits or
/// fails. While there is a Queue, nobody waits for a disk either. All but logging is for one thread, the control
/// thread.
///
///     log::warn("server is down pool={} server={} reason={}", pool, server, reason);
///
/// A line is "TIME LEVEL message". Arguments that are text are escaped, and quoted if they hold a space or what could
/// be taken for another key=value, so text from the network can forge neither a line nor a pair.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <fmt/core.h>

namespace nsboot_lb::observe {
class LogTarget;
}

namespace nsboot_lb::observe::log {

enum class Level : std::uint8_t { trace, debug, info, warn, error, off };
/// "trace" … "off".
std::string_view to_string(Level level);
/// Nothing for another word.
std::optional<Level> level_of(std::string_view name);

/// A place for lines that is open already, but not in use: so that what could fail has been done before anything else
/// changes.
class Target {
  public:
    /// `name` is "stderr", "stdout" or a file (made if absent); the error says why it cannot be opened.
    static std::expected<Target, std::string> open(const std::string& name);
    Target(Target&& other) noexcept;
    Target& operator=(Target&& other) noexcept;
    ~Target();

  private:
    friend void use(Target target);
    explicit Target(LogTarget target);
    std::unique_ptr<LogTarget> target_;
};
/// Lines go there from now on.
void use(Target target);

/// While it lives, a thread of its own writes the lines, and opens files anew; 1024 may wait for a disk, then the
/// oldest are lost and counted. Its end waits until all are written. At most one at a time.
class Queue {
  public:
    Queue();
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
};

/// Opens and uses `target`. If it cannot be opened, lines go where they went before.
std::expected<void, std::string> init(Level level, const std::string& target);
void set_level(Level level);
Level level();
/// Opens the file anew, as after logrotate; if that fails the old one goes on being written and a line says so.
void reopen();
/// Lines that could not be written since the start.
std::uint64_t lost_lines();

/// Text as it stands in a line: bare if it is harmless, else in quotes with escapes. `text` is cut after 1 KiB.
std::string quoted(std::string_view text);

namespace detail {

struct Text {
    std::string_view text;
};

template <class T>
inline constexpr bool is_text = std::is_convertible_v<const T&, std::string_view>;

/// How an argument is shown: text as Text, all else as itself.
template <class T>
using Shown = std::conditional_t<is_text<T>, Text, T>;

template <class T>
decltype(auto) shown(const T& argument) {
    if constexpr (is_text<T>) {
        return Text{argument};
    } else {
        return argument;
    }
}

extern std::atomic<Level> level;
void write(Level level, fmt::string_view format, fmt::format_args arguments) noexcept;

template <class... Args>
void log(Level line_level, fmt::string_view format, const Args&... arguments) {
    write(line_level, format, fmt::make_format_args(arguments...));
}

}  // namespace detail

inline bool enabled(Level line_level) {
    return line_level >= detail::level.load(std::memory_order_relaxed);
}

template <class... Args>
void debug(fmt::format_string<detail::Shown<Args>...> format, const Args&... arguments) {
    if (enabled(Level::debug)) detail::log(Level::debug, format, detail::shown(arguments)...);
}
template <class... Args>
void info(fmt::format_string<detail::Shown<Args>...> format, const Args&... arguments) {
    if (enabled(Level::info)) detail::log(Level::info, format, detail::shown(arguments)...);
}
template <class... Args>
void warn(fmt::format_string<detail::Shown<Args>...> format, const Args&... arguments) {
    if (enabled(Level::warn)) detail::log(Level::warn, format, detail::shown(arguments)...);
}
template <class... Args>
void error(fmt::format_string<detail::Shown<Args>...> format, const Args&... arguments) {
    if (enabled(Level::error)) detail::log(Level::error, format, detail::shown(arguments)...);
}

}  // namespace nsboot_lb::observe::log

template <>
struct fmt::formatter<nsboot_lb::observe::log::detail::Text> {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
    fmt::format_context::iterator format(const nsboot_lb::observe::log::detail::Text& argument,
                                         fmt::format_context& context) const;
};
