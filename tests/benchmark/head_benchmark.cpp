// What a head costs: parsing it, beside Boost.Beast's parser on the same bytes, and writing it anew for a server.
#include <string>

#include <benchmark/benchmark.h>

#include "../forward/made_exchange.hpp"
#include "../fuzz/beast_parser.hpp"
#include "forward/request_head.hpp"
#include "nsboot_lb/http/h1/output.hpp"
#include "nsboot_lb/http/h1/parse.hpp"

namespace nsboot_lb {
namespace {

/// As a boot client asks.
constexpr std::string_view small_head =
    "GET /images/debian-12/linux HTTP/1.1\r\n"
    "Host: boot.example.test:8080\r\n"
    "User-Agent: iPXE/1.21.1+git-20220113\r\n"
    "Connection: keep-alive\r\n"
    "\r\n";

/// As a browser behind a few other proxies asks: 40 fields in 3.8 KB, half of it one cookie.
std::string large_head() {
    const auto run = [](std::size_t size) {
        std::string text;
        for (std::size_t i = 0; text.size() < size; ++i) text += "abcdefghijklmnopqrstuvwxyz0123456789"[i * 7 % 36];
        return text;
    };
    std::string cookie = "Cookie: session=" + run(60);
    for (int i = 0; cookie.size() < 2200; ++i) cookie += "; part" + std::to_string(i) + '=' + run(70);
    return "GET /catalogue/items?page=4&sort=price HTTP/1.1\r\nHost: www.example.test\r\n"
           "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0\r\n"
           "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
           "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.7\r\n"
           "Referer: https://www.example.test/catalogue/items?page=3&sort=price\r\nCache-Control: max-age=0\r\n"
           "Pragma: no-cache\r\nDNT: 1\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n"
           "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-User: ?1\r\n"
           "Sec-CH-UA: \"Chromium\";v=\"126\", \"Not-A.Brand\";v=\"8\"\r\nSec-CH-UA-Mobile: ?0\r\n"
           "Sec-CH-UA-Platform: \"Linux\"\r\nSec-GPC: 1\r\nOrigin: https://www.example.test\r\nPriority: u=0, i\r\n"
           "TE: trailers\r\nIf-None-Match: \"abcdef0123456789\"\r\n"
           "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\nX-Requested-With: XMLHttpRequest\r\n"
           "X-Request-Id: 7f3c2b6e-8a11-4a53-9f0e-0c1d2e3f4a5b\r\nX-Correlation-Id: " +
           run(26) +
           "\r\n"
           "Traceparent: 00-" +
           run(32) + "-" + run(16) + "-01\r\nTracestate: vendor=" + run(12) +
           "\r\n"
           "X-B3-TraceId: " +
           run(32) + "\r\nX-B3-SpanId: " + run(16) +
           "\r\nX-B3-Sampled: 1\r\n"
           "X-Client-Version: 8.14.2\r\nX-Device-Id: " +
           run(16) + "\r\nX-Csrf-Token: " + run(64) +
           "\r\n"
           "Authorization: Bearer " +
           run(330) +
           "\r\nX-Feature-Flags: a,b,c,new-search,beta-checkout\r\n"
           "Accept-Charset: utf-8\r\nX-Locale: en-GB\r\nX-Timezone: Europe/London\r\n" +
           cookie + "\r\n\r\n";
}

constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.22.1\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: application/octet-stream\r\n"
    "Content-Length: 1024\r\n"
    "Last-Modified: Sat, 05 Nov 1994 10:00:00 GMT\r\n"
    "ETag: \"2ebd7a12-400\"\r\n"
    "Accept-Ranges: bytes\r\n"
    "\r\n";

std::string head_of(const benchmark::State& state) {
    return state.range(0) == 0 ? std::string(small_head) : large_head();
}

void count_bytes(benchmark::State& state, std::string_view bytes) {
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes.size()) * static_cast<std::int64_t>(state.iterations()));
}

void parse_request_ours(benchmark::State& state) {
    const auto bytes = head_of(state);
    http::RequestHead head;
    http::HeadError error;
    for (auto _ : state) {
        if (http::h1::parse_request(bytes, {}, head, error) != http::h1::Parsed::complete)
            state.SkipWithError("refused");
        benchmark::DoNotOptimize(&head.fields[0]);
    }
    state.counters["fields"] = static_cast<double>(head.fields.size());
    count_bytes(state, bytes);
}
BENCHMARK(parse_request_ours)->ArgName("large")->Arg(0)->Arg(1);

/// Without keeping the fields: the parser alone.
void parse_request_beast(benchmark::State& state) {
    const auto bytes = head_of(state);
    for (auto _ : state) {
        beast_opinion::Parser<true> parser;
        parser.keeps_fields = false;
        std::string_view rest = bytes;
        if (parser.read(rest) || !parser.is_header_done()) state.SkipWithError("refused");
        benchmark::DoNotOptimize(parser.target.data());
    }
    count_bytes(state, bytes);
}
BENCHMARK(parse_request_beast)->ArgName("large")->Arg(0)->Arg(1);

void parse_response_ours(benchmark::State& state) {
    http::ResponseHead head;
    std::string mended;
    http::HeadError error;
    for (auto _ : state) {
        if (http::h1::parse_response(response, {}, head, mended, error) != http::h1::Parsed::complete)
            state.SkipWithError("refused");
        benchmark::DoNotOptimize(&head.fields[0]);
    }
    count_bytes(state, response);
}
BENCHMARK(parse_response_ours);

void parse_response_beast(benchmark::State& state) {
    for (auto _ : state) {
        beast_opinion::Parser<false> parser;
        parser.keeps_fields = false;
        std::string_view rest = response;
        if (parser.read(rest) || !parser.is_header_done()) state.SkipWithError("refused");
        benchmark::DoNotOptimize(parser.status);
    }
    count_bytes(state, response);
}
BENCHMARK(parse_response_beast);

/// What is written to the server of a request that was parsed and prepared.
void write_request_head(benchmark::State& state) {
    const auto bytes = head_of(state);
    forward::testing::MadeExchange made{bytes};
    upstream::Endpoint endpoint;
    endpoint.host = "server:8080";
    if (!forward::prepare_request(made.worker, made.exchange)) state.SkipWithError("a loop");
    for (auto _ : state) {
        forward::write_request_head(made.worker, made.exchange, endpoint, made.worker.request_out);
        benchmark::DoNotOptimize(made.worker.request_out.text().data());
    }
    count_bytes(state, bytes);
}
BENCHMARK(write_request_head)->ArgName("large")->Arg(0)->Arg(1);

/// All that a head goes through: parsed, prepared, written.
void rewrite_request_head(benchmark::State& state) {
    const auto bytes = head_of(state);
    forward::testing::MadeExchange made{bytes};
    upstream::Endpoint endpoint;
    endpoint.host = "server:8080";
    http::HeadError error;
    for (auto _ : state) {
        auto& exchange = made.exchange;
        exchange.request_id = {};
        (void)http::h1::parse_request(exchange.head.text(), {}, exchange.request, error);
        benchmark::DoNotOptimize(forward::prepare_request(made.worker, exchange));
        forward::write_request_head(made.worker, exchange, endpoint, made.worker.request_out);
        benchmark::DoNotOptimize(made.worker.request_out.text().data());
    }
    count_bytes(state, bytes);
}
BENCHMARK(rewrite_request_head)->ArgName("large")->Arg(0)->Arg(1);

}  // namespace
}  // namespace nsboot_lb
