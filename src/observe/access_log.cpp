#include "nsboot_lb/observe/access_log.hpp"

#include <system_error>
#include <utility>

#include "access_log_format.hpp"
#include "access_log_writer.hpp"
#include "log_target.hpp"

namespace nsboot_lb::observe {

std::expected<std::shared_ptr<AccessLog>, std::string> AccessLog::open(const std::string& target,
                                                                       const std::string& format) {
    auto parsed = AccessLogFormat::parse(format);
    if (!parsed) return std::unexpected(parsed.error());
    auto opened = LogTarget::open(target);
    if (!opened) return std::unexpected(opened.error());
    std::shared_ptr<AccessLogWriter> writer;
    try {
        writer = AccessLogWriter::start(std::move(*opened), parsed->longest_line_bytes());
    } catch (const std::system_error& none_left) {
        return std::unexpected("cannot write " + target + ": " + none_left.code().message());
    }
    return std::shared_ptr<AccessLog>(
        new AccessLog(std::make_unique<AccessLogFormat>(std::move(*parsed)), std::move(writer)));
}

AccessLog::AccessLog(std::unique_ptr<AccessLogFormat> format, std::shared_ptr<AccessLogWriter> writer)
    : format_(std::move(format)), writer_(std::move(writer)) {}

AccessLog::~AccessLog() {
    writer_->stop();
}

void AccessLog::reopen() {
    writer_->reopen();
}

bool AccessLog::wait_written(std::chrono::milliseconds limit) {
    return writer_->wait_written(limit);
}

std::uint64_t AccessLog::lost_lines() const {
    return writer_->lost_lines();
}

bool wait_for_access_logs() {
    return AccessLogWriter::wait_ended(2 * AccessLogWriter::stop_limit);
}

std::uint64_t access_log_lost_lines() {
    return AccessLogWriter::lost_lines_in_all();
}

AccessLogBuffer::AccessLogBuffer(std::shared_ptr<AccessLog> log)
    : log_(std::move(log)), time_text_(std::make_unique<TimeText>()), block_(log_->writer_->new_block()) {}

AccessLogBuffer::~AccessLogBuffer() {
    flush();
}

void AccessLogBuffer::write(const AccessRecord& record) {
    char* const line = block_.get() + used_bytes_;
    const char* const end = log_->format_->write(record, *time_text_, line);
    used_bytes_ += static_cast<std::size_t>(end - line);
    ++lines_;
    if (used_bytes_ >= AccessLogWriter::block_bytes) flush();
}

void AccessLogBuffer::flush() {
    if (lines_ == 0) return;
    block_ = log_->writer_->hand_over(std::move(block_), used_bytes_, lines_);
    used_bytes_ = 0;
    lines_ = 0;
}

}  // namespace nsboot_lb::observe
