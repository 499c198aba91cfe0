#include "access_log_format.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace nsboot_lb::observe {
namespace {

using namespace std::chrono_literals;

AccessRecord some_record() {
    using std::chrono::sys_days;
    AccessRecord record;
    record.time = sys_days{std::chrono::year{2026} / 1 / 31} + 23h + 59min + 7s + 45ms;
    record.client = "10.1.2.3";
    record.method = "GET";
    record.host = "nsboot.example.com";
    record.uri = "/images/vmlinuz?size=20M";
    record.protocol = "HTTP/1.1";
    record.status = 206;
    record.bytes_received = 312;
    record.bytes_sent = 20'971'520;
    record.duration = 1'234'567'891ns;
    record.server = "nsboot-1";
    record.upstream_duration = 1'200'000us;
    record.attempts = 2;
    record.route = "images";
    record.request_id = "4f0c";
    record.user_agent = "iPXE/1.21.1";
    return record;
}

std::string line(std::string_view format, const AccessRecord& record) {
    auto parsed = AccessLogFormat::parse(format);
    EXPECT_TRUE(parsed.has_value());
    TimeText time;
    std::string out(parsed->longest_line_bytes(), '#');
    out.resize(static_cast<std::size_t>(parsed->write(record, time, out.data()) - out.data()));
    return out;
}

TEST(AccessLogFormat, combined) {
    EXPECT_EQ(line("combined", some_record()),
              "10.1.2.3 - - [31/Jan/2026:23:59:07 +0000] \"GET /images/vmlinuz?size=20M HTTP/1.1\" 206 20971520 \"-\" "
              "\"iPXE/1.21.1\"\n");
}

TEST(AccessLogFormat, json) {
    EXPECT_EQ(line("json", some_record()),
              R"({"time":"2026-01-31T23:59:07.045Z","client":"10.1.2.3","method":"GET","host":"nsboot.example.com",)"
              R"("uri":"/images/vmlinuz?size=20M","protocol":"HTTP/1.1","status":206,"bytes_received":312,)"
              R"("bytes_sent":20971520,"duration":1.234567,"server":"nsboot-1","upstream_duration":1.200000,)"
              R"("attempts":2,"cache":"","route":"images","request_id":"4f0c","tls":"","reason":"",)"
              R"("user_agent":"iPXE/1.21.1","referer":""})"
              "\n");
}

TEST(AccessLogFormat, json_of_a_request_that_got_no_response_and_no_server) {
    AccessRecord record;
    record.reason = Reason::client_aborted;
    const std::string text = line("json", record);
    EXPECT_NE(text.find(R"("time":"1970-01-01T00:00:00.000Z")"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("status":null)"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("upstream_duration":null,"attempts":0)"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("reason":"client_aborted")"), std::string::npos) << text;
}

TEST(AccessLogFormat, every_placeholder_stands_for_its_value) {
    AccessRecord record = some_record();
    record.cache = "hit";
    record.tls = "TLSv1.3";
    record.reason = Reason::upstream_reset;
    record.referer = "http://x/";
    std::string format;
    for (const std::string_view name : access_log_placeholders()) format.append("{").append(name).append("} ");
    EXPECT_EQ(line(format, record),
              "2026-01-31T23:59:07.045Z 10.1.2.3 GET nsboot.example.com /images/vmlinuz?size=20M HTTP/1.1 206 312 "
              "20971520 1.234567 nsboot-1 1.200000 2 hit images 4f0c TLSv1.3 upstream_reset iPXE/1.21.1 http://x/ \n");
}

TEST(AccessLogFormat, a_template_shows_what_is_absent_as_a_dash) {
    EXPECT_EQ(line("{client}|{status}|{upstream_duration}|{reason}|{user_agent}", AccessRecord{}), "-|-|-|-|-\n");
}

TEST(AccessLogFormat, braces_around_anything_but_a_word_are_themselves) {
    EXPECT_EQ(line(R"({"c": "{client}", "n": {status}} { {} {A} } {)", some_record()),
              R"({"c": "10.1.2.3", "n": 206} { {} {A} } {)"
              "\n");
    EXPECT_EQ(line("no placeholder", some_record()), "no placeholder\n");
    EXPECT_EQ(line("{client", some_record()), "{client\n");
    EXPECT_EQ(line("{", some_record()), "{\n");
}

TEST(AccessLogFormat, an_unknown_word_is_an_error_that_names_it) {
    const auto parsed = AccessLogFormat::parse("{client} {clinet}");
    ASSERT_FALSE(parsed.has_value());
    EXPECT_NE(parsed.error().find("{clinet}"), std::string::npos) << parsed.error();
    EXPECT_FALSE(AccessLogFormat::parse("{common_time}").has_value());
}

TEST(AccessLogFormat, nothing_the_client_sends_makes_a_second_line_or_leaves_its_quotes) {
    AccessRecord record = some_record();
    std::string everything;
    for (int byte = 0; byte < 256; ++byte) everything += static_cast<char>(byte);
    record.method = record.uri = record.host = record.user_agent = record.referer = record.request_id = everything;
    const auto harmless = line("combined", some_record());
    for (const std::string_view format : {"json", "combined", "{uri}"}) {
        const std::string text = line(format, record);
        EXPECT_EQ(std::ranges::count(text, '\n'), 1) << format;
        EXPECT_TRUE(std::ranges::none_of(text.substr(0, text.size() - 1), [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        })) << format;
    }
    EXPECT_EQ(std::ranges::count(line("combined", record), '"'), std::ranges::count(harmless, '"'));
}

TEST(AccessLogFormat, no_line_is_longer_than_promised) {
    AccessRecord record = some_record();
    const std::string huge(100'000, '\n');
    record.client = record.method = record.host = record.uri = record.protocol = record.server = huge;
    record.cache = record.route = record.request_id = record.tls = record.user_agent = record.referer = huge;
    record.bytes_received = record.bytes_sent = ~std::uint64_t{0};
    record.duration = record.upstream_duration = std::chrono::nanoseconds::max();
    record.attempts = ~0U;
    record.reason = Reason::upstream_header_too_large;
    for (const std::string_view format : {"json", "combined"}) {
        const std::size_t promised = AccessLogFormat::parse(format)->longest_line_bytes();
        EXPECT_LE(line(format, record).size(), promised);
        EXPECT_LT(promised, 64U * 1024);
    }
}

TEST(TimeText, follows_the_second) {
    TimeText time;
    const auto day = std::chrono::sys_days{std::chrono::year{2024} / 2 / 29};
    time.set(day + 23h + 59min + 59s);
    EXPECT_EQ(time.iso(), "2024-02-29T23:59:59");
    EXPECT_EQ(time.common(), "29/Feb/2024:23:59:59 +0000");
    time.set(day + 24h);
    EXPECT_EQ(time.iso(), "2024-03-01T00:00:00");
    EXPECT_EQ(time.common(), "01/Mar/2024:00:00:00 +0000");
}

}  // namespace
}  // namespace nsboot_lb::observe
