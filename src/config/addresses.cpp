/// HOST:PORT, [v6]:PORT, unix:/path and address ranges.
#include <algorithm>
#include <sys/un.h>

#include "values.hpp"

namespace nsboot_lb::config {

namespace {

using base::Parsed;
using base::UnitError;

constexpr std::string_view unix_prefix = "unix:";
constexpr std::size_t max_unix_path_bytes = sizeof(sockaddr_un{}.sun_path) - 1;
constexpr std::size_t max_host_bytes = 253;  // RFC 1035 2.3.4, as text
constexpr std::size_t max_label_bytes = 63;

std::unexpected<UnitError> bad(std::string what, std::string hint = {}) {
    return std::unexpected(UnitError{std::move(what), std::move(hint)});
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

/// The path of "unix:/path".
Parsed<std::string> unix_path(std::string_view text) {
    const auto path = text.substr(unix_prefix.size());
    if (!path.starts_with('/')) return bad("the socket " + quoted(text) + " has no absolute path", "write unix:/path");
    // Other octets may be printed as something longer that is not the same path.
    if (!std::ranges::all_of(path, [](char c) { return c > 0x20 && c < 0x7f; }))
        return bad("the socket's path has characters that are not printable ASCII", "write unix:/path");
    if (path.size() > max_unix_path_bytes)
        return bad("the path of " + quoted(text) + " is too long",
                   "at most " + std::to_string(max_unix_path_bytes) + " bytes");
    if (path.contains('\0')) return bad("the path holds a NUL");
    return std::string(path);
}

struct HostPort {
    std::string_view host;  ///< without brackets
    bool bracketed = false;
    std::uint16_t port = 0;
};

/// Splits "host:port"; `example` is what an address of this kind looks like.
Parsed<HostPort> split(std::string_view text, std::string_view example) {
    const auto usage = "write such as " + std::string(example);
    if (text.empty()) return bad("the address is empty", usage);
    if (text.find_first_not_of("0123456789") == std::string_view::npos)
        return bad(quoted(text) + " is a port without a host",
                   "write " + std::string(example.substr(0, example.find(':'))) + ":" + std::string(text));
    const bool only_brackets = text.front() == '[' && text.back() == ']';
    const auto colon = only_brackets ? std::string_view::npos : text.rfind(':');
    if (colon == std::string_view::npos)
        return bad("the address " + quoted(text) + " has no port", "write " + std::string(text) + ":80");
    const auto host = text.substr(0, colon);
    HostPort result{host, host.size() > 1 && host.front() == '[' && host.back() == ']', 0};
    if (result.bracketed) result.host = host.substr(1, host.size() - 2);
    if (!result.bracketed && host.contains(':'))
        return bad(quoted(text) + " has more than one colon", "write an IPv6 address in brackets, such as [::1]:80");
    if (result.bracketed && !(result.host.contains(':') && base::IpAddress::parse(result.host)))
        return bad(quoted(host) + " is no IPv6 address", usage);
    const auto port = base::parse_whole_number(text.substr(colon + 1));
    if (!port || *port > 65535) return bad("the port of " + quoted(text) + " is no number of 0 to 65535", usage);
    result.port = static_cast<std::uint16_t>(*port);
    return result;
}

/// What to write instead of a URL: its host and port.
std::string without_scheme(std::string_view url) {
    const auto rest = url.substr(url.find("://") + 3);
    const auto host = rest.substr(0, rest.find('/'));
    const auto* port = url.starts_with("https") ? ":443" : ":80";
    return std::string(host) + (host.contains(':') ? "" : port);
}

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > max_host_bytes) return false;
    if (name.ends_with('.')) name.remove_suffix(1);
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    std::string_view label;
    do {
        const auto dot = name.find('.');
        label = name.substr(0, dot);
        if (label.empty() || label.size() > max_label_bytes || label.front() == '-' || label.back() == '-' ||
            !std::ranges::all_of(label, fits))
            return false;
        if (dot == std::string_view::npos) break;
        name.remove_prefix(dot + 1);
    } while (true);
    // A name whose last label is a number would be read as an address by everybody else (RFC 1123 2.1).
    return label.find_first_not_of("0123456789") != std::string_view::npos;
}

Parsed<BindAddress> parse_bind(std::string_view text) {
    static constexpr auto example = "0.0.0.0:80";
    if (text.starts_with(unix_prefix)) {
        auto path = unix_path(text);
        if (!path) return std::unexpected(path.error());
        return BindAddress{{}, 0, std::move(*path)};
    }
    if (text.contains("://")) return bad(quoted(text) + " is a URL, not an address", "write " + without_scheme(text));
    const auto parts = split(text, example);
    if (!parts) return std::unexpected(parts.error());
    const auto port = std::to_string(parts->port);
    if (parts->host.empty() || parts->host == "*")
        return bad(quoted(text) + " names no address",
                   "write 0.0.0.0:" + port + " for every IPv4 address, [::]:" + port + " for every address");
    if (!base::IpAddress::parse(parts->host))
        return bad(
            quoted(text) + " is no literal IP address and port",
            parts->host == "localhost" ? "write 127.0.0.1:" + port : "write such as 0.0.0.0:80, [::]:80 or unix:/path");
    return BindAddress{std::string(parts->host), parts->port, {}};
}

Parsed<ServerAddress> parse_server(std::string_view text) {
    static constexpr auto example = "nsboot-1:80";
    if (text.starts_with(unix_prefix)) {
        auto path = unix_path(text);
        if (!path) return std::unexpected(path.error());
        return ServerAddress{{}, 0, std::move(*path)};
    }
    if (text.contains("://")) return bad(quoted(text) + " is a URL, not HOST:PORT", "write " + without_scheme(text));
    const auto parts = split(text, example);
    if (!parts) return std::unexpected(parts.error());
    if (!base::IpAddress::parse(parts->host) && !is_host_name(parts->host))
        return bad(quoted(parts->host) + " is neither a host name nor an IP address", "write such as nsboot-1:80");
    if (parts->port == 0) return bad("the port of " + quoted(text) + " is 0", "write the port the server listens on");
    return ServerAddress{std::string(parts->host), parts->port, {}};
}

Parsed<std::string> parse_host_name(std::string_view text) {
    static constexpr auto usage = "write such as lb.example.com";
    if (text.contains("://")) return bad(quoted(text) + " is a URL, not a host", "write the host's name alone");
    if (text.starts_with('[') || base::IpAddress::parse(text))
        return bad(quoted(text) + " is an address, not a name", "leave it out: every address is taken");
    if (text.contains(':')) return bad(quoted(text) + " has a port", "write the host alone");
    if (!is_host_name(text)) return bad(quoted(text) + " is no host name", usage);
    if (text.ends_with('.')) text.remove_suffix(1);
    std::string name(text);
    for (auto& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return name;
}

std::string join(const std::string& host, std::uint16_t port, const std::string& path) {
    if (!path.empty()) return std::string(unix_prefix) + path;
    return (host.contains(':') ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace

std::string BindAddress::text() const {
    return join(host, port, unix_path);
}

std::string Server::address() const {
    return join(host, port, unix_path);
}

Codec<BindAddress> bind_address() {
    return scalar<BindAddress>({"HOST:PORT, [::]:PORT or unix:/path", schema_definition("address")}, parse_bind,
                               [](const BindAddress& address) { return Node::of_text(address.text()); });
}

Codec<std::string> host_name() {
    return scalar<std::string>({"a host name", schema_definition("text")}, parse_host_name,
                               [](const std::string& name) { return Node::of_text(name); });
}

Codec<ServerAddress> server_address() {
    return scalar<ServerAddress>(
        {"HOST:PORT, [IPv6]:PORT or unix:/path", schema_definition("address")}, parse_server,
        [](const ServerAddress& at) { return Node::of_text(join(at.host, at.port, at.unix_path)); });
}

Codec<base::Cidr> cidr() {
    return scalar<base::Cidr>(
        {"an address range", schema_definition("cidr")},
        [](std::string_view text) -> Parsed<base::Cidr> {
            if (const auto range = base::Cidr::parse(text)) return *range;
            return bad(quoted(text) + " is no address range", "write such as 10.0.0.0/8, 192.168.1.7 or 2001:db8::/32");
        },
        [](const base::Cidr& range) { return Node::of_text(range.text()); });
}

}  // namespace nsboot_lb::config
