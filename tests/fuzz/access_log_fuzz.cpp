// Whatever a client sends, a line of the access log stays one line without control characters, a line of JSON is JSON
// of the same members, and a value between quotes stays between them.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "observe/access_log_format.hpp"

namespace {

using namespace nsboot_lb::observe;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string line(const AccessLogFormat& format, const AccessRecord& record) {
    static TimeText time;
    std::string text(format.longest_line_bytes(), '\0');
    const char* const end = format.write(record, time, text.data());
    require(end <= text.data() + text.size());
    text.resize(static_cast<std::size_t>(end - text.data()));
    require(text.ends_with('\n'));
    text.pop_back();
    require(std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto json = AccessLogFormat::parse("json").value();
    static const auto combined = AccessLogFormat::parse("combined").value();
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    AccessRecord record;
    record.method = bytes.substr(0, size / 2);
    record.uri = bytes;
    record.host = bytes.substr(size / 2);
    record.user_agent = record.referer = record.request_id = bytes;

    boost::json::error_code error;
    const auto value = boost::json::parse(line(json, record), error);
    require(!error && value.is_object() && value.get_object().size() == access_log_placeholders().size());
    require(std::ranges::count(line(combined, record), '"') == 6);
    return 0;
}
