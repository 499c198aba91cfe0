#include "site.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include <boost/beast/http/verb.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "selection.hpp"
#include "sha256.hpp"

namespace nsboot_lb::standin {
namespace http = boost::beast::http;
namespace json = boost::json;
namespace {

constexpr std::string_view user = "admin";
constexpr std::string_view password = "nsboot";
constexpr std::uint64_t default_image_bytes = 1 << 20;
constexpr std::string_view default_kernel_size = "20MB";

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

Reply reply(http::status status, std::string_view content_type, std::string body) {
    Reply made;
    made.message.result(status);
    made.message.set(http::field::content_type, content_type);
    made.message.body() = std::move(body);
    return made;
}

Reply json_reply(http::status status, const json::value& value) {
    return reply(status, "application/json", json::serialize(value) + "\n");
}

// RFC 3986 2.1. A percent sign that begins no such triplet stands for itself.
std::string percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned char byte = 0;
        const char* const digits = text.data() + i + 1;
        if (text[i] == '%' && text.size() - i > 2 && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
            decoded.push_back(static_cast<char>(byte));
            i += 2;
        } else {
            decoded.push_back(text[i]);
        }
    }
    return decoded;
}

bool is_read(http::verb method) {
    return method == http::verb::get || method == http::verb::head;
}

Reply method_not_allowed(std::string_view allowed) {
    auto refused = json_reply(http::status::method_not_allowed, {{"error", "method not allowed"}});
    refused.message.set(http::field::allow, allowed);
    return refused;
}

}  // namespace

Target::Target(std::string_view target) : path(target.substr(0, target.find('?'))) {
    if (path.size() < target.size()) query = target.substr(path.size() + 1);
}

std::optional<std::string> Target::parameter(std::string_view name) const {
    std::string_view rest = query;
    while (!rest.empty()) {
        const auto end = std::min(rest.find('&'), rest.size());
        const auto pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        const auto equals = std::min(pair.find('='), pair.size());
        if (pair.substr(0, equals) == name) return percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
    }
    return std::nullopt;
}

Site::Site(std::string hostname) : hostname_(std::move(hostname)) {}

Reply Site::answer(const RequestHead& request, std::string_view body) const {
    const Target target(view(request.target()));
    auto made = page(request, target, body);
    made.message.set(http::field::server, "nsboot-standin");
    made.message.set("X-Served-By", hostname_);
    return made;
}

Reply Site::page(const RequestHead& request, const Target& target, std::string_view body) const {
    const http::verb method = request.method();
    if (target.path == "/api/auth/login") return method == http::verb::post ? login(body) : method_not_allowed("POST");
    if (target.path == "/api/images/upload") return method_not_allowed("POST");
    if (target.path == "/ws") return problem(http::status::upgrade_required, "this is a WebSocket");

    if (!is_read(method)) return method_not_allowed("GET, HEAD");
    if (target.path == "/health") return json_reply(http::status::ok, {{"status", "healthy"}, {"hostname", hostname_}});
    if (target.path == "/api/system/info") return system_info();
    if (target.path == "/api/boot/config") return machine_script(target);
    if (target.path.starts_with("/boot/") && target.path.ends_with(".ipxe")) return boot_script(target.path, target);
    if (target.path.starts_with("/images/")) return image(request, target);
    return problem(http::status::not_found, "no such page");
}

Reply Site::problem(http::status status, std::string_view text) const {
    auto made = json_reply(status, {{"error", text}});
    if (status == http::status::upgrade_required) made.message.set(http::field::upgrade, "websocket");
    return made;
}

Reply Site::system_info() const {
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
    return json_reply(http::status::ok,
                      {{"version", NSBOOT_LB_VERSION}, {"hostname", hostname_}, {"uptime", uptime.count()}});
}

Reply Site::login(std::string_view body) const {
    boost::system::error_code error;
    const auto parsed = json::parse({body.data(), body.size()}, error);
    if (error || !parsed.is_object()) return problem(http::status::bad_request, "the body is not a JSON object");
    const auto& credentials = parsed.as_object();
    const auto is = [&](std::string_view key, std::string_view wanted) {
        const auto* const value = credentials.if_contains({key.data(), key.size()});
        return value != nullptr && value->is_string() &&
               std::string_view(value->as_string().c_str(), value->as_string().size()) == wanted;
    };
    if (!is("username", user) || !is("password", password)) {
        return problem(http::status::unauthorized, "wrong user name or password");
    }
    // The same on every server, as with a secret that a cluster shares: any server can answer the next request.
    Sha256 token;
    token.update(std::as_bytes(std::span(user)));
    token.update(std::as_bytes(std::span(password)));
    return json_reply(http::status::ok, {{"token", token.finish()}, {"username", user}});
}

Reply Site::answer_upload(const Upload& upload) const {
    return json_reply(http::status::created,
                      {{"size", upload.size_bytes}, {"sha256", upload.sha256}, {"hostname", hostname_}});
}

// A URI that begins with "/" is resolved against that of the script, so that the kernel comes the way the script came.
Reply Site::boot_script(std::string_view title, const Target& target) const {
    const auto size = target.parameter("size").value_or(std::string(default_kernel_size));
    if (!parse_size(size)) return problem(http::status::bad_request, "size is not a size");
    auto made = reply(http::status::ok, "text/plain",
                      fmt::format("#!ipxe\n"
                                  "echo NSBoot {}: script {}\n"
                                  "kernel /images/vmlinuz?size={} || goto failed\n"
                                  "imgstat\n"
                                  "echo NSBoot {}: starting the kernel\n"
                                  "boot || goto failed\n"
                                  ":failed\n"
                                  "echo NSBoot {}: boot failed\n"
                                  "exit 1\n",
                                  hostname_, title, size, hostname_, hostname_));
    made.message.set(http::field::cache_control, "no-store");  // made for one machine
    return made;
}

Reply Site::machine_script(const Target& target) const {
    const std::string mac = target.parameter("mac").value_or("");
    const auto is_mac_character = [](unsigned char c) { return std::isxdigit(c) != 0 || c == ':' || c == '-'; };
    if (mac.empty() || !std::ranges::all_of(mac, is_mac_character)) {
        return problem(http::status::bad_request, "mac is not a MAC address");
    }
    return boot_script(fmt::format("for {}", mac), target);
}

Reply Site::image(const RequestHead& request, const Target& target) const {
    std::uint64_t size_bytes = default_image_bytes;
    if (const auto wanted = target.parameter("size")) {
        const auto parsed = parse_size(*wanted);
        if (!parsed) return problem(http::status::bad_request, "size is not a size");
        size_bytes = *parsed;
    }
    const Image image(target.path.substr(std::string_view("/images/").size()), size_bytes);
    const Representation representation{
        .size_bytes = image.size(), .etag = image.etag(), .last_modified = image.last_modified()};
    const Selection selection = select(request.method(), request, representation);

    Reply made;
    made.message.result(selection.status);
    made.message.set(http::field::etag, image.etag());
    made.message.set(http::field::last_modified, http_date(image.last_modified()));
    made.message.set(http::field::accept_ranges, "bytes");
    switch (selection.status) {
        case http::status::partial_content:
            made.message.set(http::field::content_range,
                             fmt::format("bytes {}-{}/{}", selection.first,
                                         selection.first + selection.length_bytes - 1, image.size()));
            [[fallthrough]];
        case http::status::ok:
            made.message.set(http::field::content_type, image.content_type());
            made.image = image;
            made.first = selection.first;
            made.length_bytes = selection.length_bytes;
            break;
        case http::status::range_not_satisfiable:
            made.message.set(http::field::content_range, fmt::format("bytes */{}", image.size()));
            break;
        default: break;
    }
    return made;
}

std::string Site::websocket_greeting() const {
    return json::serialize(json::value{{"type", "welcome"}, {"hostname", hostname_}});
}

}  // namespace nsboot_lb::standin
