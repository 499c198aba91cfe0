/// The table of the configuration: what holds for the daemon as a whole.
#include "files.hpp"
#include "sections.hpp"
#include "texts.hpp"
#include "values.hpp"

namespace nsboot_lb::config {

const SectionOf<Admin>& admin_section() {
    static const auto section = make_section<Admin>(
        {"admin", "admin", "admin", "The listener of metrics, health, dashboard and API."},
        {
            key("address", &Admin::address, bind_address(),
                "Where to listen: an IP address and a port, or a unix socket.")
                .required_as("127.0.0.1:8404"),
            key("allow", &Admin::allow, list_of(cidr()), "Client addresses that may ask."),
            key("token_file", &Admin::token_file, token_file(),
                "A file with a token; changes then need `Authorization: Bearer`. Empty = they do not."),
            key("hosts", &Admin::hosts, list_of(host_name()),
                "Names under which changes are taken, besides addresses and localhost: what a browser has in its "
                "address bar."),
        },
        [](const Node& node, Admin& admin, Reader& reader) {
            const Reader::InKey in_key(reader, "address");
            if (!admin.address.unix_path.empty())
                check_socket_path(*node.find("address"), admin.address.unix_path, reader);
        });
    return section;
}

const SectionOf<Limits>& limits_section() {
    static const auto section = make_section<Limits>(
        {"limits", "limits", "limits", "What clients may use."},
        {
            key("connections", &Limits::connections, integer<std::uint64_t>(0, 100'000'000),
                "Client connections in all. 0 = as many as the open-files limit (RLIMIT_NOFILE) leaves room for."),
            key("connections_per_client", &Limits::connections_per_client, integer<std::uint64_t>(0, 100'000'000),
                "Connections of one client address. 0 = no limit."),
            key("header_size", &Limits::header_size, size_bytes(256, 16ULL << 20),
                "Of a request's header; more gets 431."),
            key("uri_size", &Limits::uri_size, size_bytes(16, 16ULL << 20), "Of a request's target; more gets 414."),
            key("header_count", &Limits::header_count, integer<std::uint64_t>(1, 100'000),
                "Header fields of a request; more gets 431."),
            key("socket_buffer", &Limits::socket_buffer, size_bytes(16ULL << 10, 1ULL << 30),
                "Of a body that may lie unsent in the kernel, for each client."),
        });
    return section;
}

const SectionOf<ClientTimeouts>& client_timeouts_section() {
    static const auto section = make_section<ClientTimeouts>(
        {"client_timeouts", "timeouts", "timeouts", "How long a client is waited for."},
        {
            key("header", &ClientTimeouts::header, duration(), "From a request's first byte to the end of its header."),
            key("idle", &ClientTimeouts::idle, duration(), "From one request to the next (keep-alive)."),
            key("body", &ClientTimeouts::body, duration(), "Between two reads of a request body."),
            key("send", &ClientTimeouts::send, duration(),
                "A client that takes (acknowledges) nothing for this long is cut off."),
            key("half_closed", &ClientTimeouts::half_closed, duration(0ms),
                "How long an exchange goes on for a client that has closed its side and takes nothing. 0 = it ends at "
                "once."),
            key("handshake", &ClientTimeouts::handshake, duration(), "For TLS, a PROXY header, HTTP/2's preface."),
            key("min_rate", &ClientTimeouts::min_rate, byte_rate(),
                "Of a body in either direction, over 30 s, tunnels exempt; what is slower is cut off. 0 = off."),
        });
    return section;
}

const SectionOf<Forwarded>& forwarded_section() {
    static const auto section = make_section<Forwarded>(
        {"forwarded", "forwarded", "forwarded", "Proxies in front of this one."},
        {
            key("trust", &Forwarded::trust, list_of(cidr()),
                "Addresses of proxies whose X-Forwarded-For is believed. From others it is replaced."),
        });
    return section;
}

const SectionOf<Shutdown>& shutdown_section() {
    static const auto section =
        make_section<Shutdown>({"shutdown", "shutdown", "shutdown", "How the daemon stops."},
                               {
                                   key("drain_timeout", &Shutdown::drain_timeout, duration(0ms),
                                       "How long requests in flight may take to finish after SIGTERM. Then WebSocket "
                                       "clients are told to connect anew (close code 1001), and the rest is cut off."),
                               });
    return section;
}

}  // namespace nsboot_lb::config
