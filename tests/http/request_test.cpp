// The rules of a request head: what is refused and with which status, what is worked out of what is accepted. A head
// never changes its mind with the bytes that follow.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nsboot_lb/http/field_names.hpp"
#include "nsboot_lb/http/h1/parse.hpp"

namespace nsboot_lb::http::h1 {
namespace {

using observe::Reason;
using namespace std::string_literals;

struct Outcome {
    Parsed parsed = Parsed::incomplete;
    RequestHead head;
    HeadError error;
};

Outcome parse(std::string_view bytes, const HeadLimits& limits = {}) {
    Outcome outcome;
    outcome.parsed = parse_request(bytes, limits, outcome.head, outcome.error);
    return outcome;
}

/// For targets that are made and not received, which a head that is moved would lose.
std::unique_ptr<Outcome> parse_where_it_stays(std::string_view bytes) {
    auto outcome = std::make_unique<Outcome>();
    outcome->parsed = parse_request(bytes, {}, outcome->head, outcome->error);
    return outcome;
}

struct Refused {
    std::string name;
    std::string head;
    int status;
    Reason reason;
};

class RefusedRequest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedRequest, IsAnsweredWithItsStatusAndReason) {
    const auto& wanted = GetParam();
    const auto outcome = parse(wanted.head);
    ASSERT_EQ(outcome.parsed, Parsed::failed);
    EXPECT_EQ(outcome.error.status, wanted.status);
    EXPECT_EQ(outcome.error.reason, wanted.reason);
    EXPECT_FALSE(outcome.error.text.empty());
}

TEST_P(RefusedRequest, IsNotAcceptedInPartAndNotForgivenLater) {
    const auto& head = GetParam().head;
    bool failed = false;
    for (std::size_t size = 0; size <= head.size(); ++size) {
        const auto parsed = parse(std::string_view{head}.substr(0, size)).parsed;
        EXPECT_NE(parsed, Parsed::complete) << "after " << size << " bytes";
        EXPECT_TRUE(!failed || parsed == Parsed::failed) << "forgiven after " << size << " bytes";
        failed = parsed == Parsed::failed;
    }
}

/// A request that is fine but for one line, which stands behind a good Host.
std::string with_line(std::string_view line) {
    return "POST /a HTTP/1.1\r\nHost: a.test\r\n" + std::string(line) + "\r\n\r\n";
}
std::string with_request_line(std::string_view line) {
    return std::string(line) + "\r\nHost: a.test\r\n\r\n";
}

Refused line(std::string name, std::string_view text, int status, Reason reason) {
    return {std::move(name), with_line(text), status, reason};
}
Refused request_line(std::string name, std::string_view text, int status, Reason reason) {
    return {std::move(name), with_request_line(text), status, reason};
}
Refused whole(std::string name, std::string text, int status, Reason reason) {
    return {std::move(name), std::move(text), status, reason};
}

std::string name_of(const testing::TestParamInfo<Refused>& info) {
    return info.param.name;
}

// RFC 9112 6: the numbers are the rows of the list of behaviours in docs/.
const Refused framing[] = {
    line("both_framings", "Content-Length: 5\r\nTransfer-Encoding: chunked", 400, Reason::bad_framing),
    line("both_framings_in_the_other_order", "Transfer-Encoding: chunked\r\nContent-Length: 5", 400,
         Reason::bad_framing),
    line("length_with_sign", "Content-Length: +5", 400, Reason::bad_framing),
    line("negative_length", "Content-Length: -5", 400, Reason::bad_framing),
    line("hexadecimal_length", "Content-Length: 0x5", 400, Reason::bad_framing),
    line("decimal_fraction", "Content-Length: 5.0", 400, Reason::bad_framing),
    line("exponent", "Content-Length: 1e1", 400, Reason::bad_framing),
    line("underscore_in_length", "Content-Length: 1_0", 400, Reason::bad_framing),
    line("no_length", "Content-Length:", 400, Reason::bad_framing),
    line("blank_length", "Content-Length:  ", 400, Reason::bad_framing),
    line("space_in_length", "Content-Length: 1 0", 400, Reason::bad_framing),
    line("nul_behind_length", "Content-Length: 5\0"s, 400, Reason::bad_header),
    line("vertical_tab_before_length", "Content-Length: \v5", 400, Reason::bad_header),
    line("length_of_2_to_the_63", "Content-Length: 9223372036854775808", 400, Reason::bad_framing),
    line("length_of_2_to_the_64", "Content-Length: 18446744073709551616", 400, Reason::bad_framing),
    line("two_lengths", "Content-Length: 5\r\nContent-Length: 6", 400, Reason::bad_framing),
    line("two_equal_lengths", "Content-Length: 5\r\nContent-Length: 5", 400, Reason::bad_framing),
    line("list_of_lengths", "Content-Length: 5, 6", 400, Reason::bad_framing),
    line("list_of_equal_lengths", "Content-Length: 5, 5", 400, Reason::bad_framing),
    line("unknown_coding_before_chunked", "Transfer-Encoding: gzip, chunked", 501, Reason::unknown_transfer_coding),
    line("unknown_coding_in_another_field", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 501,
         Reason::unknown_transfer_coding),
    line("chunked_not_last", "Transfer-Encoding: chunked, gzip", 400, Reason::bad_framing),
    line("no_chunked", "Transfer-Encoding: gzip", 400, Reason::bad_framing),
    line("identity", "Transfer-Encoding: identity", 400, Reason::bad_framing),
    line("chunked_twice", "Transfer-Encoding: chunked, chunked", 400, Reason::bad_framing),
    line("chunked_in_two_fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400, Reason::bad_framing),
    line("quoted_chunked", "Transfer-Encoding: \"chunked\"", 400, Reason::bad_framing),
    line("chunked_with_parameter", "Transfer-Encoding: chunked;q=1", 400, Reason::bad_framing),
    line("almost_chunked", "Transfer-Encoding: xchunked", 400, Reason::bad_framing),
    line("no_coding", "Transfer-Encoding:", 400, Reason::bad_framing),
    line("empty_element", "Transfer-Encoding: ,chunked", 400, Reason::bad_framing),
    line("control_in_coding",
         "Transfer-Encoding: \x0b"
         "chunked",
         400, Reason::bad_header),
    whole("chunked_in_1_0", "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
          Reason::bad_framing),
};
INSTANTIATE_TEST_SUITE_P(Framing, RefusedRequest, testing::ValuesIn(framing), name_of);

const Refused fields[] = {
    line("space_before_colon", "X-A : b", 400, Reason::bad_header),
    line("tab_before_colon", "X-A\t: b", 400, Reason::bad_header),
    line("folding_with_space", "X-A: b\r\n c", 400, Reason::bad_header),
    line("folding_with_tab", "X-A: b\r\n\tc", 400, Reason::bad_header),
    line("folding_of_the_first_field", " X-A: b", 400, Reason::bad_header),
    line("nul_in_value", "X-A: b\0c"s, 400, Reason::bad_header),
    line("bare_cr_in_value", "X-A: b\rc", 400, Reason::bad_header),
    line("bell_in_value", "X-A: b\ac", 400, Reason::bad_header),
    line("escape_far_into_a_value", "X-A: 0123456789abcdef0123456789abcdef\x1b", 400, Reason::bad_header),
    line("delete_in_value", "X-A: b\x7f", 400, Reason::bad_header),
    line("no_colon", "X-A", 400, Reason::bad_header),
    line("no_name", ": b", 400, Reason::bad_header),
    line("space_in_name", "X A: b", 400, Reason::bad_header),
    line("at_sign_in_name", "X@A: b", 400, Reason::bad_header),
    line("brackets_in_a_long_name", "X-A-name-of-more-than-sixteen(bytes): b", 400, Reason::bad_header),
    line("eighth_bit_in_name", "X-\xc3\xa4: b", 400, Reason::bad_header),
    line("nul_in_name", "X\0A: b"s, 400, Reason::bad_header),
    line("bare_lf_behind_field", "X-A: b\nX-C: d", 400, Reason::bad_header),
    whole("bare_lf_at_the_end", "GET / HTTP/1.1\r\nHost: a.test\r\n\n", 400, Reason::bad_header),
    whole("bare_lf_behind_the_request_line", "GET / HTTP/1.1\nHost: a.test\r\n\r\n", 400, Reason::bad_request_line),
    whole("folded_host", "GET / HTTP/1.1\r\nHost: a.test\r\n Content-Length: 5\r\n\r\n", 400, Reason::bad_header),
    line("connection_option_that_is_no_token", "Connection: close, \"x\"", 400, Reason::bad_header),
    line("unknown_expectation", "Expect: 200-ok", 417, Reason::unknown_expectation),
    line("several_expectations", "Expect: 100-continue, x", 417, Reason::unknown_expectation),
};
INSTANTIATE_TEST_SUITE_P(Fields, RefusedRequest, testing::ValuesIn(fields), name_of);

const Refused request_lines[] = {
    request_line("two_spaces_before_target", "GET  / HTTP/1.1", 400, Reason::bad_request_line),
    request_line("two_spaces_before_version", "GET /  HTTP/1.1", 400, Reason::bad_request_line),
    request_line("space_behind_version", "GET / HTTP/1.1 ", 400, Reason::bad_request_line),
    request_line("space_before_method", " GET / HTTP/1.1", 400, Reason::bad_request_line),
    request_line("tab_before_target", "GET\t/ HTTP/1.1", 400, Reason::bad_request_line),
    request_line("tab_in_target", "GET /a\tb HTTP/1.1", 400, Reason::bad_request_line),
    request_line("space_in_target", "GET /a b HTTP/1.1", 400, Reason::bad_request_line),
    request_line("nul_in_target", "GET /a\0b HTTP/1.1"s, 400, Reason::bad_request_line),
    request_line("delete_in_target", "GET /a\x7f HTTP/1.1", 400, Reason::bad_request_line),
    request_line("octet_ff_in_target", "GET /a\xff HTTP/1.1", 400, Reason::bad_request_line),
    request_line("octet_80_far_into_a_target", "GET /0123456789abcdef\x80 HTTP/1.1", 400, Reason::bad_request_line),
    request_line("brackets_in_method", "G(T / HTTP/1.1", 400, Reason::bad_request_line),
    request_line("no_version", "GET /", 400, Reason::bad_request_line),
    request_line("no_target", "GET HTTP/1.1", 400, Reason::bad_request_line),
    request_line("small_version", "GET / http/1.1", 400, Reason::bad_request_line),
    request_line("version_1_10", "GET / HTTP/1.10", 400, Reason::bad_request_line),
    request_line("version_01_1", "GET / HTTP/01.1", 400, Reason::bad_request_line),
    request_line("version_1", "GET / HTTP/1", 400, Reason::bad_request_line),
    request_line("other_protocol", "GET / HTTPS/1.1", 400, Reason::bad_request_line),
    request_line("version_0_9", "GET / HTTP/0.9", 505, Reason::bad_version),
    request_line("version_2_0", "GET / HTTP/2.0", 505, Reason::bad_version),
    request_line("version_9_9", "GET / HTTP/9.9", 505, Reason::bad_version),
    whole("three_empty_lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400, Reason::bad_request_line),
    whole("endless_method", std::string(65, 'A') + " / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400,
          Reason::bad_request_line),
    request_line("encoded_nul", "GET /a%00b HTTP/1.1", 400, Reason::bad_target),
    request_line("encoded_nul_in_query", "GET /a?b=%00 HTTP/1.1", 400, Reason::bad_target),
    request_line("fragment", "GET /a#b HTTP/1.1", 400, Reason::bad_target),
    request_line("asterisk_with_get", "GET * HTTP/1.1", 400, Reason::bad_target),
    request_line("relative_target", "GET a HTTP/1.1", 400, Reason::bad_target),
    request_line("scheme_that_is_not_http", "GET ftp://a.test/ HTTP/1.1", 400, Reason::bad_target),
    request_line("user_in_target", "GET http://user@a.test/ HTTP/1.1", 400, Reason::bad_target),
    request_line("no_authority", "GET http:///a HTTP/1.1", 400, Reason::bad_target),
};
INSTANTIATE_TEST_SUITE_P(RequestLines, RefusedRequest, testing::ValuesIn(request_lines), name_of);

Refused host(std::string name, std::string_view text) {
    return {std::move(name), "GET / HTTP/1.1\r\n" + std::string(text) + "\r\n", 400, Reason::bad_host};
}

const Refused hosts[] = {
    host("missing", ""),
    host("twice", "Host: a.test\r\nHost: b.test\r\n"),
    host("twice_the_same", "Host: a.test\r\nHost: a.test\r\n"),
    host("empty", "Host:\r\n"),
    host("with_user", "Host: user@a.test\r\n"),
    host("with_path", "Host: a.test/b\r\n"),
    host("list", "Host: a.test, b.test\r\n"),
    host("with_space", "Host: a.test b\r\n"),
    host("port_that_is_no_number", "Host: a.test:8o\r\n"),
    host("port_too_large", "Host: a.test:65536\r\n"),
    host("two_ports", "Host: a.test:80:80\r\n"),
    host("unclosed_bracket", "Host: [::1\r\n"),
    host("empty_brackets", "Host: []\r\n"),
    host("text_behind_brackets", "Host: [::1]a\r\n"),
    host("percent_without_digits", "Host: a%2.test\r\n"),
    host("percent_at_the_end", "Host: a.test%\r\n"),
    host("eighth_bit", "Host: \xc3\xa4.test\r\n"),
};
INSTANTIATE_TEST_SUITE_P(Hosts, RefusedRequest, testing::ValuesIn(hosts), name_of);

TEST(RequestHost, OfHttp10MayBeMissingButNotRepeated) {
    EXPECT_EQ(parse("GET / HTTP/1.0\r\n\r\n").parsed, Parsed::complete);
    EXPECT_EQ(parse("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").parsed, Parsed::failed);
}

TEST(RequestHost, TakesNamesAddressesAndPorts) {
    for (const auto good : {"a", "a.test", "a.test:80", "a.test:", "192.0.2.1:8080", "[::1]", "[2001:db8::1]:443",
                            "xn--4ca.test", "%c3%A4.test", "a_b.test", "a.test:65535"})
        EXPECT_TRUE(is_valid_host(good)) << good;
}

// ---- What is accepted

RequestHead accepted(std::string_view bytes) {
    auto outcome = parse(bytes);
    EXPECT_EQ(outcome.parsed, Parsed::complete) << bytes << ": " << outcome.error.text;
    return std::move(outcome.head);
}

constexpr std::string_view usual =
    "POST /images/a%2Fb/../c?x=1&y=?z HTTP/1.1\r\n"
    "Host: boot.test:8080\r\n"
    "User-Agent: iPXE/1.21.1\r\n"
    "Connection: keep-alive, X-Private\r\n"
    "X-Private: yes\r\n"
    "X-Empty:\r\n"
    "X-Tight:value\r\n"
    "X-Wide: \t value \t\r\n"
    "Content-Length: 12\r\n"
    "\r\n";

void expect_usual(const RequestHead& head) {
    EXPECT_EQ(head.method, Method::post);
    EXPECT_EQ(head.method_text, "POST");
    EXPECT_EQ(head.target, "/images/a%2Fb/../c?x=1&y=?z");
    EXPECT_EQ(head.origin_target, head.target);
    EXPECT_EQ(head.path, "/images/a%2Fb/../c");
    EXPECT_EQ(head.query, "x=1&y=?z");
    EXPECT_EQ(head.host, "boot.test:8080");
    EXPECT_EQ(head.minor_version, 1);
    EXPECT_EQ(head.framing, Framing::length);
    EXPECT_EQ(head.content_length, 12U);
    EXPECT_TRUE(head.keep_alive);
    ASSERT_EQ(head.fields.size(), 8U);
    EXPECT_EQ(head.value(FieldId::user_agent), "iPXE/1.21.1");
    EXPECT_EQ(head.find("x-wide")->value, "value");
    EXPECT_EQ(head.find("X-EMPTY")->value, "");
    EXPECT_EQ(head.find("x-none"), nullptr);
    EXPECT_EQ(head.bytes, usual);
}

TEST(Request, IsReadIntoItsParts) {
    expect_usual(accepted(usual));
}

TEST(Request, IsIncompleteUntilItsLastByteAndThenTheSame) {
    RequestHead head;
    HeadError error;
    for (std::size_t size = 0; size < usual.size(); ++size)
        ASSERT_EQ(parse_request(usual.substr(0, size), {}, head, error), Parsed::incomplete) << size;
    ASSERT_EQ(parse_request(usual, {}, head, error), Parsed::complete);
    expect_usual(head);
}

TEST(Request, EndsAtItsEmptyLineWhateverFollows) {
    expect_usual(accepted(std::string(usual) + "GET / HTTP/9.9\r\n\n\0"s));
}

TEST(Request, MayHaveTwoEmptyLinesInFront) {
    const auto head = accepted("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nX");
    EXPECT_EQ(head.method, Method::get);
    EXPECT_TRUE(head.bytes.ends_with("\r\n\r\n"));
}

TEST(Request, KnowsWhichLinesMayBeCopiedAsTheyAre) {
    const auto head = accepted(usual);
    EXPECT_TRUE(head.find("Host")->canonical);
    EXPECT_FALSE(head.find("X-Empty")->canonical);
    EXPECT_FALSE(head.find("X-Tight")->canonical);
    EXPECT_FALSE(head.find("X-Wide")->canonical);
}

struct MethodCase {
    std::string_view text;
    Method method;
};

TEST(RequestMethod, IsCaseSensitiveAndMayBeAnyToken) {
    for (const auto& [text, method] :
         {MethodCase{"GET", Method::get}, MethodCase{"HEAD", Method::head}, MethodCase{"PUT", Method::put},
          MethodCase{"DELETE", Method::delete_}, MethodCase{"PATCH", Method::patch}, MethodCase{"TRACE", Method::trace},
          MethodCase{"get", Method::other}, MethodCase{"PURGE", Method::other},
          MethodCase{"M-SEARCH", Method::other}}) {
        const auto bytes = std::string(text) + " / HTTP/1.1\r\nHost: a\r\n\r\n";
        const auto head = accepted(bytes);
        EXPECT_EQ(head.method, method) << text;
        EXPECT_EQ(head.method_text, text);
    }
}

TEST(RequestMethod, ConnectIsReadSoThatItCanBeRefused) {
    const auto head = accepted("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
    EXPECT_EQ(head.method, Method::connect);
    EXPECT_EQ(head.origin_target, "");
}

struct TargetCase {
    std::string_view line;
    std::string_view origin_target;
    std::string_view path;
    std::string_view query;
    std::string_view host;
};

TEST(RequestTarget, IsSentOnByteForByteInOriginForm) {
    const TargetCase cases[] = {
        {"GET / HTTP/1.1", "/", "/", "", "h.test"},
        {"GET //a/./b\\c%2f%zz HTTP/1.1", "//a/./b\\c%2f%zz", "//a/./b\\c%2f%zz", "", "h.test"},
        {"GET /a? HTTP/1.1", "/a?", "/a", "", "h.test"},
        {"GET /a?b?c HTTP/1.1", "/a?b?c", "/a", "b?c", "h.test"},
        {"GET http://a.test/b?c HTTP/1.1", "/b?c", "/b", "c", "a.test"},
        {"GET HTTPS://a.test:1 HTTP/1.1", "/", "/", "", "a.test:1"},
        {"OPTIONS * HTTP/1.1", "*", "*", "", "h.test"},
        {"OPTIONS http://a.test HTTP/1.1", "*", "*", "", "a.test"},
        {"OPTIONS http://a.test/ HTTP/1.1", "/", "/", "", "a.test"},
    };
    for (const auto& wanted : cases) {
        const auto bytes = std::string(wanted.line) + "\r\nHost: h.test\r\n\r\n";
        const auto head = accepted(bytes);
        EXPECT_EQ(head.origin_target, wanted.origin_target) << wanted.line;
        EXPECT_EQ(head.path, wanted.path) << wanted.line;
        EXPECT_EQ(head.query, wanted.query) << wanted.line;
        EXPECT_EQ(head.host, wanted.host) << wanted.line;
    }
}

TEST(RequestTarget, GetsThePathThatAnAbsoluteFormMayLackBeforeItsQuery) {
    const auto outcome = parse_where_it_stays("GET http://a.test?b=c HTTP/1.1\r\nHost: a.test\r\n\r\n");
    EXPECT_EQ(outcome->head.origin_target, "/?b=c");
    EXPECT_EQ(outcome->head.path, "/");
    EXPECT_EQ(outcome->head.query, "b=c");
}

TEST(RequestFraming, IsKeptForEveryMethod) {
    for (const auto method : {"GET", "HEAD", "DELETE", "OPTIONS"}) {
        const auto with_length = std::string(method) + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        EXPECT_EQ(accepted(with_length).framing, Framing::length) << method;
        const auto chunked = std::string(method) + " / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChunKed\r\n\r\n";
        EXPECT_EQ(accepted(chunked).framing, Framing::chunked) << method;
    }
}

TEST(RequestFraming, OfNoBytesIsNone) {
    EXPECT_EQ(accepted("GET / HTTP/1.1\r\nHost: a\r\n\r\n").framing, Framing::none);
    EXPECT_EQ(accepted("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").framing, Framing::none);
}

TEST(RequestFraming, TakesTheLargestLength) {
    const auto head = accepted("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n");
    EXPECT_EQ(head.content_length, 9223372036854775807U);
}

/// The names of the fields that would be sent on.
std::vector<std::string> crossing(const RequestHead& head) {
    std::vector<std::string> names;
    for (const auto& field : head.fields) {
        if (!field.dropped) names.emplace_back(field.name);
    }
    return names;
}

TEST(RequestFields, ThatBelongToTheConnectionDoNotCross) {
    const auto head = accepted(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-One , close,,x-two\r\nX-One: 1\r\nX-TWO: 2\r\nX-Three: 3\r\n"
        "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAMAAABkAAQ\r\n\r\n");
    EXPECT_THAT(crossing(head), testing::ElementsAre("Host", "X-Three"));
}

TEST(RequestFields, ThatFrameOrRouteStayThoughConnectionNamesThem) {
    const auto head =
        accepted("POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length, Host\r\nContent-Length: 3\r\n\r\n");
    EXPECT_THAT(crossing(head), testing::ElementsAre("Host", "Content-Length"));
    EXPECT_EQ(head.content_length, 3U);
}

TEST(RequestFields, WithUnderscoresDoNotCross) {
    const auto head = accepted(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent_Length: 7\r\nX_Y: z\r\nX-Y: z\r\n\r\n");
    EXPECT_THAT(crossing(head), testing::ElementsAre("Host", "X-Y"));
    EXPECT_EQ(head.framing, Framing::none);
}

TEST(RequestConnection, StaysOpenByVersionAndWish) {
    const auto keeps = [](std::string_view version, std::string_view connection) {
        const auto bytes = "GET / " + std::string(version) + "\r\nHost: a\r\n" + std::string(connection) + "\r\n";
        return accepted(bytes).keep_alive;
    };
    EXPECT_TRUE(keeps("HTTP/1.1", ""));
    EXPECT_FALSE(keeps("HTTP/1.1", "Connection: CLOSE\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.0", ""));
    EXPECT_TRUE(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

TEST(RequestConnection, HasABoundedNumberOfOptions) {
    std::string options = "a";
    for (int i = 0; i < 31; ++i) options += ", a";
    EXPECT_EQ(parse(with_line("Connection: " + options)).parsed, Parsed::complete);
    EXPECT_EQ(parse(with_line("Connection: " + options + ", a")).error.reason, Reason::bad_header);
}

TEST(RequestUpgrade, CountsIfConnectionNamesIt) {
    const auto kind = [](std::string_view lines, std::string_view version = "HTTP/1.1") {
        const auto bytes = "GET /ws " + std::string(version) + "\r\nHost: a\r\n" + std::string(lines) + "\r\n";
        return accepted(bytes).upgrade;
    };
    EXPECT_EQ(kind("Connection: Upgrade\r\nUpgrade: WebSocket\r\n"), UpgradeKind::websocket);
    EXPECT_EQ(kind("Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n"), UpgradeKind::websocket);
    EXPECT_EQ(kind("Connection: Upgrade\r\nUpgrade: h2c\r\n"), UpgradeKind::other);
    EXPECT_EQ(kind("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"), UpgradeKind::other);
    EXPECT_EQ(kind("Upgrade: websocket\r\n"), UpgradeKind::none);
    EXPECT_EQ(kind("Connection: Upgrade\r\n"), UpgradeKind::none);
    EXPECT_EQ(kind("Connection: Upgrade\r\nUpgrade: websocket\r\n", "HTTP/1.0"), UpgradeKind::none);
}

TEST(RequestSemantics, AreReadFromTheirFields) {
    const auto head = accepted(with_line("Expect: 100-Continue\r\nTE: gzip, Trailers\r\nMax-Forwards: 7"));
    EXPECT_TRUE(head.expect_continue);
    EXPECT_TRUE(head.accepts_trailers);
    EXPECT_EQ(head.max_forwards, 7U);
    const auto old = accepted("POST / HTTP/1.0\r\nExpect: 100-continue\r\nMax-Forwards: 7x\r\n\r\n");
    EXPECT_FALSE(old.expect_continue);
    EXPECT_FALSE(old.accepts_trailers);
    EXPECT_EQ(old.max_forwards, std::nullopt);
}

TEST(RequestReuse, ForgetsTheHeadBefore) {
    auto outcome = parse(usual);
    HeadError error;
    ASSERT_EQ(parse_request("GET / HTTP/1.0\r\n\r\n", {}, outcome.head, error), Parsed::complete);
    EXPECT_TRUE(outcome.head.fields.empty());
    EXPECT_TRUE(outcome.head.host.empty());
    EXPECT_EQ(outcome.head.framing, Framing::none);
    EXPECT_EQ(outcome.head.content_length, 0U);
}

// ---- Limits

TEST(RequestLimits, OfTheTarget) {
    const HeadLimits limits{.header_size = 1000, .uri_size = 10, .header_count = 10};
    const auto of_length = [&](std::size_t size) {
        return parse("GET /" + std::string(size - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits);
    };
    EXPECT_EQ(of_length(10).parsed, Parsed::complete);
    EXPECT_EQ(of_length(11).error.status, 414);
    EXPECT_EQ(of_length(11).error.reason, Reason::uri_too_long);
    EXPECT_EQ(parse("GET /" + std::string(10, 'a'), limits).error.status, 414) << "before its end is there";
}

TEST(RequestLimits, OfTheWholeHead) {
    const auto text = with_line("X: " + std::string(200, 'a'));
    const auto limited = [](std::size_t size) { return HeadLimits{size, 100, 10}; };
    EXPECT_EQ(parse(text, limited(text.size())).parsed, Parsed::complete);
    EXPECT_EQ(parse(text + "rest", limited(text.size())).parsed, Parsed::complete) << "what follows does not count";
    EXPECT_EQ(parse(text, limited(text.size() - 1)).error.status, 431);
    const auto unfinished = std::string_view{text}.substr(0, 100);
    EXPECT_EQ(parse(unfinished, limited(99)).error.reason, Reason::header_too_large);
    EXPECT_EQ(parse(unfinished, limited(100)).parsed, Parsed::incomplete);
}

TEST(RequestLimits, OfTheNumberOfFields) {
    const HeadLimits limits{.header_size = 1000, .uri_size = 100, .header_count = 2};
    EXPECT_EQ(parse(with_line("A: b"), limits).parsed, Parsed::complete);
    const auto refused = parse(with_line("A: b\r\nC: d"), limits);
    EXPECT_EQ(refused.error.status, 431);
    EXPECT_EQ(refused.error.reason, Reason::too_many_headers);
}

TEST(RequestScanning, FindsOneBadByteAtEveryPlaceOfALongLine) {
    const std::string value(70, 'v');
    for (std::size_t at = 0; at < value.size(); ++at) {
        auto bad = value;
        bad[at] = '\x01';
        EXPECT_EQ(parse(with_line("X-Name: " + bad)).parsed, Parsed::failed) << at;
        EXPECT_EQ(parse(with_line(bad + ": v")).parsed, Parsed::failed) << at;
        bad[at] = '\t';
        EXPECT_EQ(parse(with_line("X-Name: " + bad)).parsed, Parsed::complete) << at;
        bad[at] = '\xf0';
        EXPECT_EQ(parse(with_line("X-Name: " + bad)).parsed, Parsed::complete) << at;
        EXPECT_EQ(parse(with_request_line("GET /" + bad + " HTTP/1.1")).parsed, Parsed::failed) << at;
    }
}

TEST(RequestScanning, TakesEveryTokenCharacterAtEveryPlaceOfALongName) {
    for (const char c : "!#$%&'*+-.^`|~0aZ"s) {
        for (std::size_t at = 0; at < 40; ++at) {
            std::string name(40, 'n');
            name[at] = c;
            const auto bytes = with_line(name + ": v");
            EXPECT_EQ(accepted(bytes).fields[1].name, name);
        }
    }
}

}  // namespace
}  // namespace nsboot_lb::http::h1
