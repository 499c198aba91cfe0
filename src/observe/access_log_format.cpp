#include "access_log_format.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nsboot_lb::observe {

namespace {

using Field = AccessLogFormat::Field;
using Kind = AccessLogFormat::Kind;

constexpr std::uint32_t uri_bytes = 8192;
constexpr std::uint32_t header_bytes = 2048;
constexpr std::uint32_t name_bytes = 512;
constexpr std::uint32_t number_bytes = 32;

constexpr std::array fields{
    Field{"time", Kind::time, nullptr, number_bytes},
    Field{"client", Kind::text, &AccessRecord::client, name_bytes},
    Field{"method", Kind::text, &AccessRecord::method, name_bytes},
    Field{"host", Kind::text, &AccessRecord::host, name_bytes},
    Field{"uri", Kind::text, &AccessRecord::uri, uri_bytes},
    Field{"protocol", Kind::text, &AccessRecord::protocol, name_bytes},
    Field{"status", Kind::status, nullptr, number_bytes},
    Field{"bytes_received", Kind::bytes_received, nullptr, number_bytes},
    Field{"bytes_sent", Kind::bytes_sent, nullptr, number_bytes},
    Field{"duration", Kind::duration, nullptr, number_bytes},
    Field{"server", Kind::text, &AccessRecord::server, name_bytes},
    Field{"upstream_duration", Kind::upstream_duration, nullptr, number_bytes},
    Field{"attempts", Kind::attempts, nullptr, number_bytes},
    Field{"cache", Kind::text, &AccessRecord::cache, name_bytes},
    Field{"route", Kind::text, &AccessRecord::route, name_bytes},
    Field{"request_id", Kind::text, &AccessRecord::request_id, name_bytes},
    Field{"tls", Kind::text, &AccessRecord::tls, name_bytes},
    Field{"reason", Kind::reason, nullptr, number_bytes},
    Field{"user_agent", Kind::text, &AccessRecord::user_agent, header_bytes},
    Field{"referer", Kind::text, &AccessRecord::referer, header_bytes},
};
constexpr Field common_time{"common_time", Kind::common_time, nullptr, number_bytes};
constexpr Field line_end{"", Kind::line_end, nullptr, 1};

constexpr std::string_view combined =
    R"({client} - - [{common_time}] "{method} {uri} {protocol}" {status} {bytes_sent} "{referer}" "{user_agent}")";

constexpr auto placeholders = [] {
    std::array<std::string_view, fields.size()> names;
    std::transform(fields.begin(), fields.end(), names.begin(), [](const Field& field) { return field.name; });
    return names;
}();

constexpr auto digit_pairs = [] {
    std::array<char, 200> pairs{};
    for (std::size_t i = 0; i < 100; ++i) {
        pairs[2 * i] = static_cast<char>('0' + i / 10);
        pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return pairs;
}();

char* append_two_digits(char* out, std::uint32_t below_100) {
    std::memcpy(out, digit_pairs.data() + 2 * below_100, 2);
    return out + 2;
}

char* append_fixed(char* out, std::string_view text) {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

char* append_number(char* out, std::uint64_t number) {
    return std::to_chars(out, out + number_bytes, number).ptr;
}

/// Seconds with six digits behind the point.
char* append_seconds(char* out, std::chrono::nanoseconds duration) {
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)) / 1000;
    out = append_number(out, us / 1'000'000);
    const auto fraction = static_cast<std::uint32_t>(us % 1'000'000);
    *out++ = '.';
    out = append_two_digits(out, fraction / 10'000);
    out = append_two_digits(out, fraction / 100 % 100);
    return append_two_digits(out, fraction % 100);
}

char* append_time(char* out, const TimeText& time, std::uint32_t milliseconds) {
    out = append_fixed(out, time.iso());
    *out++ = '.';
    *out++ = static_cast<char>('0' + milliseconds / 100);
    out = append_two_digits(out, milliseconds % 100);
    *out++ = 'Z';
    return out;
}

/// What a field that has no value shows.
template <Escape escape>
char* append_absent(char* out) {
    return append_fixed(out, escape == Escape::json ? "null" : "-");
}

template <Escape escape>
char* append_text(char* out, std::string_view text, std::size_t limit) {
    if (text.empty() && escape == Escape::hex) return append_absent<escape>(out);
    return append_escaped<escape>(out, text, limit);
}

/// Whether what stands in braces is meant to be a placeholder; anything else, as in a template of JSON, is itself.
bool is_word(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

std::span<const std::string_view> access_log_placeholders() {
    return placeholders;
}

void TimeText::set(std::chrono::sys_seconds second) {
    if (second == second_) return;
    second_ = second;
    render();
}

void TimeText::render() {
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::chrono::sys_days day = std::chrono::floor<std::chrono::days>(second_);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(second_ - day);
    const auto year = static_cast<std::uint32_t>(std::clamp(int(date.year()), 0, 9999));
    const auto month = static_cast<unsigned>(date.month());
    const auto day_of_month = static_cast<unsigned>(date.day());
    const auto append_year = [year](char* out) {
        return append_two_digits(append_two_digits(out, year / 100), year % 100);
    };
    const auto append_clock = [&clock](char* out) {
        out = append_two_digits(out, static_cast<std::uint32_t>(clock.hours().count()));
        *out++ = ':';
        out = append_two_digits(out, static_cast<std::uint32_t>(clock.minutes().count()));
        *out++ = ':';
        return append_two_digits(out, static_cast<std::uint32_t>(clock.seconds().count()));
    };

    char* out = append_year(iso_.data());
    *out++ = '-';
    out = append_two_digits(out, month);
    *out++ = '-';
    out = append_two_digits(out, day_of_month);
    *out++ = 'T';
    append_clock(out);

    out = append_two_digits(common_.data(), day_of_month);
    *out++ = '/';
    out = append_fixed(out, months.substr(3 * (month - 1), 3));
    *out++ = '/';
    out = append_year(out);
    *out++ = ':';
    out = append_clock(out);
    append_fixed(out, " +0000");
}

std::expected<AccessLogFormat, std::string> AccessLogFormat::parse(std::string_view format) {
    AccessLogFormat parsed;
    if (format == "json") {
        parsed.make_json();
        return parsed;
    }
    const bool is_combined = format == "combined";
    if (const auto made = parsed.make_template(is_combined ? combined : format, is_combined); !made) {
        return std::unexpected(made.error());
    }
    return parsed;
}

void AccessLogFormat::add_step(std::string_view fixed_text, const Field& field) {
    steps_.push_back(
        {static_cast<std::uint32_t>(fixed_text_.size()), static_cast<std::uint32_t>(fixed_text.size()), field});
    fixed_text_ += fixed_text;
    longest_line_bytes_ += fixed_text.size() + field.longest_bytes;
}

void AccessLogFormat::make_json() {
    escape_ = Escape::json;
    std::string before = "{";
    for (const Field& field : fields) {
        const bool in_quotes = field.kind == Kind::text || field.kind == Kind::time || field.kind == Kind::reason;
        before.append("\"").append(field.name).append(in_quotes ? "\":\"" : "\":");
        add_step(before, field);
        before = in_quotes ? "\"," : ",";
    }
    before.back() = '}';
    add_step(before, line_end);
}

std::expected<void, std::string> AccessLogFormat::make_template(std::string_view format, bool with_common_time) {
    std::string before;
    while (!format.empty()) {
        const std::size_t brace = std::min(format.find('{'), format.size());
        before += format.substr(0, brace);
        format.remove_prefix(brace);
        const std::string_view word =
            format.substr(std::min<std::size_t>(1, format.size())).substr(0, format.find('}') - 1);
        if (format.find('}') == std::string_view::npos || !is_word(word)) {
            before += format.substr(0, 1);
            format.remove_prefix(std::min<std::size_t>(1, format.size()));
            continue;
        }
        const auto field = std::ranges::find(fields, word, &Field::name);
        if (field != fields.end()) {
            add_step(before, *field);
        } else if (with_common_time && word == common_time.name) {
            add_step(before, common_time);
        } else {
            return std::unexpected("the access log's template has the unknown placeholder {" + std::string(word) + "}");
        }
        before.clear();
        format.remove_prefix(word.size() + 2);
    }
    add_step(before, line_end);
    return {};
}

char* AccessLogFormat::write(const AccessRecord& record, TimeText& time, char* out) const {
    return escape_ == Escape::json ? write_as<Escape::json>(record, time, out)
                                   : write_as<Escape::hex>(record, time, out);
}

template <Escape escape>
char* AccessLogFormat::write_as(const AccessRecord& record, TimeText& time, char* out) const {
    const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(record.time);
    const auto second = std::chrono::floor<std::chrono::seconds>(since_epoch);
    time.set(second);
    for (const Step& step : steps_) {
        out = append_fixed(out, std::string_view(fixed_text_).substr(step.fixed_begin, step.fixed_bytes));
        switch (step.field.kind) {
            case Kind::text: out = append_text<escape>(out, record.*step.field.text, step.field.longest_bytes); break;
            case Kind::time:
                out = append_time(out, time, static_cast<std::uint32_t>((since_epoch - second).count()));
                break;
            case Kind::common_time: out = append_fixed(out, time.common()); break;
            case Kind::status:
                out = record.status > 0 ? append_number(out, static_cast<std::uint64_t>(record.status))
                                        : append_absent<escape>(out);
                break;
            case Kind::bytes_received: out = append_number(out, record.bytes_received); break;
            case Kind::bytes_sent: out = append_number(out, record.bytes_sent); break;
            case Kind::duration: out = append_seconds(out, record.duration); break;
            case Kind::upstream_duration:
                out = record.attempts > 0 ? append_seconds(out, record.upstream_duration) : append_absent<escape>(out);
                break;
            case Kind::attempts: out = append_number(out, record.attempts); break;
            case Kind::reason: out = append_text<escape>(out, to_string(record.reason), number_bytes); break;
            case Kind::line_end: *out++ = '\n'; break;
        }
    }
    return out;
}

}  // namespace nsboot_lb::observe
