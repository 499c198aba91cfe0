#pragma once
/// How a line of the access log looks: a format parsed once into steps, each some fixed text and then a field.
/// Immutable after parse(), so all workers share it; what changes from line to line is the caller's.
#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "escape.hpp"
#include "nsboot_lb/observe/access_log.hpp"

namespace nsboot_lb::observe {

/// The text of the second that the last line fell into: most lines share it. One for each worker.
class TimeText {
  public:
    void set(std::chrono::sys_seconds second);
    /// "2026-01-31T23:59:59"
    std::string_view iso() const { return {iso_.data(), iso_.size()}; }
    /// "31/Jan/2026:23:59:59 +0000", of the combined format
    std::string_view common() const { return {common_.data(), common_.size()}; }

  private:
    void render();

    std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
    std::array<char, 19> iso_{};
    std::array<char, 26> common_{};
};

class AccessLogFormat {
  public:
    /// "json", "combined", or a template. The error names the word in braces that means nothing.
    static std::expected<AccessLogFormat, std::string> parse(std::string_view format);

    /// No line is longer, whatever the client sends.
    std::size_t longest_line_bytes() const { return longest_line_bytes_; }
    /// Appends the line with its newline; `out` has room for longest_line_bytes(). Returns the end.
    char* write(const AccessRecord& record, TimeText& time, char* out) const;

    enum class Kind : std::uint8_t {
        text,
        time,
        common_time,
        status,
        bytes_received,
        bytes_sent,
        duration,
        upstream_duration,
        attempts,
        reason,
        line_end
    };
    struct Field {
        std::string_view name;
        Kind kind = Kind::text;
        std::string_view AccessRecord::* text = nullptr;
        std::uint32_t longest_bytes = 0;
    };

  private:
    struct Step {
        std::uint32_t fixed_begin = 0;  ///< in fixed_text_
        std::uint32_t fixed_bytes = 0;
        Field field;
    };

    void add_step(std::string_view fixed_text, const Field& field);
    void make_json();
    std::expected<void, std::string> make_template(std::string_view format, bool with_common_time);
    template <Escape escape>
    char* write_as(const AccessRecord& record, TimeText& time, char* out) const;

    Escape escape_ = Escape::hex;
    std::string fixed_text_;
    std::vector<Step> steps_;
    std::size_t longest_line_bytes_ = 0;
};

}  // namespace nsboot_lb::observe
