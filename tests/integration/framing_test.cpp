/// Message framing of requests, BEHAVIOURS rows 1 to 21: what a front door must not let through, since a fault here is
/// request smuggling. Bad requests are answered and the connection is closed; nothing of them reaches the origin whole.
#include <gmock/gmock.h>

#include "shared_proxy.hpp"

namespace nsboot_lb::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class FramingTest : public SharedProxy<FramingTest> {
  public:
    static constexpr const char* config = plain_config;

  protected:
    /// A POST with these field lines (each ended by CRLF) and body.
    static std::string post(std::string_view lines, std::string_view body = "") {
        return "POST /upload HTTP/1.1\r\nHost: example.com\r\n" + std::string{lines} + "\r\n" + std::string{body};
    }
    static std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }

    /// Of a streamed body the origin may have seen the beginning, but never the end.
    static void expect_nothing_completed() {
        EXPECT_EQ(exchange(get("/the-only-one")).status(), 200);
        origin().settle();
        int complete = 0;
        for (const Message& request : origin().requests()) complete += request.complete ? 1 : 0;
        EXPECT_EQ(complete, 1);
    }
};

// Row 1
TEST_F(FramingTest, LengthIsGeneratedFromItsValue) {
    EXPECT_EQ(exchange(post("content-length:   0003  \r\nX-Other: kept\r\n", "abc")).status(), 200);

    const Message request = origin().await_request();
    EXPECT_THAT(request.values("Content-Length"), ElementsAre("3"));
    EXPECT_THAT(request.values("Transfer-Encoding"), IsEmpty());
    EXPECT_EQ(request.field("X-Other"), "kept");
    EXPECT_EQ(request.body, "abc");
    EXPECT_THAT(request.raw, Not(HasSubstr("0003")));
}

// Row 1
TEST_F(FramingTest, ChunkHeadersAreGeneratedFromTheirValues) {
    EXPECT_EQ(
        exchange(post("transfer-encoding: CHUNKED\r\n", "0003\r\nabc\r\n0A;x=y\r\n0123456789\r\n000\r\n\r\n")).status(),
        200);

    const Message request = origin().await_request();
    EXPECT_THAT(request.values("Transfer-Encoding"), ElementsAre("chunked"));
    EXPECT_THAT(request.values("Content-Length"), IsEmpty());
    EXPECT_EQ(request.body, "abc0123456789");
    for (const auto& line : request.chunk_lines) {
        EXPECT_THAT(line, testing::MatchesRegex("0|[1-9a-fA-F][0-9a-fA-F]*"));
    }
}

// Row 1
TEST_F(FramingTest, AHeadIsRebuiltFieldByField) {
    EXPECT_EQ(
        exchange("GET /a/b?c=d&e HTTP/1.1\r\nHost: example.com\r\nB:two words\r\na:  \t one \t \r\nEmpty:\r\n\r\n")
            .status(),
        200);

    EXPECT_EQ(own_head(origin().await_request()),
              "GET /a/b?c=d&e HTTP/1.1\r\nHost: example.com\r\nB: two words\r\na: one\r\nEmpty: \r\n\r\n");
}

// Row 2
TEST_F(FramingTest, BothLengthAndTransferEncodingAreRefused) {
    expect_refused(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400);
    expect_refused(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400);
    expect_nothing_forwarded();
}

// Row 3
TEST_F(FramingTest, ALengthThatIsNotDigitsIsRefused) {
    using namespace std::string_literals;
    const std::vector<std::string> values{"+5",
                                          "-5",
                                          "0x5",
                                          "5h",
                                          "1e1",
                                          "5.0",
                                          "5_0",
                                          "",
                                          "5 5",
                                          "\"5\"",
                                          "five",
                                          "5;",
                                          "5\v"s,
                                          "\v5"s,
                                          "5\0"s,
                                          "\0005"s,
                                          "5\f"s,
                                          "0 5",
                                          "९",
                                          "--5",
                                          "0b1",
                                          "9223372036854775808",
                                          "5,",
                                          ",5",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "99999999999999999999999999"};
    for (const auto& value : values) expect_refused(post("Content-Length: " + value + "\r\n", "hello"), 400);
    expect_nothing_forwarded();
}

// Row 4
TEST_F(FramingTest, SeveralLengthsAreRefusedEvenIfEqual) {
    expect_refused(post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400);
    expect_refused(post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400);
    expect_refused(post("Content-Length: 5, 6\r\n", "hello"), 400);
    expect_refused(post("Content-Length: 5, 5\r\n", "hello"), 400);
    expect_refused(post("Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n", "hello"), 400);
    expect_nothing_forwarded();
}

// Row 5
TEST_F(FramingTest, ChunkedIsTheOnlyTransferCoding) {
    using namespace std::string_literals;
    const std::vector<std::string> broken{"chunked, chunked", "chunked, gzip", "\"chunked\"", "",
                                          "chunked\v"s,       "chunked\0"s,    "\fchunked"s,  "chunked chunked",
                                          "chunked, gzip, br"};
    for (const auto& value : broken) expect_refused(post("Transfer-Encoding: " + value + "\r\n", "0\r\n\r\n"), 400);
    expect_refused(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400);
    expect_refused(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "0\r\n\r\n"), 400);

    expect_refused(post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501);
    for (const auto* value : {"gzip", "identity", "xchunked", "chunkedx", "chunked;q=1", ",chunked", "chunked,"}) {
        expect_refused(post("Transfer-Encoding: " + std::string{value} + "\r\n", "0\r\n\r\n"), {400, 501});
    }
    expect_nothing_forwarded();
}

// Row 5
TEST_F(FramingTest, ChunkedMayBeSpelledInAnyCase) {
    EXPECT_EQ(exchange(post("tRANSFER-eNCODING: \t cHuNkEd \r\n", "3\r\nabc\r\n0\r\n\r\n")).status(), 200);
    EXPECT_EQ(origin().await_request().body, "abc");
}

// Row 6
TEST_F(FramingTest, TransferEncodingInAnHttp10RequestIsRefused) {
    expect_refused("POST / HTTP/1.0\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    expect_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", 400);
    expect_nothing_forwarded();
}

// Row 7
TEST_F(FramingTest, AChunkSizeIsHexDigitsOnly) {
    using namespace std::string_literals;
    const std::vector<std::string> sizes{"0x5",
                                         "0X5",
                                         "+5",
                                         "-5",
                                         "5_0",
                                         " 5",
                                         "5 ",
                                         "\t5",
                                         "5\t",
                                         "",
                                         "g",
                                         "5h",
                                         "5\0"s,
                                         "\v5",
                                         "5,5",
                                         "5.",
                                         "5-",
                                         "10000000000000000",
                                         "FFFFFFFFFFFFFFFFF",
                                         "fffffffffffffffff0",
                                         "100000000000000000000000000000005"};
    for (const auto& size : sizes) expect_refused(chunked(size + "\r\nhello\r\n0\r\n\r\n"), 400);
    expect_nothing_completed();
}

// Row 7
TEST_F(FramingTest, ABadChunkSizeBehindGoodOnesIsRefusedToo) {
    expect_refused(chunked("3\r\nabc\r\n0x0\r\n\r\n"), 400);
    expect_refused(chunked("3\r\nabc\r\n 0\r\n\r\n"), 400);
    expect_nothing_completed();
}

// Row 8
TEST_F(FramingTest, ChunkExtensionsAreDropped) {
    EXPECT_EQ(exchange(chunked("3;a;b=c;d=\"e ; \\\" f\"\r\nabc\r\n0;last\r\n\r\n")).status(), 200);

    const Message request = origin().await_request();
    EXPECT_EQ(request.body, "abc");
    EXPECT_THAT(request.raw, Not(HasSubstr(";")));
}

// Row 8
TEST_F(FramingTest, ChunkExtensionsOfBadSyntaxAreRefused) {
    using namespace std::string_literals;
    const std::vector<std::string> extensions{";",       ";=b",     ";a=",       ";a=\0"s,    ";a\0b"s,
                                              ";a=b\rc", ";a=\x01", ";a=b\n;c",  ";a=\"open", ";a=(b)",
                                              ";a(=b",   ";a=b=c",  ";a=\"b\"c", ";a=\x7f",   ";;a"};
    for (const auto& extension : extensions) expect_refused(chunked("3" + extension + "\r\nabc\r\n0\r\n\r\n"), 400);
    expect_nothing_completed();
}

// Row 8
TEST_F(FramingTest, ChunkExtensionsWithoutEndAreRefused) {
    expect_refused(chunked("3;a=" + std::string(65536, 'b') + "\r\nabc\r\n0\r\n\r\n"), 400);

    // Each is short, all together are not.
    std::string many;
    for (int i = 0; i < 200; ++i) many += "1;a=" + std::string(50, 'b') + "\r\nx\r\n";
    expect_refused(chunked(many + "0\r\n\r\n"), 400);
    expect_nothing_completed();
}

// Row 9
TEST_F(FramingTest, ChunkDataAndChunkLinesEndInCrlf) {
    expect_refused(chunked("5\r\nhelloXX0\r\n\r\n"), 400);
    expect_refused(chunked("5\r\nhello world\r\n0\r\n\r\n"), 400);
    expect_refused(chunked("5\nhello\r\n0\r\n\r\n"), 400);
    expect_refused(chunked("5\r\nhello\n0\r\n\r\n"), 400);
    expect_refused(chunked("5\r\nhello\r0\r\n\r\n"), 400);
    expect_refused(chunked("5\rX\nhello\r\n0\r\n\r\n"), 400);
    expect_refused(chunked("5\r\nhello\r\n0\n\n"), 400);
    expect_refused(chunked("5\r\nhello\r\n0\r\n\n"), 400);
    expect_nothing_completed();
}

// Row 10
TEST_F(FramingTest, WhiteSpaceBeforeTheColonIsRefused) {
    expect_refused("GET / HTTP/1.1\r\nHost : example.com\r\n\r\n", 400);
    expect_refused(post("Content-Length : 5\r\n", "hello"), 400);
    expect_refused(post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX : y\r\n\r\n", 400);
    expect_nothing_forwarded();
}

// Row 11
TEST_F(FramingTest, FoldedLinesAreRefused) {
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: a\r\n b\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: a\r\n\tb\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\n Content-Length: 5\r\n\r\nhello", 400);
    expect_refused("GET / HTTP/1.1\r\n Host: example.com\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX:\r\n \r\n\r\n", 400);
    expect_refused(post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400);
    expect_nothing_forwarded();
}

// Row 12
TEST_F(FramingTest, ControlOctetsInValuesAreRefused) {
    for (int octet = 0; octet <= 0x7f; ++octet) {
        if ((octet >= 0x20 && octet < 0x7f) || octet == '\t' || octet == '\n') continue;
        const std::string value = std::string{"a"} + static_cast<char>(octet) + "b";
        expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: " + value + "\r\n\r\n", 400);
    }
    expect_nothing_forwarded();
}

// Row 12
TEST_F(FramingTest, TabsAndOctetsAbove7fInValuesPass) {
    EXPECT_EQ(exchange("GET / HTTP/1.1\r\nHost: example.com\r\nX: a\tb \xc3\xa9 \xff\r\n\r\n").status(), 200);
    EXPECT_EQ(origin().await_request().field("X"), "a\tb \xc3\xa9 \xff");
}

// Row 13
TEST_F(FramingTest, LinesThatAreNotFieldsAreRefused) {
    using namespace std::string_literals;
    const std::vector<std::string> lines{"no colon",   "nocolon",     ": no name",  "two words: x", "paren(: x",
                                         "quote\": x", "\xc3\xa9: x", "nul\0x: y"s, "ctl\x01: x",   "slash/: x",
                                         "semi;: x",   "at@: x",      "=: x",       "{}: x",        "\x7f: x"};
    for (const auto& line : lines) {
        expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\n" + line + "\r\n\r\n", 400);
    }
    expect_nothing_forwarded();
}

// Row 13
TEST_F(FramingTest, EveryCharacterOfATokenMayStandInAName) {
    EXPECT_EQ(exchange("GET / HTTP/1.1\r\nHost: example.com\r\nX!#$%&'*+-.^`|~09aZ: y\r\n\r\n").status(), 200);
    EXPECT_EQ(origin().await_request().field("X!#$%&'*+-.^`|~09aZ"), "y");
}

// Row 14
TEST_F(FramingTest, NamesWithAnUnderscoreAreDropped) {
    EXPECT_EQ(exchange(post("Content_Length: 9\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: 1.2.3.4\r\n_: x\r\n"
                            "X-Kept: y\r\nContent-Length: 3\r\n",
                            "abc"))
                  .status(),
              200);

    const Message request = origin().await_request();
    EXPECT_THAT(request.head, Not(HasSubstr("_")));
    EXPECT_EQ(request.field("X-Kept"), "y");
    EXPECT_EQ(request.body, "abc");
}

// Row 15
TEST_F(FramingTest, AConnectionFieldCannotRemoveFramingOrHost) {
    EXPECT_EQ(exchange(post("Connection: Content-Length, Host\r\nContent-Length: 3\r\n", "abc")).status(), 200);
    EXPECT_EQ(
        exchange(post("Connection: transfer-encoding, host\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"))
            .status(),
        200);

    const Message with_length = origin().await_request(0);
    EXPECT_EQ(with_length.field("Host"), "example.com");
    EXPECT_EQ(with_length.field("Content-Length"), "3");
    EXPECT_EQ(with_length.body, "abc");
    const Message with_chunks = origin().await_request(1);
    EXPECT_EQ(with_chunks.field("Host"), "example.com");
    EXPECT_EQ(with_chunks.field("Transfer-Encoding"), "chunked");
    EXPECT_EQ(with_chunks.body, "abc");
}

// Row 16
TEST_F(FramingTest, AnyMethodMayHaveABody) {
    for (const std::string method : {"GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND"}) {
        SCOPED_TRACE(method);
        origin().start_over();
        exchange(method + " /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\n\r\nabc");
        exchange(method +
                 " /b HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n");

        const Message with_length = origin().await_request(0);
        EXPECT_EQ(with_length.method(), method);
        EXPECT_EQ(with_length.field("Content-Length"), "3");
        EXPECT_EQ(with_length.body, "abc");
        const Message with_chunks = origin().await_request(1);
        EXPECT_EQ(with_chunks.field("Transfer-Encoding"), "chunked");
        EXPECT_EQ(with_chunks.body, "de");
    }
}

// Row 16
TEST_F(FramingTest, ARequestWithoutBodyIsForwardedWithoutFraming) {
    exchange(get("/"));
    const Message request = origin().await_request();
    EXPECT_FALSE(request.has("Content-Length"));
    EXPECT_FALSE(request.has("Transfer-Encoding"));

    // An empty body that was announced stays announced: some servers answer 411 otherwise.
    exchange(post("Content-Length: 0\r\n"));
    EXPECT_EQ(origin().await_request(1).field("Content-Length"), "0");
}

// Row 17
TEST_F(FramingTest, BareLineFeedsAreRefused) {
    expect_refused("GET / HTTP/1.1\nHost: example.com\n\n", 400);
    expect_refused("GET / HTTP/1.1\nHost: example.com\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\nX: a\nY: b\r\n\r\n", 400);
    expect_refused("GET / HTTP/1.1\r\nHost: example.com\r\n\n", 400);
    expect_nothing_forwarded();
}

// Row 18
TEST_F(FramingTest, ARequestLineThatDeviatesIsRefused) {
    using namespace std::string_literals;
    const std::vector<std::string> lines{"GET  / HTTP/1.1",
                                         "GET /  HTTP/1.1",
                                         "GET / HTTP/1.1 ",
                                         "GET\t/ HTTP/1.1",
                                         "GET /\tHTTP/1.1",
                                         "GET /a b HTTP/1.1",
                                         " GET / HTTP/1.1",
                                         "GET /\x01 HTTP/1.1",
                                         "GET /\x7f HTTP/1.1",
                                         "GET /\xff HTTP/1.1",
                                         "GET /\0 HTTP/1.1"s,
                                         "G(T / HTTP/1.1",
                                         "/ HTTP/1.1",
                                         "GET HTTP/1.1",
                                         "GET /",
                                         "GET / ",
                                         "GET / HTTP/1.1\t",
                                         "GET /\rX HTTP/1.1",
                                         "GET",
                                         "\"GET\" / HTTP/1.1",
                                         "GET example HTTP/1.1",
                                         "GET ?a HTTP/1.1",
                                         "G\0T / HTTP/1.1"s,
                                         "GET /\xc3\xa9 HTTP/1.1"};
    for (const auto& line : lines) expect_refused(line + "\r\nHost: example.com\r\n\r\n", 400);
    expect_nothing_forwarded();
}

// Row 18: RFC 9112 2.2 asks to overlook an empty line where a request should begin; old clients send one after a POST.
TEST_F(FramingTest, AnEmptyLineBeforeARequestIsOverlooked) {
    EXPECT_EQ(exchange("\r\n" + get("/a")).status(), 200);
    EXPECT_EQ(origin().await_request().start_line, "GET /a HTTP/1.1");
}

// Row 19
TEST_F(FramingTest, OtherMajorVersionsAreRefused) {
    for (const auto* version : {"HTTP/2.0", "HTTP/9.9", "HTTP/0.9", "HTTP/3.0"}) {
        expect_refused("GET / " + std::string{version} + "\r\nHost: example.com\r\n\r\n", 505);
    }
    expect_nothing_forwarded();
}

// Row 19
TEST_F(FramingTest, MalformedVersionsAreRefused) {
    for (const auto* version :
         {"http/1.1", "HTTP/1.10", "HTTP/1", "HTTP/1.", "HTTP/11", "HTTP/01.1", "HTTP/1.1x", "HTTP/.1", "HTTP/+1.1",
          "HTTP1.1", "HTTPS/1.1", "HTTP/1,1", "HTTP/a.b", "Http/1.1", "HTTP/", "ICY/1.1"}) {
        expect_refused("GET / " + std::string{version} + "\r\nHost: example.com\r\n\r\n", 400);
    }
    expect_nothing_forwarded();
}

// Row 19
TEST_F(FramingTest, TheProxySendsItsOwnVersion) {
    const Message old = exchange("GET /old HTTP/1.0\r\nHost: example.com\r\n\r\n");
    EXPECT_EQ(old.version(), "HTTP/1.1");
    EXPECT_EQ(origin().await_request().start_line, "GET /old HTTP/1.1");

    origin().answer("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(exchange(get("/")).start_line, "HTTP/1.1 200 OK");
}

// Row 20
TEST_F(FramingTest, RequestTrailersNeverBecomePartOfTheHead) {
    EXPECT_EQ(
        exchange(chunked("3\r\nabc\r\n0\r\nX-Sum: 6\r\nContent-Length: 9\r\nAuthorization: x\r\nHost: evil\r\n\r\n"))
            .status(),
        200);

    const Message request = origin().await_request();
    EXPECT_EQ(request.body, "abc");
    EXPECT_FALSE(request.has("X-Sum"));
    EXPECT_EQ(request.field("Host"), "example.com");
    EXPECT_THAT(request.trailers, IsEmpty());
    EXPECT_THAT(request.raw, Not(HasSubstr("evil")));
}

// Row 20
TEST_F(FramingTest, RequestTrailersAreCheckedLikeFields) {
    using namespace std::string_literals;
    for (const auto& trailer : {"no colon"s, "a b: c"s, "X : y"s, " folded: x"s, "X: a\0b"s, "X: a\x01"s, ": x"s}) {
        expect_refused(chunked("3\r\nabc\r\n0\r\n" + trailer + "\r\n\r\n"), 400);
    }
    expect_refused(chunked("3\r\nabc\r\n0\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n"), {400, 431});
    expect_nothing_completed();
}

// Row 20
TEST_F(FramingTest, TheRequestBehindTrailersIsTheNextOne) {
    Client client = connect();
    client.send(chunked("3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n") + get("/next"));
    EXPECT_EQ(client.response().status(), 200);
    EXPECT_EQ(client.response().status(), 200);
    EXPECT_EQ(origin().await_request(1).target(), "/next");
}

// Row 21
TEST_F(FramingTest, NothingBehindAFramingErrorIsRead) {
    Client client = connect();
    client.send(post("Content-Length: 1, 2\r\n", get("/smuggled") + get("/smuggled")));
    EXPECT_EQ(client.response().status(), 400);
    EXPECT_EQ(client.await_end(), End::closed);
    EXPECT_EQ(client.pending(), "");
    expect_nothing_forwarded();
}

// Row 21: without a lingering close the kernel answers the bytes that are still coming with a reset, which takes the
// 400 away from the client.
TEST_F(FramingTest, AClientThatIsStillSendingGetsItsAnswer) {
    Client client = connect();
    client.send(post("Content-Length: nonsense\r\n"));
    client.send(std::string(1'000'000, 'x'));
    EXPECT_EQ(client.response().status(), 400);
    EXPECT_EQ(client.await_end(), End::closed);
    expect_nothing_forwarded();
}

// Row 21
TEST_F(FramingTest, ARequestIsTheSameHoweverItsBytesArrive) {
    const std::string request = chunked("3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n");
    Client client = connect();
    client.dribble(request, 1, std::chrono::milliseconds{0});
    EXPECT_EQ(client.response().status(), 200);
    EXPECT_EQ(origin().await_request().body, "abcde");
}

}  // namespace
}  // namespace nsboot_lb::test
