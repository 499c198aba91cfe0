#include "cross_site.hpp"

#include <algorithm>

#include "nsboot_lb/base/cidr.hpp"

namespace nsboot_lb::admin {

namespace {

/// "lb" of "lb:8404", "::1" of "[::1]:8404".
std::string_view without_port(std::string_view host) {
    if (!host.starts_with('[')) return host.substr(0, host.find(':'));
    const auto end = host.find(']');
    return end == std::string_view::npos ? std::string_view{} : host.substr(1, end - 1);
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return out;
}

}  // namespace

bool is_cross_site(const ApiRequest& request) {
    const auto& site = request.fetch_site;
    if (!site.empty() && site != "same-origin" && site != "none") return true;
    if (request.origin.empty()) return false;
    // A proxy in front may speak TLS.
    const auto& host = request.host;
    return request.origin != "http://" + std::string(host) && request.origin != "https://" + std::string(host);
}

bool is_own_host(std::string_view host, std::span<const std::string> names) {
    auto name = lower_case(without_port(host));
    if (base::IpAddress::parse(name)) return true;
    if (name.ends_with('.')) name.pop_back();
    return name == "localhost" || std::ranges::find(names, name) != names.end();
}

}  // namespace nsboot_lb::admin
