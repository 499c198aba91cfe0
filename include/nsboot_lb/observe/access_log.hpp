#pragma once
/// The access log: one line for each exchange. A worker formats lines into its own AccessLogBuffer and hands full
/// blocks to the AccessLog's writer thread, the only one that touches the file; when the disk is full or the reader
/// does not read, lines are dropped and counted and requests go on. Workers and the control thread share the AccessLog;
/// whoever lets go of it last waits for nothing.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "nsboot_lb/observe/reason.hpp"

namespace nsboot_lb::observe {

/// What a line is made of. All texts are views that need to live only during write(); what came over the network may
/// hold any bytes. An empty text is "-" in combined and templates, "" in JSON.
struct AccessRecord {
    std::chrono::system_clock::time_point time;  ///< when the request began
    std::string_view client;                     ///< the client's address, without port
    std::string_view method;
    std::string_view host;
    std::string_view uri;       ///< the target as it was received
    std::string_view protocol;  ///< "HTTP/1.1"
    int status = 0;             ///< 0 = there was no response
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::chrono::nanoseconds duration{};
    std::string_view server;                       ///< name of the server of the last attempt
    std::chrono::nanoseconds upstream_duration{};  ///< of the last attempt
    unsigned attempts = 0;
    std::string_view cache;  ///< "hit", "miss" …
    std::string_view route;
    std::string_view request_id;
    std::string_view tls;  ///< "TLSv1.3", empty on a plain connection
    Reason reason = Reason::none;
    std::string_view user_agent;
    std::string_view referer;
};

/// The words that may stand in {braces} in a template (other braces stand for themselves), which are also the keys of
/// the JSON line, in its order: time client method host uri protocol status bytes_received bytes_sent duration server
/// upstream_duration attempts cache route request_id tls reason user_agent referer.
std::span<const std::string_view> access_log_placeholders();

/// Lines that could not be written since the start of the process, by whatever access log a reload brought.
std::uint64_t access_log_lost_lines();

/// At the end of the process, when all access logs have been let go of: waits until their lines are written, or lost
/// because a reader took too long. False if a disk holds one up even then.
bool wait_for_access_logs();

class AccessLogFormat;
class AccessLogWriter;
class TimeText;

/// Shared by the workers; thread-safe.
class AccessLog {
  public:
    /// `target` is "stdout", "stderr" or a file (made if absent); `format` is "json", "combined" or a template. The
    /// error says what is wrong with which of them.
    static std::expected<std::shared_ptr<AccessLog>, std::string> open(const std::string& target,
                                                                       const std::string& format);
    /// The writer writes what was handed over, for at most a second, and ends by itself: see wait_for_access_logs().
    ~AccessLog();
    AccessLog(const AccessLog&) = delete;
    AccessLog& operator=(const AccessLog&) = delete;

    /// Asks the writer to open the file anew, as after logrotate. A file that cannot be opened is logged, and the old
    /// one goes on being written.
    void reopen();
    /// Waits until all that was handed over is written or lost, at most `limit`; says whether it came to that.
    bool wait_written(std::chrono::milliseconds limit);
    /// Lines of this log that could not be written.
    std::uint64_t lost_lines() const;

  private:
    friend class AccessLogBuffer;
    AccessLog(std::unique_ptr<AccessLogFormat> format, std::shared_ptr<AccessLogWriter> writer);

    const std::unique_ptr<AccessLogFormat> format_;
    const std::shared_ptr<AccessLogWriter> writer_;  ///< shared with its thread
};

/// A worker's end of the log; for that worker alone. What was not flushed is handed over by the destructor.
class AccessLogBuffer {
  public:
    explicit AccessLogBuffer(std::shared_ptr<AccessLog> log);
    ~AccessLogBuffer();
    AccessLogBuffer(const AccessLogBuffer&) = delete;
    AccessLogBuffer& operator=(const AccessLogBuffer&) = delete;

    /// Adds a line; hands the block over when it is full. Does not allocate in the steady state and never waits for
    /// the file.
    void write(const AccessRecord& record);
    /// Hands over what is there. A worker calls it about once a second, so that lines do not linger.
    void flush();

  private:
    const std::shared_ptr<AccessLog> log_;
    std::unique_ptr<TimeText> time_text_;
    std::unique_ptr<char[]> block_;
    std::size_t used_bytes_ = 0;
    std::uint64_t lines_ = 0;
};

}  // namespace nsboot_lb::observe
