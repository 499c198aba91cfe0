#include "nsboot_lb/http/h1/output.hpp"

#include <string>

#include <gtest/gtest.h>

#include "nsboot_lb/http/h1/parse.hpp"

namespace nsboot_lb::http::h1 {
namespace {

/// The fields of a request with these lines, as they would go out again; `drop` names those that do not.
std::string sent_on(const std::string& lines, std::initializer_list<std::string_view> drop = {}) {
    const auto bytes = "GET / HTTP/1.0\r\n" + lines + "\r\n";
    RequestHead head;
    HeadError error;
    EXPECT_EQ(parse_request(bytes, {}, head, error), Parsed::complete) << error.text;
    for (auto& field : head.fields) {
        for (const auto name : drop) field.dropped = field.dropped || field.name == name;
    }
    Output out;
    out.append_fields(head.fields);
    return std::string(out.text());
}

TEST(OutputFields, GoOutAsTheyCame) {
    const std::string lines = "A: 1\r\nB: 2\r\nb:  3\r\nC:4\r\nD: 5 \r\nE:\r\nF: \r\nG: 6\r\n";
    EXPECT_EQ(sent_on(lines), "A: 1\r\nB: 2\r\nb: 3\r\nC: 4\r\nD: 5\r\nE: \r\nF: \r\nG: 6\r\n");
}

TEST(OutputFields, WithoutThoseThatAreDropped) {
    const std::string lines = "A: 1\r\nB: 2\r\nC: 3\r\nD:4\r\nE: 5\r\n";
    EXPECT_EQ(sent_on(lines, {"A"}), "B: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n");
    EXPECT_EQ(sent_on(lines, {"B"}), "A: 1\r\nC: 3\r\nD: 4\r\nE: 5\r\n");
    EXPECT_EQ(sent_on(lines, {"B", "C"}), "A: 1\r\nD: 4\r\nE: 5\r\n");
    EXPECT_EQ(sent_on(lines, {"C", "D"}), "A: 1\r\nB: 2\r\nE: 5\r\n");
    EXPECT_EQ(sent_on(lines, {"E"}), "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n");
    EXPECT_EQ(sent_on(lines, {"A", "B", "C", "D", "E"}), "");
}

TEST(OutputFields, OfEveryMixOfDroppedAndKeptAreTheKeptOnes) {
    constexpr std::size_t count = 8;
    std::string lines;
    for (std::size_t i = 0; i < count; ++i)
        lines += std::string(1, static_cast<char>('A' + i)) + (i % 3 == 2 ? ":v\r\n" : ": v\r\n");
    const auto bytes = "GET / HTTP/1.0\r\n" + lines + "\r\n";
    for (unsigned kept = 0; kept < 1U << count; ++kept) {
        RequestHead head;
        HeadError error;
        ASSERT_EQ(parse_request(bytes, {}, head, error), Parsed::complete);
        std::string wanted;
        for (std::size_t i = 0; i < count; ++i) {
            head.fields[i].dropped = (kept >> i & 1U) == 0;
            if (!head.fields[i].dropped) wanted += std::string(head.fields[i].name) + ": v\r\n";
        }
        Output out;
        out.append_fields(head.fields);
        EXPECT_EQ(out.text(), wanted) << kept;
    }
}

TEST(Output, TakesTextsOfEveryLength) {
    const std::string text = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    Output out;
    std::string wanted;
    for (std::size_t size = 0; size <= text.size(); ++size) {
        const auto part = std::string_view{text}.substr(text.size() - size);
        out.append(part);
        out.append({part, "|", part});
        wanted.append(part).append(part).append("|").append(part);
    }
    EXPECT_EQ(out.text(), wanted);
}

TEST(Output, GrowsWithWhatIsAppended) {
    Output out;
    std::string wanted;
    for (int i = 0; i < 10'000; ++i) {
        out.append("abc");
        out.append_number(static_cast<std::uint64_t>(i));
        out.append_field("Name", "value");
        wanted += "abc" + std::to_string(i) + "Name: value\r\n";
    }
    EXPECT_EQ(out.text(), wanted);
    out.clear();
    EXPECT_EQ(out.text(), "");
    out.append_number(UINT64_MAX);
    out.append(std::string_view{});
    out.append(" ");
    out.append_number(0xbeef, 16);
    EXPECT_EQ(out.text(), "18446744073709551615 beef");
}

}  // namespace
}  // namespace nsboot_lb::http::h1
