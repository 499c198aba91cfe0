// A request head is judged the same however much of it and of what follows is there, and what is taken for one is one
// for Boost.Beast too, with the same parts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "beast_parser.hpp"
#include "nsboot_lb/http/h1/parse.hpp"

namespace {

using namespace nsboot_lb;
using http::h1::parse_request;
using http::h1::Parsed;

void require(bool holds) {
    if (!holds) std::abort();
}

bool lies_in(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_parts(const http::RequestHead& head) {
    require(head.bytes.ends_with("\r\n\r\n"));
    for (const auto part : {head.method_text, head.target, head.host}) require(lies_in(part, head.bytes));
    require(head.method == http::Method::connect || head.origin_target.starts_with('/') || head.origin_target == "*");
    require(head.minor_version == 0 || !head.host.empty());
    require(head.host.empty() || http::h1::is_valid_host(head.host));
    require(head.framing != http::Framing::until_close);
    require(head.framing != http::Framing::chunked || head.minor_version > 0);
    for (const auto& field : head.fields) {
        require(!field.name.empty() && lies_in(field.name, head.bytes) && lies_in(field.value, head.bytes));
        require(!field.value.starts_with(' ') && !field.value.ends_with(' '));
        const auto is_bad = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
        require(std::ranges::none_of(field.value, is_bad));
    }
}

/// More bytes never take back a refusal, nor a head that was complete.
void check_prefixes(std::string_view bytes, const http::HeadLimits& limits, Parsed whole, std::size_t head_size) {
    http::RequestHead head;
    http::HeadError error;
    const auto step = std::max<std::size_t>(1, bytes.size() / 512);
    for (std::size_t size = 0; size < bytes.size(); size += step) {
        const auto parsed = parse_request(bytes.substr(0, size), limits, head, error);
        if (parsed == Parsed::failed) require(whole == Parsed::failed);
        if (parsed == Parsed::complete) require(whole == Parsed::complete && head.bytes.size() == head_size);
        if (parsed == Parsed::incomplete) require(whole != Parsed::complete || size < head_size);
    }
}

/// Beast knows versions 1.0 and 1.1 only, has no patience for empty lines in front, and looks into Proxy-Connection.
void compare_with_beast(const http::RequestHead& head) {
    if (head.minor_version > 1 || head.find(http::FieldId::proxy_connection) != nullptr) return;
    beast_opinion::Parser<true> beast;
    auto text = head.bytes;
    text.remove_prefix(text.find_first_not_of("\r\n"));
    const auto error = beast.read(text);
    require(!error && beast.is_header_done());
    require(beast.method == head.method_text && beast.target == head.target);
    require(beast.version == 10 + head.minor_version);
    require(beast.chunked() == (head.framing == http::Framing::chunked));
    if (head.framing == http::Framing::length) require(beast.content_length().value() == head.content_length);
    require(std::ranges::equal(beast.fields, head.fields, [](const auto& theirs, const auto& ours) {
        return theirs.first == ours.name && theirs.second == ours.value;
    }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const auto& limits :
         {http::HeadLimits{}, http::HeadLimits{.header_size = 100, .uri_size = 20, .header_count = 3}}) {
        http::RequestHead head;
        http::HeadError error;
        const auto parsed = parse_request(bytes, limits, head, error);
        if (parsed == Parsed::failed) require(error.status >= 400 && error.status < 600 && !error.text.empty());
        if (parsed == Parsed::complete) {
            require(head.bytes.size() <= limits.header_size && head.target.size() <= limits.uri_size);
            require(head.fields.size() <= limits.header_count);
            check_parts(head);
            compare_with_beast(head);
        }
        check_prefixes(bytes, limits, parsed, parsed == Parsed::complete ? head.bytes.size() : 0);
    }
    return 0;
}
