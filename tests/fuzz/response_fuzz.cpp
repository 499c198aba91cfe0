// A response head is judged the same however much of it and of what follows is there; what was mended needs no more
// mending; and what is taken for a head is one for Boost.Beast too, with the same parts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "beast_parser.hpp"
#include "nsboot_lb/http/h1/parse.hpp"

namespace {

using namespace nsboot_lb;
using http::h1::parse_response;
using http::h1::Parsed;

void require(bool holds) {
    if (!holds) std::abort();
}

void check_parts(const http::ResponseHead& head) {
    require(head.status >= 100 && head.status <= 999);
    require(head.framing != http::Framing::none);
    require(head.framing != http::Framing::length || head.has_content_length);
    for (const auto& field : head.fields) {
        const auto is_bad = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
        require(!field.name.empty() && std::ranges::none_of(field.value, is_bad));
        require(std::ranges::none_of(field.name, [](char c) { return c == ' ' || c == '\t' || c == ':'; }));
    }
}

void check_prefixes(std::string_view bytes, Parsed whole, std::size_t head_size) {
    http::ResponseHead head;
    std::string mended;
    http::HeadError error;
    const auto step = std::max<std::size_t>(1, bytes.size() / 512);
    for (std::size_t size = 0; size < bytes.size(); size += step) {
        const auto parsed = parse_response(bytes.substr(0, size), {}, head, mended, error);
        if (parsed == Parsed::failed) require(whole == Parsed::failed);
        if (parsed == Parsed::complete) require(whole == Parsed::complete && head.size == head_size);
        if (parsed == Parsed::incomplete) require(whole != Parsed::complete || size < head_size);
    }
}

/// Beast knows versions 1.0 and 1.1 only, wants a space behind the status, refuses both framings at once, and looks
/// into Proxy-Connection. Lengths that are a list with empty elements it counts in its own way.
void compare_with_beast(const http::ResponseHead& head, std::string_view text) {
    const bool both_framings =
        head.find(http::FieldId::content_length) != nullptr && head.find(http::FieldId::transfer_encoding) != nullptr;
    if (head.minor_version > 1 || both_framings || head.find(http::FieldId::proxy_connection) != nullptr) return;
    auto with_space = std::string(text.substr(0, text.find("\r\n")));
    if (with_space.size() == std::string_view{"HTTP/1.1 200"}.size()) with_space += ' ';
    with_space += text.substr(text.find("\r\n"));

    beast_opinion::Parser<false> beast;
    std::string_view rest = with_space;
    const auto error = beast.read(rest);
    require(!error && beast.is_header_done() && beast.status == head.status &&
            beast.version == 10 + head.minor_version);
    require(beast.chunked() == (head.framing == http::Framing::chunked));
    if (head.framing == http::Framing::length) require(beast.content_length().value() == head.content_length);
    require(std::ranges::equal(beast.fields, head.fields, [](const auto& theirs, const auto& ours) {
        return theirs.first == ours.name && theirs.second == ours.value;
    }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    http::ResponseHead head;
    std::string mended;
    http::HeadError error;
    const auto parsed = parse_response(bytes, {}, head, mended, error);
    if (parsed == Parsed::failed) require(error.status == 502 && !error.text.empty());
    if (parsed == Parsed::complete) {
        require(head.size <= size && bytes.substr(0, head.size).ends_with("\r\n\r\n"));
        check_parts(head);
        const auto text = mended.empty() ? bytes.substr(0, head.size) : std::string_view{mended};
        compare_with_beast(head, text);
        http::ResponseHead again;
        std::string untouched;
        require(parse_response(text, {}, again, untouched, error) == Parsed::complete && untouched.empty());
        require(again.fields.size() == head.fields.size() && again.content_length == head.content_length);
    }
    check_prefixes(bytes, parsed, head.size);
    return 0;
}
