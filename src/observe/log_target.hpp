#pragma once
/// Where log lines go: stdout, stderr or a file, written without ever waiting for a reader. A value of its owner, who
/// keeps other threads out; both logs have one.
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace nsboot_lb::observe {

class LogTarget {
  public:
    /// `name` is "stdout", "stderr" or a file, which is made if absent (mode 0640). The error is a sentence.
    static std::expected<LogTarget, std::string> open(const std::string& name);
    static LogTarget standard_error();

    LogTarget(LogTarget&& other) noexcept;
    LogTarget& operator=(LogTarget&& other) noexcept;
    ~LogTarget();

    /// Opens the file again under its name and says whether that is another one now; on failure the old one stays.
    /// Does nothing for stdout and stderr.
    std::expected<bool, std::string> reopen();
    /// Writes as much as goes without waiting: the number of bytes, 0 if the reader has to read first; else errno.
    /// SIGPIPE is for the caller to ignore or block.
    std::expected<std::size_t, int> write_some(std::string_view text);
    /// To wait until it can be written (POLLOUT).
    int descriptor() const { return descriptor_; }
    const std::string& name() const { return name_; }

  private:
    enum class Kind { file, socket, pipe };  ///< pipe: also terminals and other devices

    LogTarget(std::string name, int descriptor, bool owned);
    static LogTarget standard(std::string name, int descriptor);
    void close() noexcept;

    std::string name_;
    int descriptor_ = -1;
    bool owned_ = false;
    Kind kind_ = Kind::file;
};

}  // namespace nsboot_lb::observe
