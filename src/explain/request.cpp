#include "request.hpp"

#include <algorithm>
#include <charconv>

#include "nsboot_lb/http/field_names.hpp"
#include "nsboot_lb/http/h1/parse.hpp"
#include "nsboot_lb/http/template.hpp"

namespace nsboot_lb::explain {

namespace {

using Wrong = std::unexpected<std::string>;

constexpr std::string_view this_machine = "127.0.0.1";

/// An argument as a message shows it: control characters made visible.
std::string shown(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out = "'";
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet < 0x20 || octet == 0x7f)
            out.append({'\\', 'x', digits[octet >> 4U], digits[octet & 15U]});
        else
            out += c;
    }
    return out + "'";
}

/// Whether the daemon's own parser refuses `head` for this reason.
bool is_refused_as(std::string_view head, observe::Reason reason) {
    http::RequestHead parsed;
    http::HeadError error;
    return http::h1::parse_request(head, {}, parsed, error) == http::h1::Parsed::failed && error.reason == reason;
}

std::expected<void, std::string> check_method(const std::string& method) {
    const bool ends_line = method.empty() || method.find_first_of("\r\n") != std::string::npos;
    if (!ends_line && !is_refused_as(method + " / HTTP/1.1\r\nHost: a\r\n\r\n", observe::Reason::bad_request_line))
        return {};
    return Wrong("METHOD: " + shown(method) + " is no method; write such as GET or POST");
}

struct Url {
    std::string scheme;
    std::string authority;
    std::string target;
};

/// Only what could not be sent at all is refused here; what the daemon refuses, it answers.
std::expected<void, std::string> check_target(const Url& url, const std::string& whole) {
    const auto unsendable = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
    if (std::ranges::any_of(url.target, unsendable))
        return Wrong("URL: " + shown(whole) + " holds a space or a control character; write it as %20 and the like");
    if (url.target.contains('#'))
        return Wrong("URL: " + shown(whole) + " has a fragment ('#'), which clients do not send; leave it out");
    return {};
}

std::expected<Url, std::string> split(const std::string& text) {
    Url url;
    const auto scheme_end = text.find("://");
    if (text.starts_with('/') || text == "*") {
        url.target = text;
        return url;
    }
    url.scheme = text.substr(0, scheme_end == std::string::npos ? 0 : scheme_end);
    for (auto& c : url.scheme)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    if (url.scheme != "http" && url.scheme != "https")
        return Wrong(
            "URL: " + shown(text) +
            " is neither a URL nor a path; write such as http://nsboot.example.com/boot/kernel or /boot/kernel");
    const auto rest = text.substr(scheme_end + 3);
    const auto end = std::min(rest.find_first_of("/?#"), rest.size());
    url.authority = rest.substr(0, end);
    url.target = rest.substr(end);
    if (!url.target.starts_with('/')) url.target.insert(0, "/");  // RFC 9112 3.2.1
    if (url.authority.contains('@'))
        return Wrong("URL: " + shown(text) +
                     " names a user, which clients do not send there; write -H 'Authorization: ...' instead");
    if (!http::h1::is_valid_host(url.authority))
        return Wrong("URL: " + shown(url.authority) +
                     " is no host; write a name or an address, IPv6 in brackets, and a port up to 65535");
    return url;
}

std::uint16_t port_of(const Url& url) {
    const auto port = std::string_view(url.authority).substr(http::without_port(url.authority).size());
    std::uint16_t number = url.scheme == "https" ? 443 : 80;
    if (port.size() > 1) std::from_chars(port.data() + 1, port.data() + port.size(), number);
    return number;
}

std::string host_of(const Url& url) {
    std::string host(http::without_port(url.authority));
    return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

struct Header {
    std::string name;
    std::string line;
};

std::expected<Header, std::string> read_header(const std::string& text) {
    const auto wrong = [&](std::string_view what) {
        return Wrong("-H: " + shown(text) + std::string(what) + "; write such as -H 'X-Role: admin'");
    };
    const auto colon = text.find(':');
    if (colon == std::string::npos) return wrong(" has no colon");
    if (std::ranges::any_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }))
        return wrong(" holds a line break or a NUL");
    const auto name = text.substr(0, colon);
    if (is_refused_as("GET / HTTP/1.1\r\nHost: a\r\n" + name + ": x\r\n\r\n", observe::Reason::bad_header))
        return wrong(" begins with no field name");
    return Header{name, text + "\r\n"};
}

}  // namespace

std::expected<AskedRequest, std::string> asked_request(const Arguments& arguments) {
    if (const auto good = check_method(arguments.method); !good) return Wrong(good.error());
    const auto url = split(arguments.url);
    if (!url) return Wrong(url.error());
    if (const auto good = check_target(*url, arguments.url); !good) return Wrong(good.error());

    AskedRequest asked;
    asked.line = arguments.method + " " + arguments.url;
    asked.client_given = !arguments.from.empty();
    const auto client = base::IpAddress::parse(asked.client_given ? arguments.from : this_machine);
    if (!client) return Wrong("--from: " + shown(arguments.from) + " is no IP address; write such as 10.0.0.7 or ::1");
    asked.client = *client;
    asked.scheme = url->scheme;
    if (!url->scheme.empty()) asked.port = port_of(*url);
    asked.host = host_of(*url);

    std::string fields;
    bool has_host = false;
    bool has_upgrade = false;
    for (const auto& text : arguments.headers) {
        const auto header = read_header(text);
        if (!header) return Wrong(header.error());
        fields += header->line;
        has_host |= http::field_id(header->name) == http::FieldId::host;
        has_upgrade |= http::field_id(header->name) == http::FieldId::upgrade;
    }
    // What -H says goes, as with other clients.
    if (!has_host && !url->authority.empty()) fields.insert(0, "Host: " + url->authority + "\r\n");
    asked.has_host = has_host || !url->authority.empty();
    if (!asked.has_host && has_upgrade)
        return Wrong("-H: an upgrade needs HTTP/1.1, and that a host; write http://HOST/... or -H 'Host: HOST'");
    asked.head =
        arguments.method + " " + url->target + (asked.has_host ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n") + fields + "\r\n";
    return asked;
}

}  // namespace nsboot_lb::explain
